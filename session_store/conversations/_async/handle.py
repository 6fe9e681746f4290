"""What the handle of a conversation has, whichever back end keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Literal

from session_store._core.extension import check_int
from session_store.conversations._core.arguments import bound, checked_limit, letters, optional_int
from session_store.conversations._core.values import ConversationInfo, Message, NewMessage, Page, Role
from session_store.conversations.errors import ConversationNotFoundError

_STEP = 100  # messages that `iter` reads together


class AsyncHandle(ABC):
    """The handle of a conversation, as far as it is the same on all back ends."""

    __slots__ = ("id",)

    id: str

    @abstractmethod
    async def _page(
        self, order: str, after: str, before: str, limit: int, *more: Any
    ) -> tuple[bool, list[tuple[int, Any]]]:
        """Whether there are more messages, and some as they are stored. `more`: how many to pass over, letters, tokens."""

    @abstractmethod
    def _decoded(self, seq: int, data: Any) -> Message:
        """A message as it is stored."""

    @abstractmethod
    async def append_many(
        self, messages: Iterable[NewMessage], *, expected_revision: int | None = None, max_tokens: int | None = None
    ) -> list[Message]:
        """Add messages in this order: all, or none."""

    @abstractmethod
    async def info(self) -> ConversationInfo | None:
        """What is told of it; None where there is no such conversation."""

    async def append(
        self,
        role: Role,
        content: Any,
        *,
        tokens: int = 0,
        metadata: Any = None,
        key: str | None = None,
        expected_revision: int | None = None,
        max_tokens: int | None = None,
    ) -> Message:
        """Add a message. See `NewMessage` and `append_many`."""
        message = NewMessage(role, content, tokens, metadata, key)
        (added,) = await self.append_many([message], expected_revision=expected_revision, max_tokens=max_tokens)
        return added

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

        Raises `ConversationNotFoundError`. 1 round trip on Redis; the class of the handle tells what it costs.
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
        items = [self._decoded(seq, data) for seq, data in found]
        return Page(tuple(items[::-1] if newest_last else items), cursor)

    async def iter(
        self, *, after: int | datetime | None = None, roles: Iterable[Role] | None = None
    ) -> AsyncIterator[Message]:
        """All messages in their order, those that come meanwhile as well. Read as by `messages`, 100 at once."""
        wanted = None if roles is None else list(roles)
        while True:
            page = await self.messages(after=after, limit=_STEP, roles=wanted)
            for message in page.items:
                after = message.seq
                yield message
            if page.cursor is None:
                return

    async def _existing(self) -> ConversationInfo:
        """What `info` tells; raises `ConversationNotFoundError` where there is none."""
        info = await self.info()
        if info is None:
            raise ConversationNotFoundError
        return info
