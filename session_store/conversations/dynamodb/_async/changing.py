"""How a conversation is changed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from session_store import CommitUnknownError, RevisionConflictError
from session_store.conversations._core.values import Message
from session_store.conversations.dynamodb._async.table import AsyncTable, Cancelled, code_of
from session_store.conversations.dynamodb._async.telling import AsyncTelling
from session_store.conversations.dynamodb._core.changes import Change, Prepared, keys_held, take_turn, turn_left_ms
from session_store.conversations.dynamodb._core.expressions import Item
from session_store.conversations.dynamodb._core.items import (
    Meta,
    key_of,
    key_sort,
    message_sort,
    meta_of,
    number,
    seq_of,
    text,
)
from session_store.conversations.errors import MessageNotFoundError, TokenBudgetError

_LOSSES = 4  # attempts before a turn is taken
_LONGEST_LOOK = 0.04  # seconds that a call waits for the end of another's turn, until it looks again


class Planned(NamedTuple):
    """What a change is to be, and what its caller gets of it. None: nothing is to be changed."""

    change: Change | None
    result: Any


class Plan:
    """A change that is planned anew for each state of the conversation that it is tried on."""

    def __init__(self, work: Callable[[Plan, Meta], Awaitable[Planned]]) -> None:
        self.work = work
        self.keys: dict[str, int | None] = {}  # by which message each was held when it was last seen, None: by none
        self.gen = ""  # where that was
        self.turn = ""  # by which it takes a turn, once it has lost


class AsyncChanging(AsyncTelling):
    """The handle of a conversation, as far as its messages change; see `AsyncDynamoDBConversation`."""

    __slots__ = ()

    def _begin(self, plan: Plan, meta: Meta) -> Change:
        table: AsyncTable = self._table
        mark = secrets.token_hex(16)
        now_ms, idle_ms = table.now_ms(), table.idle_ms
        return Change(table.name, self._partition, meta, now_ms=now_ms, idle_ms=idle_ms, mark=mark, turn=plan.turn)

    async def _change(self, work: Callable[[Plan, Meta], Awaitable[Planned]]) -> Any:
        """What a change gives. It is planned for what is known of the conversation, and again for what is known by then.

        What refuses it, or makes it nothing, is looked at anew before it is believed.
        """
        plan, made, attempt = Plan(work), [], 1
        async with self._table.line(self._partition):
            meta = meta_of(self._known, self._table.now_ms())
            is_fresh = meta is None
            if meta is None:
                meta = await self._look()
            while True:
                try:
                    change, result = await plan.work(plan, meta)
                except (MessageNotFoundError, RevisionConflictError, TokenBudgetError):
                    if is_fresh:
                        raise
                    change = None
                if change is None:
                    if is_fresh:
                        return result
                    meta, is_fresh = await self._look(), True
                    continue
                made.append((change, result))
                self._known = None  # if it is not known what comes of this, nothing is
                cancelled, attempt = await self._table.transact(self._partition, change.items(), change.mark, attempt)
                if cancelled is None:
                    self._known = change.after()
                    return result
                held = cancelled.reasons[0].get("Item")
                done = await self._done_before(held, made, cancelled, attempt)
                if done is not None:
                    self._known = held
                    return done.result
                plan.keys |= keys_held(change.parts, cancelled.reasons[1:])
                self._table.check_attempts(self._partition, attempt)
                attempt += 1
                if cancelled.reasons[0].get("Code") == "ConditionalCheckFailed":
                    meta, is_fresh = await self._next(plan, self._standing(held), attempt), True

    async def _next(self, plan: Plan, meta: Meta, attempt: int) -> Meta:
        """How the conversation stands for the next attempt of a call that has lost.

        It goes on at once: who paused would lose against whoever does not. Who has lost some times in a row takes a turn, since
        a process that never pauses may always be in front of all others.
        """
        left_ms = turn_left_ms(meta.item, self._table.now_ms())
        if left_ms and text(meta.item, "turn") != plan.turn:
            await self._table.sleep(random.uniform(0, min(left_ms / 1_000, _LONGEST_LOOK)))
        elif attempt > _LOSSES and not left_ms:
            plan.turn = plan.turn or secrets.token_hex(8)
            request = take_turn(self._table.name, self._partition, plan.turn, self._table.now_ms())
            try:
                reply = await self._table.call("update_item", **request)
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                return self._standing(error.response.get("Item"))
            return self._standing(reply["Attributes"])
        return meta

    async def _done_before(
        self, held: Item | None, made: Sequence[tuple[Change, Any]], cancelled: Cancelled, attempt: int
    ) -> Planned | None:
        """That one of the attempts which was done, though it was refused when it came again."""
        mark = text(held, "mark") if held else None
        for change, result in made:
            if change.mark == mark:
                return Planned(change, result)
        change, result = made[-1]
        if not cancelled.is_open:
            return None
        if change.proof is not None:
            item = await self._table.get(self._partition, change.proof[0])
            return Planned(change, result) if item and text(item, "place") == change.proof[1] else None
        if held and number(held, "rev") == change.meta.revision:
            return None  # nothing has happened, and by this mark nothing will
        raise CommitUnknownError(self._partition, attempt)

    # Messages by number and by key.

    async def _items(self, meta: Meta, seqs: Sequence[int]) -> dict[int, Item]:
        """Some messages, those that there are."""
        keys = [key_of(self._partition, message_sort(meta.gen, seq)) for seq in seqs if meta.is_there(seq)]
        return {seq_of(item): item for item in await self._table.get_many(keys)}

    async def _raw(self, seq: int, meta: Meta) -> Item:
        """A message as it is stored."""
        item = None
        if meta.is_there(seq):
            item = await self._table.get(self._partition, message_sort(meta.gen, seq))
        if item is None:
            raise MessageNotFoundError(seq)
        return item

    async def _held(self, plan: Plan, meta: Meta, ready: Sequence[Prepared], *, ask: bool) -> dict[str, Message]:
        """The messages that were added with a key of these, as far as it is known of the key. `ask`: of which it is found out."""
        if plan.gen != meta.gen:
            plan.gen, plan.keys = meta.gen, {}
        names = [new.message.key for new in ready if new.message.key is not None]
        if ask:
            unknown = {key_sort(meta.gen, name): name for name in names if name not in plan.keys}
            plan.keys |= dict.fromkeys(unknown.values())
            for item in await self._table.get_many([key_of(self._partition, sort) for sort in unknown]):
                plan.keys[unknown[item["SK"]["S"]]] = number(item, "seq")
        seqs = [seq for name in names if (seq := plan.keys.get(name)) is not None]
        found = await self._items(meta, seqs) if seqs else {}
        messages = {seq: self._decoded(seq, item) for seq, item in found.items()}
        return {message.key: message for message in messages.values() if message.key is not None}
