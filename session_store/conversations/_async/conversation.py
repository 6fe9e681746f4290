"""One conversation."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from session_store._core.extension import Script, check_int, moment
from session_store.conversations._async.reading import AsyncReading
from session_store.conversations._core.arguments import OPEN, checked_messages, label, optional_int, told_of
from session_store.conversations._core.bodies import SLOT, encoded, new_place
from session_store.conversations._core.records import (
    APPEND,
    CLEAR,
    EDIT,
    REMOVE,
    REPLACE,
    SUMMARIZE,
    TOUCH,
    UPDATE,
    Done,
    body_of,
    message_args,
    place_of,
    read_change,
    read_info,
    read_message,
)
from session_store.conversations._core.values import (
    UNSET,
    ConversationInfo,
    Message,
    NewMessage,
    Unset,
)
from session_store.conversations.errors import (
    MessageNotFoundError,
    TokenBudgetError,
)

_MOST_EDITS = 16  # of one message, before giving up on others who edit it faster


class AsyncRedisConversation(AsyncReading):
    """One conversation; made by `AsyncRedisConversations.conversation`, cheaply and without I/O, for each request.

    Its messages have numbers, `seq`, from 1 on, in the order in which the server took them. Each change is one script: all of
    it happens, or nothing, and once even where the client sends it again. Whatever changes messages raises
    `ConversationNotFoundError` where there is no such conversation, `RevisionConflictError` where `expected_revision` is not
    that of the conversation any more, `ReplicationError` where fewer replicas have it than the store's `min_replicas`, and
    `NamespacePurgedError` while a fence stands.
    """

    __slots__ = ()

    async def _once(self, script: Script, *args: object) -> tuple[bytes, list[Any]]:
        """The answer of a script that writes, and what else it gives. Tells the lists that the conversation lives, where due."""
        shelf = self._shelf
        times = (shelf.idle_ms, shelf.told_ms)
        reply = await self._extension.once(script, [SLOT], *times, *args, min_replicas=shelf.min_replicas)
        if not isinstance(reply, list):  # refused; or the call came before, and its answer alone is remembered
            return reply, []
        answer, labels, *more = reply
        if labels:
            user, agent = (None if value is None else value.decode() for value in labels)
            # The change is done: who was told of an error would make it again. The lists are told soon enough.
            with suppress(RedisError):
                await shelf.enlist(self.id, user=user, agent=agent)
        return answer, more

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

        Raises `TypeError` and `ValueError` for what is no message before anything is sent, `MessageTooLargeError` for one of
        more than 16 MiB. At most 1,000. One script call, 1 round trip, O(messages); 1 more where some were there, and 1 for each
        label once in a minute.
        """
        listed = checked_messages(messages)
        args = message_args(self._extension, listed)
        if not listed:
            return []
        asked = sum(message.tokens for message in listed)
        limits = (optional_int(expected_revision, "expected_revision"), optional_int(max_tokens, "max_tokens"))
        answer, _ = await self._once(APPEND, *limits, *args)
        done = read_change(answer, expected_revision)
        if done.rest.startswith("budget:"):
            raise TokenBudgetError(max_tokens or 0, int(done.rest.partition(":")[2]), asked)
        return await self._added(listed, done)

    async def _added(self, listed: list[NewMessage], done: Done) -> list[Message]:
        """Messages as they were added, and as they are where they were there before."""
        first, _, known = done.rest.partition(":")
        pairs = (pair.partition("=") for pair in known.split(",")) if known else ()
        seqs = {int(at): int(seq) for at, _, seq in pairs}
        there = await self._messages(seqs.values())
        number, at, added = int(first), moment(done.at_ms), []
        for each, new in enumerate(listed):
            if each in seqs:
                added.append(there[seqs[each]])
                continue
            added.append(Message(number, new.role, new.content, new.tokens, new.metadata, new.key, at, None))
            number += 1
        return added

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

        Raises `MessageNotFoundError`. One script call, 1 round trip, O(1); where `metadata` is to stay, 1 more before, to read it.
        """
        check_int(seq, "seq", 1)
        costs = "" if tokens is UNSET else check_int(tokens, "tokens")
        revision = optional_int(expected_revision, "expected_revision")
        body_of(self._extension, new_place(), content, None)  # what is none is refused before anything is read
        for _ in range(_MOST_EDITS):
            wanted, kept = "", metadata
            if metadata is UNSET:
                raw = await self._raw(seq)
                wanted, kept = place_of(raw), read_message(self._extension, seq, raw).metadata
            place = new_place()
            body = body_of(self._extension, place, content, kept)
            answer, more = await self._once(EDIT, revision, seq, costs, place, wanted, body)
            done = read_change(answer, expected_revision)
            if done.rest == "gone":
                raise MessageNotFoundError(seq)
            if done.rest != "changed":
                return read_message(self._extension, seq, more[0]) if more else await self._message(seq)
        raise RuntimeError("others edit the message faster than it can be read")

    async def delete(self, *seqs: int, expected_revision: int | None = None) -> int:
        """Take messages out, for good. Returns how many there were. One script call, 1 round trip, O(messages)."""
        numbers = [check_int(seq, "seq", 1) for seq in seqs]
        revision = optional_int(expected_revision, "expected_revision")
        answer, _ = await self._once(REMOVE, revision, *numbers)
        return int(read_change(answer, expected_revision).rest)

    async def clear(self) -> int:
        """Take all messages out; their numbers are not given again. Returns how many there were.

        One script call, 1 round trip, O(1); the server frees them beside its work.
        """
        answer, _ = await self._once(CLEAR)
        return int(read_change(answer, None).rest)

    async def replace(self, messages: Iterable[NewMessage], *, after: int = 0, expected_revision: int) -> list[Message]:
        """Put messages in place of all that come after one, in one step: to make a conversation shorter.

        Returns them; they have new numbers. One script call, 1 round trip, O(messages that go and come).
        """
        listed = checked_messages(messages)
        args = message_args(self._extension, listed)
        revision = check_int(expected_revision, "expected_revision")
        answer, _ = await self._once(REPLACE, revision, check_int(after, "after"), *args)
        return await self._added(listed, read_change(answer, expected_revision))

    # What is told of it.

    async def update(
        self,
        *,
        title: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset | None = UNSET,
        metadata: Any = UNSET,
        user: str | Unset | None = UNSET,
        agent: str | Unset | None = UNSET,
        status: str | Unset = UNSET,
        expected_version: int | None = None,
    ) -> ConversationInfo:
        """Change what is told of it; None clears, UNSET leaves as it is. Returns all of it.

        Raises `ConversationNotFoundError`, and `RevisionConflictError` where its version is not `expected_version` any more. One
        script call, 1 round trip, O(1); 2 more for a user or an agent that changes.
        """
        told = told_of(user=user, agent=agent, status=status, title=title, tags=tags, metadata=metadata)
        fields = {name: self._stored(name, value) for name, value in told.items()}
        version = optional_int(expected_version, "expected_version")
        await self._shelf.enlist(self.id, user=told.get("u"), agent=told.get("a"))
        args = [part for name, data in fields.items() for part in (name, b"" if data is None else b"=" + data)]
        answer, more = await self._once(UPDATE, version, *args)
        if not more:
            if answer != b"done":  # else the call came before, and whose it was is not known: lists leave it out
                read_change(answer, expected_version)
            return await self._existing()
        user_before, agent_before, told = more
        info = read_info(self._extension, self.id, told)
        for name, before, now in (("user", user_before, info.user), ("agent", agent_before, info.agent)):
            if before is not None and before.decode() != now:
                await self._shelf.strike(self.id, **{name: before.decode()})
        return info

    def _stored(self, field: str, value: Any) -> bytes | None:
        """What is told of it, as it is stored."""
        if value is not None and field in OPEN:
            return str(value).encode()
        return encoded(self._extension, field, value)

    async def set_summary(
        self, text: str | None, *, upto: int, tokens: int = 0, expected_revision: int | None = None
    ) -> None:
        """Keep a text that stands for the messages up to one; None takes it away.

        `info().summary` has it until one of these messages is edited or deleted. Raises `MessageNotFoundError` where the
        conversation has not come to `upto` yet. One script call, 1 round trip, O(1).
        """
        check_int(upto, "upto", 1)
        summary = None if text is None else [label(text, "text"), upto, check_int(tokens, "tokens")]
        revision = optional_int(expected_revision, "expected_revision")
        answer, _ = await self._once(SUMMARIZE, revision, upto, self._stored("s", summary) or b"")
        if answer == b"beyond":
            raise MessageNotFoundError(upto)
        if answer != b"done":
            read_change(answer, expected_revision)

    async def touch(self) -> bool:
        """Have it live on as if it had been written to. Whether there is one. One script call, 1 round trip, O(1)."""
        answer, _ = await self._once(TOUCH)
        return answer == b"done"

    async def delete_all(self) -> bool:
        """Delete the conversation, with all slots of its namespace. Whether there was anything.

        As `purge`: HKEYS and a script call, 2 round trips. A list forgets it when it comes across it, and not here: it would also
        forget one of the same id that others begin just then.
        """
        return bool(await self._shelf.store.namespace(self.id).purge())
