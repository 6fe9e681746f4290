"""A change of messages, decided: what is sent, and what there is afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from session_store._core.extension import moment
from session_store.conversations._core.arguments import ROLES
from session_store.conversations._core.bodies import Encoder, encoded_body, new_place
from session_store.conversations._core.values import Message, NewMessage
from session_store.conversations.dynamodb._core.expressions import Item, Params, Test, put, remove, update, value_of
from session_store.conversations.dynamodb._core.items import (
    META,
    Meta,
    item_of,
    key_of,
    key_sort,
    message_sort,
    new_gen,
    number,
    seconds_of,
    seq_of,
    text,
    written_gaps,
)
from session_store.conversations.errors import MessageTooLargeError

MOST_BYTES = 400_000  # of an item; DynamoDB takes 409,600, and counts numbers in a way of its own
MOST_BYTES_TOGETHER = 3_700_000  # of a transaction; it takes 4,194,304, of which up to 400,000 are the item that is told of the conversation
MOST_ITEMS = 99  # of a transaction; it takes 100, with what is told of the conversation
TURN_MS = 500  # that a call may take from losing for the last time to its change
_LONGEST_SORT = "M#........#............"


def size_of(item: Item) -> int:
    """How many bytes an item has by DynamoDB's rules: names and values; of a number half its digits, and one or two more."""
    total = 0
    for name, value in item.items():
        ((kind, data),) = value.items()
        total += len(name) + (len(data) // 2 + 2 if kind == "N" else len(data if kind == "B" else data.encode()))
    return total


def check_size(item: Item) -> int:
    """How many bytes an item has. Raises `MessageTooLargeError`."""
    size = size_of(item)
    if size > MOST_BYTES:
        raise MessageTooLargeError(size, MOST_BYTES)
    return size


def check_items(count: int) -> None:
    """Whether so many items, beside that of the conversation, can change together."""
    if count > MOST_ITEMS:
        raise MessageTooLargeError(count, MOST_ITEMS, "items")


class Prepared(NamedTuple):
    """A message that is to be added, ready to be sent."""

    message: NewMessage
    place: str
    body: bytes

    def item(self, partition: str, sort: str, at_ms: int, ttl: int) -> Item:
        """The message as it is stored."""
        new = self.message
        told = {"at": at_ms, "tok": new.tokens, "role": ROLES[new.role], "place": self.place, "key": new.key}
        return item_of(partition, sort, **told, body=self.body, ttl=ttl)

    def added(self, seq: int, at_ms: int) -> Message:
        """The message as it is to an application."""
        new = self.message
        return Message(seq, new.role, new.content, new.tokens, new.metadata, new.key, moment(at_ms), None)


def prepared(values: Encoder, partition: str, messages: Sequence[NewMessage]) -> list[Prepared]:
    """Messages ready to be sent. Raises `MessageTooLargeError` where they are too large, or too many."""
    check_items(sum(1 if message.key is None else 2 for message in messages))
    ready, total = [], 0
    for message in messages:
        place = new_place()
        ready.append(Prepared(message, place, encoded_body(values, place, message.content, message.metadata)))
        total += check_size(ready[-1].item(partition, _LONGEST_SORT, 10**12, 10**9))
        total += 0 if message.key is None else len(partition) + len(message.key.encode()) + 64
    if total > MOST_BYTES_TOGETHER:
        raise MessageTooLargeError(total, MOST_BYTES_TOGETHER)
    return ready


class Change:
    """A change of messages. `meta`: how the conversation stands, which it rests on; `mark`: tells it from all others.

    `turn`: whose turn it is, where this call has taken it; else it waits for those of others. `parts`: the other items of the
    transaction. `proof`: sort key and place of a message that is there if it has happened.
    """

    def __init__(
        self, table: str, partition: str, meta: Meta, *, now_ms: int, idle_ms: int, mark: str, turn: str
    ) -> None:
        self.meta = meta
        self.mark = mark
        self.at_ms = max(now_ms, meta.at_ms)  # so that numbers and times have one order, whatever the clocks do
        self.parts: list[Params] = []
        self.proof: tuple[str, str] | None = None
        self.gen = meta.gen
        self.seq, self.first, self.count, self.tokens, self.cut = (
            meta.seq,
            meta.first,
            meta.count,
            meta.tokens,
            meta.cut,
        )
        self._gaps = meta.gaps
        self._table, self._partition = table, partition
        ends_ms = (
            self.at_ms + idle_ms
        )  # not by a clock that is behind: the conversation would have ended for all others
        self._sets: dict[str, Any] = {
            "mark": mark,
            "rev": meta.revision + 1,
            "at": self.at_ms,
            "la": self.at_ms,
            "ends_ms": ends_ms,
            "ttl": seconds_of(ends_ms),
        }
        self._tests: list[Test] = [("rev", "=", meta.revision), ("ends_ms", ">", now_ms), ("xa", ">", now_ms)]
        if turn and text(meta.item, "turn") == turn:
            self._tests.append(("turn", "=", turn))
            self._sets["turn_ms"] = 0
        else:
            self._tests.append(nobodys_turn(now_ms))

    def add(self, new: Prepared, held: int | None) -> Message:
        """Adds a message. `held`: the number of one that was added with its key, and is gone."""
        self.seq, self.count, self.tokens = self.seq + 1, self.count + 1, self.tokens + new.message.tokens
        ttl = seconds_of(number(self.meta.item, "xa"))
        sort = message_sort(self.gen, self.seq)
        self._put(new.item(self._partition, sort, self.at_ms, ttl), ("PK", "missing"))
        self.proof = sort, new.place
        if new.message.key is not None:
            item = item_of(self._partition, key_sort(self.gen, new.message.key), seq=self.seq, ttl=ttl)
            self._put(item, ("PK", "missing") if held is None else ("seq", "=", held))
        return new.added(self.seq, self.at_ms)

    def _put(self, item: Item, test: Test) -> None:
        self.parts.append({"Put": put(self._table, item, test)})

    def edit(self, item: Item, *, place: str, body: bytes, tokens: int) -> Item:
        """Gives a message another content. The message as it is stored then."""
        edited = item | {name: value_of(value) for name, value in (("place", place), ("body", body), ("tok", tokens))}
        edited["ed"] = value_of(self.at_ms)
        check_size(edited)
        self._put(edited, ("place", "=", item["place"]["S"]))
        self.proof = item["SK"]["S"], place
        self.tokens += tokens - number(item, "tok")
        self._forget_summary(seq_of(item))
        return edited

    def remove(self, items: Sequence[Item]) -> None:
        """Takes messages out, with their items."""
        for item in items:
            key = key_of(self._partition, item["SK"]["S"])
            self.parts.append({"Delete": remove(self._table, key, ("PK", "exists"))})
        self.pass_over(items)

    def pass_over(self, items: Iterable[Item], gap: tuple[int, int] | None = None) -> None:
        """Takes messages out. `gap`: their items may stay for a while, and whatever has these numbers is gone."""
        listed = list(items)
        self.count -= len(listed)
        self.tokens -= sum(number(item, "tok") for item in listed)
        self.cut = self.meta.revision + 1
        if gap is not None:
            kept = [pair for pair in self._gaps if pair[0] < gap[0]]
            self._gaps = (*kept[:-1], (kept[-1][0], gap[1])) if kept and kept[-1][1] >= gap[0] - 1 else (*kept, gap)
        self._forget_summary(gap[0] if gap else min(map(seq_of, listed)))

    def clear(self) -> None:
        """Takes all messages out: none of another `gen` is shown."""
        self.gen, self.first, self._gaps = new_gen(), self.seq + 1, ()
        self.count = self.tokens = 0
        self.cut = self.meta.revision + 1
        self._sets |= {"s": None, "su": 0}

    def _forget_summary(self, seq: int) -> None:
        """Forgets a summary of this message; not one that others keep meanwhile, so that there must be none."""
        upto = number(self.meta.item, "su")
        self._tests.append(("su", "=", upto))
        if seq <= upto:
            self._sets |= {"s": None, "su": 0}

    def items(self) -> list[Params]:
        """The transaction."""
        self._sets |= {
            "gen": self.gen,
            "seq": self.seq,
            "first": self.first,
            "n": self.count,
            "tok": self.tokens,
            "cut": self.cut,
            "gaps": written_gaps(self._gaps),
        }
        key = key_of(self._partition, META)
        return [{"Update": update(self._table, key, self._sets, *self._tests)}, *self.parts]

    def after(self) -> Item:
        """What is told of the conversation once it has happened."""
        item = self.meta.item | {name: value_of(value) for name, value in self._sets.items() if value is not None}
        return {name: value for name, value in item.items() if self._sets.get(name, value) is not None}


def nobodys_turn(now_ms: int) -> Test:
    """Holds where it is nobody's turn, or for longer than anybody takes it: then clocks disagree, and it is not waited for."""
    return ("turn_ms", "beyond", now_ms, now_ms + TURN_MS)


def turn_left_ms(item: Item, now_ms: int) -> int:
    """For how many milliseconds it is somebody's turn; 0 for nobody's, as above."""
    left = number(item, "turn_ms") - now_ms
    return left if 0 < left <= TURN_MS else 0


def take_turn(table: str, partition: str, turn: str, now_ms: int) -> Params:
    """The request by which a call that has lost takes a turn: until it is over, no other process changes messages."""
    tests: list[Test] = [("ends_ms", ">", now_ms), ("xa", ">", now_ms), nobodys_turn(now_ms)]
    sets = {"turn": turn, "turn_ms": now_ms + TURN_MS}
    return update(table, key_of(partition, META), sets, *tests) | {"ReturnValues": "ALL_NEW"}


def keys_held(parts: Sequence[Params], reasons: Sequence[Params]) -> dict[str, int | None]:
    """Of a transaction that was cancelled: the keys that were held by another message than it took them for, and by which."""
    held: dict[str, int | None] = {}
    for part, reason in zip(parts, reasons, strict=True):
        item = part["Put"]["Item"] if "Put" in part else {}
        sort = text(item, "SK") or ""
        if sort.startswith("K#") and reason.get("Code") == "ConditionalCheckFailed":
            held[sort.split("#", 2)[2]] = number(reason["Item"], "seq") if reason.get("Item") else None
    return held
