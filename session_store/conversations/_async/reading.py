"""What is read of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Literal

from session_store._async.extension import AsyncExtension
from session_store._core.extension import check_int
from session_store.conversations._async.shelf import AsyncShelf
from session_store.conversations._core.arguments import bound, checked_limit, letters, optional_int
from session_store.conversations._core.records import PAGE, SLOT, TOLD, read_info, read_message
from session_store.conversations._core.values import ConversationInfo, Message, Page, Role
from session_store.conversations.errors import ConversationNotFoundError, MessageNotFoundError

_STEP = 100  # messages that `iter` reads together


class AsyncReading:
    """The handle of a conversation, as far as it reads; see `AsyncRedisConversation`."""

    __slots__ = ("_extension", "_shelf", "id")

    def __init__(self, shelf: AsyncShelf, conversation_id: str) -> None:
        self.id = conversation_id
        self._shelf = shelf
        self._extension: AsyncExtension[Any] = shelf.extension(conversation_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shelf.store!r})"

    async def _page(
        self, order: str, after: str, before: str, limit: int, *more: object
    ) -> tuple[bool, list[tuple[int, bytes]]]:
        reply = await self._extension.read(PAGE, [SLOT], order, after, before, limit, *more)
        if not isinstance(reply, list):
            raise ConversationNotFoundError
        is_more, *pairs = reply
        return bool(is_more), [(int(seq), data) for seq, data in zip(pairs[::2], pairs[1::2], strict=True)]

    async def _raw(self, seq: int) -> bytes:
        _, found = await self._page("asc", f"s{seq - 1}", f"s{seq + 1}", 1, 0, "", "")
        if not found:
            raise MessageNotFoundError(seq)
        return found[0][1]

    async def _message(self, seq: int) -> Message:
        return read_message(self._extension, seq, await self._raw(seq))

    async def _messages(self, seqs: Iterable[int]) -> dict[int, Message]:
        """Some messages by number; 1 round trip where they follow on one another."""
        left, found = set(seqs), {}
        while left:
            _, pairs = await self._page("asc", f"s{min(left) - 1}", "", len(left), 0, "", "")
            if not pairs or pairs[0][0] != min(left):
                raise MessageNotFoundError(min(left))
            for seq, data in pairs:
                if seq in left:
                    found[seq] = read_message(self._extension, seq, data)
                    left.remove(seq)
        return found

    async def latest(
        self,
        limit: int = 50,
        *,
        before: int | datetime | None = None,
        roles: Iterable[Role] | None = None,
        max_tokens: int | None = None,
    ) -> Page[Message, int]:
        """The newest messages, in their order. `cursor`: what `before` is to be for those before them.

        `before`: only messages with a smaller number, or that were created before. `roles`: only of these. `max_tokens`: as
        many of the newest as have no more tokens together, and the newest in any case. `limit`: at most 1,000.

        Raises `ConversationNotFoundError`. One script call, 1 round trip, O(messages), with `roles` O(messages passed over).
        """
        return await self._read("desc", None, before, limit, roles, 0, max_tokens, newest_last=True)

    async def messages(
        self,
        *,
        after: int | datetime | None = None,
        before: int | datetime | None = None,
        limit: int = 100,
        roles: Iterable[Role] | None = None,
        order: Literal["asc", "desc"] = "asc",
        offset: int = 0,
    ) -> Page[Message, int]:
        """Messages in their order, or with `order="desc"` the newest first. `cursor`: what `after`, or `before`, is to be next.

        `after`, `before`: numbers, or times with a time zone; both exclusive. `offset`: how many to pass over. The rest is as
        in `latest`.
        """
        if order not in ("asc", "desc"):
            raise ValueError("order must be 'asc' or 'desc'")
        return await self._read(order, after, before, limit, roles, offset, None, newest_last=False)

    async def _read(  # noqa: PLR0917  # what both of the above ask for
        self,
        order: str,
        after: int | datetime | None,
        before: int | datetime | None,
        limit: int,
        roles: Iterable[Role] | None,
        offset: int,
        max_tokens: int | None,
        *,
        newest_last: bool,
    ) -> Page[Message, int]:
        bounds = bound(after, "after"), bound(before, "before")
        wanted, budget = letters(roles), optional_int(max_tokens, "max_tokens")
        most = 0 if checked_limit(limit) and wanted is None else limit  # of no role there is none
        is_more, found = await self._page(order, *bounds, most, check_int(offset, "offset"), wanted or "", budget)
        cursor = found[-1][0] if is_more and found else None
        items = [read_message(self._extension, seq, data) for seq, data in found]
        return Page(tuple(items[::-1] if newest_last else items), cursor)

    async def iter(
        self, *, after: int | datetime | None = None, roles: Iterable[Role] | None = None
    ) -> AsyncIterator[Message]:
        """All messages in their order, those that come meanwhile as well. 1 round trip for each 100."""
        wanted = None if roles is None else list(roles)
        while True:
            page = await self.messages(after=after, limit=_STEP, roles=wanted)
            for message in page.items:
                after = message.seq
                yield message
            if page.cursor is None:
                return

    async def info(self) -> ConversationInfo | None:
        """What is told of it; None where there is no such conversation. One script call, 1 round trip, O(1)."""
        reply = await self._extension.read(TOLD, [SLOT])
        return read_info(self._extension, self.id, reply) if isinstance(reply, list) else None

    async def _existing(self) -> ConversationInfo:
        """What `info` tells; raises `ConversationNotFoundError` where there is none."""
        info = await self.info()
        if info is None:
            raise ConversationNotFoundError
        return info
