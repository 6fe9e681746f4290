"""One conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from session_store import RevisionConflictError
from session_store._core.extension import check_int
from session_store.conversations._core.arguments import checked_messages, optional_int
from session_store.conversations._core.bodies import encoded_body, new_place
from session_store.conversations._core.values import UNSET, Message, NewMessage, Unset
from session_store.conversations.dynamodb._async.changing import AsyncChanging, Plan, Planned
from session_store.conversations.dynamodb._core.changes import Change, Prepared, check_items, check_size, prepared
from session_store.conversations.dynamodb._core.expressions import Item
from session_store.conversations.dynamodb._core.items import Meta, item_of, message_sort, number, seq_of
from session_store.conversations.errors import TokenBudgetError


class AsyncDynamoDBConversation(AsyncChanging):
    """One conversation; made by `AsyncDynamoDBConversations.conversation`, cheaply and without I/O, for each request.

    Its messages have numbers, `seq`, from 1 on, in the order in which they were taken; no time is before that of the message
    before, whatever the clocks of writers do. Each change of messages is one transaction on what is known of the conversation:
    all of it happens, or nothing, and once even where it is sent again. A handle knows the conversation from its last call;
    what changes one that it does not know begins with a GetItem. Who loses against another writer is told how the
    conversation stands, and tries again without reading; who has lost four times takes a turn (an UpdateItem), for which other processes wait,
    half a second at most. `CasContentionError` after as many attempts as `cas_policy` has.
    The calls of one process on a conversation go one after the other, so that they do not make each other lose.

    Whatever changes messages raises `ConversationNotFoundError` where there is no such conversation, `RevisionConflictError`
    where `expected_revision` is not that of the conversation any more, `MessageTooLargeError` before anything is sent for an
    item of more than 400,000 bytes, more than 99 items together or more than 3,700,000 bytes, and `CommitUnknownError` where an
    answer was lost and what happened cannot be told. Errors of botocore pass through.

    Costs: W is a write unit (1 KB), R a read unit of a strong read (4 KB), each rounded up for each item; of a handle that knows
    the conversation, and without other writers. `append`, `append_many`: a transaction, 2 W for the conversation and 2 W a
    message, 2 W more for a key; no index is written. `edit`, `delete`: a GetItem or BatchGetItem, then a transaction, 2 W for the
    conversation and 2 W a message. `clear`: a transaction, 2 W, and then 1 W a message for deleting them, 25 in a request;
    `replace`: the same and what it adds, and where it keeps some messages, before it, a read of those that go. `info`: 1 R. `latest`,
    `messages`: GetItem and Query at once, 1 R and the messages by their size together; one after the other of a handle that
    knows nothing. 1 R and a trip more where some numbers on the page are of messages that were deleted; a bound that is a
    time, one for each halving of the messages. `roles`, `offset`: what is passed over costs as if it were read. `update`,
    `set_summary`, `touch`: an UpdateItem, 1 W, and 1 or 2 W more for each of user and agent that changes.
    """

    __slots__ = ()

    # Messages come.

    async def append_many(
        self,
        messages: Iterable[NewMessage],
        *,
        expected_revision: int | None = None,
        max_tokens: int | None = None,
    ) -> list[Message]:
        """Add messages in this order: all, or none. Returns them.

        A message whose `key` the conversation has is not added again: the one that is there is returned in its place, and
        where this holds for all of them nothing is checked or changed. `max_tokens`: what the conversation may have together
        with them; where it would be more, that is a `TokenBudgetError`.

        Raises `TypeError` and `ValueError` for what is no message before anything is sent. At most 99, one with a key counts
        twice. 1 round trip; 2 or 3 more where some were there.
        """
        listed = checked_messages(messages)
        optional_int(expected_revision, "expected_revision")
        optional_int(max_tokens, "max_tokens")
        ready = prepared(self._values, self._partition, listed)
        if not listed:
            return []

        async def work(plan: Plan, meta: Meta) -> Planned:
            held = await self._held(plan, meta, ready, ask=False)
            refusal = self._refusal(meta, ready, held, expected_revision, max_tokens)
            if refusal is not None and any(new.message.key for new in ready):  # what is there already is not refused
                held = await self._held(plan, meta, ready, ask=True)
                refusal = self._refusal(meta, ready, held, expected_revision, max_tokens)
            if refusal is not None:
                raise refusal
            change = self._begin(plan, meta)
            return Planned(*self._added(plan, change, ready, held))

        return list(await self._change(work))

    def _added(
        self, plan: Plan, change: Change, ready: Sequence[Prepared], held: dict[str, Message]
    ) -> tuple[Change | None, list[Message]]:
        """Adds what is not there; what its caller gets."""
        added = [
            held[key] if (key := new.message.key) in held else change.add(new, plan.keys.get(key or ""))
            for new in ready
        ]
        return (change if len(held) < len(ready) else None), added

    @staticmethod
    def _refusal(
        meta: Meta,
        ready: Sequence[Prepared],
        held: dict[str, Message],
        expected_revision: int | None,
        max_tokens: int | None,
    ) -> RevisionConflictError | TokenBudgetError | None:
        """Why messages are not added, of which some are there."""
        asked = [new.message.tokens for new in ready if new.message.key not in held]
        if asked and expected_revision is not None and meta.revision != expected_revision:
            return RevisionConflictError(expected_revision, meta.revision)
        if asked and max_tokens is not None and meta.tokens + sum(asked) > max_tokens:
            return TokenBudgetError(max_tokens, meta.tokens, sum(asked))
        return None

    @staticmethod
    def _check_revision(meta: Meta, expected: int | None) -> None:
        if expected is not None and expected != meta.revision:
            raise RevisionConflictError(expected, meta.revision)

    # Messages change, and go.

    async def edit(
        self,
        seq: int,
        content: Any,
        *,
        tokens: int | Unset = UNSET,
        metadata: Any = UNSET,
        expected_revision: int | None = None,
    ) -> Message:
        """Give a message another content; its number, role, key and time stay. Returns it. What is UNSET stays as it is.

        Raises `MessageNotFoundError`. GetItem and a transaction, 2 round trips.
        """
        check_int(seq, "seq", 1)
        if tokens is not UNSET:
            check_int(tokens, "tokens")
        optional_int(expected_revision, "expected_revision")
        place = new_place()
        kept = None if metadata is UNSET else metadata
        body = encoded_body(self._values, place, content, kept)
        check_size(item_of(self._partition, message_sort("", seq), body=body))

        async def work(plan: Plan, meta: Meta) -> Planned:
            self._check_revision(meta, expected_revision)
            item = await self._raw(seq, meta)
            written = body
            if metadata is UNSET and (had := self._decoded(seq, item).metadata) is not None:
                written = encoded_body(self._values, place, content, had)
            change = self._begin(plan, meta)
            costs = number(item, "tok") if tokens is UNSET else tokens
            edited = change.edit(item, place=place, body=written, tokens=costs)
            return Planned(change, self._decoded(seq, edited))

        message: Message = await self._change(work)
        return message

    async def delete(self, *seqs: int, expected_revision: int | None = None) -> int:
        """Take messages out, for good. Returns how many there were. At most 99. BatchGetItem and a transaction, 2 round trips.

        A key is free again then; what says whose it was stays until the conversation ends, some 100 bytes.
        """
        numbers = sorted({check_int(seq, "seq", 1) for seq in seqs})
        optional_int(expected_revision, "expected_revision")
        check_items(len(numbers))

        async def work(plan: Plan, meta: Meta) -> Planned:
            self._check_revision(meta, expected_revision)
            found = await self._items(meta, numbers)
            if not found:
                return Planned(None, 0)
            change = self._begin(plan, meta)
            change.remove(list(found.values()))
            return Planned(change, len(found))

        return int(await self._change(work))

    async def clear(self) -> int:
        """Take all messages out; their numbers are not given again. Returns how many there were.

        A transaction, 1 round trip: from then on they are shown to nobody. Then they are deleted: a query for each 1 MB, and
        a request for each 25; who is cut off there leaves them to the table's TTL.
        """

        async def work(plan: Plan, meta: Meta) -> Planned:
            change = self._begin(plan, meta)
            change.clear()
            return Planned(change, (meta.count, meta.gen))

        count, gen = await self._change(work)
        await self._tidy(gen)
        return int(count)

    async def replace(self, messages: Iterable[NewMessage], *, after: int = 0, expected_revision: int) -> list[Message]:
        """Put messages in place of all that come after one, in one step: to make a conversation shorter.

        Returns them; they have new numbers. As many as there are can go; at most 99 can come, one with a key counts twice. What
        goes is read before, where some are kept, and deleted afterwards, as by `clear`.
        """
        listed = checked_messages(messages)
        check_int(expected_revision, "expected_revision")
        check_int(after, "after")
        ready = prepared(self._values, self._partition, listed)

        async def work(plan: Plan, meta: Meta) -> Planned:
            self._check_revision(meta, expected_revision)
            change, low, gone = self._begin(plan, meta), max(after + 1, meta.first), list[Item]()
            if low == meta.first and low <= meta.seq:
                change.clear()
                return Planned(change, ([change.add(new, None) for new in ready], meta.gen, gone))
            if low <= meta.seq:
                gone = await self._between_items(meta, low)
                change.pass_over(gone, (low, meta.seq))
            held = await self._held(plan, meta, ready, ask=True)
            held = {key: message for key, message in held.items() if message.seq < low}
            _, added = self._added(plan, change, ready, held)
            return Planned(change, (added, None, gone))

        added, gen, gone = await self._change(work)
        if gen is not None or gone:
            await self._tidy(gen, gone)
        return list(added)

    async def _between_items(self, meta: Meta, low: int) -> list[Item]:
        """The messages from a number on."""
        query = self._between(meta.gen, low, meta.seq, is_forward=True)
        del query["expression"]
        found: list[Item] = []
        async for reply in self._table.pages("query", query):
            found += [item for item in reply["Items"] if meta.is_there(seq_of(item))]
        return found
