"""How conversations lie in a table.

A conversation is the items of one partition key, `C#<id>`:

- `#`: what is told of it and where it stands. `gen` is drawn when it is created and when all of its messages are taken out;
  `born` is the first one. `rev`, `ver`: revision and version. `seq`, `first`, `n`, `tok`: the last number, the first one of this
  `gen`, how many messages and tokens. `gaps`: numbers whose messages are gone, though their items may still be there. `cut`: the
  revision at which messages last went. `at`: when messages changed last. `ca`, `la`: created, last activity. `ends_ms`: when it ends
  if nothing is written; `xa`: when it ends whatever happens. `mark`, `um`: whose change of messages, and of what is told, was the last.
  `turn`, `turn_ms`: which call may change messages now, until when; others wait. `u`, `a`, `st`: user, agent, status; `t`, `g`, `x`, `s`: title, tags, metadata, summary, by the codec; `su`: up to where that goes.
  `UK`, `AK`, `CK`: keys of the two indexes, the first two only where there is a user, an agent.
- `M#<gen>#<seq>`: a message: `at`, `ed`: created, edited; `tok`, `role`, `place`, `key`, and `body` by the codec.
- `K#<gen>#<key>`: `seq` of the message that was added with this key. Where there is no such message, the key is free.

`ttl`, in whole seconds, is when DynamoDB may delete an item, some days late; whether it has ended is read from `ends_ms` and `xa`.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from session_store._core.extension import KeySpace, decoded, moment, values_of
from session_store.conversations._core.bodies import OF_LETTERS, content_of, from_json
from session_store.conversations._core.values import ConversationInfo, Message, Summary
from session_store.conversations.dynamodb._core.expressions import Item, value_of

META = "#"
KEYS = ("PK", "SK")
INDEXES = {
    "user": ("by-user", "UK", "U"),
    "agent": ("by-agent", "AK", "A"),
}  # name, partition key, what that begins with
_names = KeySpace("conversations", hash_tags=False)


def now_us() -> int:
    """Microseconds since the epoch, by the clock of who writes."""
    return time.time_ns() // 1_000


def partition_of(conversation_id: str) -> str:
    """The partition key of a conversation. Raises `InvalidNameError`."""
    _names.base(conversation_id)
    return f"C#{conversation_id}"


def message_sort(gen: str, seq: int) -> str:
    """The sort key of a message."""
    return f"M#{gen}#{seq:012d}"


def key_sort(gen: str, key: str) -> str:
    """The sort key of what says which message was added with a key."""
    return f"K#{gen}#{key}"


def key_of(partition: str, sort: str) -> Item:
    """An item's key."""
    return {"PK": {"S": partition}, "SK": {"S": sort}}


def item_of(partition: str, sort: str, **attributes: Any) -> Item:
    """An item; None: without this attribute."""
    return key_of(partition, sort) | {name: value_of(value) for name, value in attributes.items() if value is not None}


def seq_of(item: Item) -> int:
    """The number of a message."""
    return int(item["SK"]["S"].rpartition("#")[2])


def number(item: Item, attribute: str) -> int:
    """A number that an item has; 0: it has none."""
    return int(item[attribute]["N"]) if attribute in item else 0


def text(item: Item, attribute: str) -> str | None:
    """A text that an item has."""
    value: str | None = item[attribute]["S"] if attribute in item else None
    return value


def seconds_of(ms: int) -> int:
    """Whole seconds, rounded up: what is deleted by them has ended."""
    return -(-ms // 1_000)


def new_gen() -> str:
    """8 random characters."""
    return secrets.token_urlsafe(6)


@dataclass(frozen=True, slots=True)
class Meta:
    """Where a conversation stands."""

    item: Item
    gen: str
    revision: int
    seq: int
    first: int
    count: int
    tokens: int
    at_ms: int
    cut: int
    ends_ms: int  # or before that, where nothing is written
    gaps: tuple[tuple[int, int], ...]

    def is_there(self, seq: int) -> bool:
        """Whether this can be the number of a message that is there."""
        return self.first <= seq <= self.seq and not any(low <= seq <= high for low, high in self.gaps)

    @property
    def holes(self) -> int:
        """How many numbers there are of messages that are not."""
        return self.seq - self.first + 1 - self.count


def meta_of(item: Item | None, now_ms: int) -> Meta | None:
    """Where a conversation stands by this item; None where there is none, or it has ended."""
    if not item:
        return None
    ends_ms = min(number(item, "ends_ms"), number(item, "xa"))
    if ends_ms <= now_ms:
        return None
    pairs = [pair.split("-") for pair in (text(item, "gaps") or "").split(",") if pair]
    return Meta(
        item,
        item["gen"]["S"],
        revision=number(item, "rev"),
        seq=number(item, "seq"),
        first=number(item, "first"),
        count=number(item, "n"),
        tokens=number(item, "tok"),
        at_ms=number(item, "at"),
        cut=number(item, "cut"),
        ends_ms=ends_ms,
        gaps=tuple((int(low), int(high)) for low, high in pairs),
    )


def written_gaps(gaps: tuple[tuple[int, int], ...]) -> str | None:
    """Gaps as they are stored."""
    return ",".join(f"{low}-{high}" for low, high in gaps) or None


def labels_of(told: dict[str, Any]) -> dict[str, str | None]:
    """The keys of the indexes for a user and an agent, as far as they are told: None where it is to have none."""
    fields = {"user": "u", "agent": "a"}
    found: dict[str, str | None] = {}
    for label, (_, attribute, letter) in INDEXES.items():
        if fields[label] in told:
            value = told[fields[label]]
            found[attribute] = None if value is None else index_key(letter, label, value)
    return found


def index_key(letter: str, label: str, value: str) -> str:
    """The partition key of a list."""
    if len(value.encode()) > 2_000:  # of 2,048
        raise ValueError(f"{label} must have at most 2000 bytes as UTF-8")
    return f"{letter}#{value}"


class Values:
    """The codec of the places of one conversation."""

    __slots__ = ("_partition", "_values")

    def __init__(self, codec: Any, table: str, conversation_id: str) -> None:
        self._partition = partition_of(conversation_id)
        self._values = values_of(codec, table, conversation_id)

    def encode(self, slot: str, value: Any, field: str) -> bytes:
        """A value as the codec writes it at this place."""
        return self._values.encode(slot, field, value)

    def decode(self, slot: str, data: bytes, field: str) -> Any:
        """A value that was read at this place. Raises `CodecError`."""
        return decoded(self._partition.encode(), self._values.decode, slot, field, data)


def read_message(values: Values, item: Item) -> Message:
    """A message as it is stored."""
    content, metadata = content_of(values, item["place"]["S"], item["body"]["B"])
    return Message(
        seq_of(item),
        OF_LETTERS[item["role"]["S"]],
        content,
        number(item, "tok"),
        metadata,
        text(item, "key"),
        moment(number(item, "at")),
        moment(number(item, "ed")) if "ed" in item else None,
    )


def read_info(values: Values, conversation_id: str, meta: Meta) -> ConversationInfo:
    """What is told of a conversation."""
    item = meta.item
    title, tags, metadata, summary = (
        from_json(values, name, item[name]["B"]) if name in item else None for name in ("t", "g", "x", "s")
    )
    return ConversationInfo(
        id=conversation_id,
        user=text(item, "u"),
        agent=text(item, "a"),
        status=item["st"]["S"],
        title=title,
        tags=tuple(tags or ()),
        metadata=metadata,
        revision=meta.revision,
        version=number(item, "ver"),
        last_seq=meta.seq,
        count=meta.count,
        tokens=meta.tokens,
        summary=None if summary is None else Summary(*summary),
        created_at=moment(number(item, "ca")),
        last_activity=moment(max(number(item, "la"), meta.at_ms)),
        expires_at=moment(meta.ends_ms),
    )
