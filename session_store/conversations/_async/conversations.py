"""Conversations on Redis."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from session_store._async.extension import page_of
from session_store._async.store import AsyncSessionStore
from session_store._core.directories import Order
from session_store._core.extension import Duration, kind_of
from session_store.conversations._async.conversation import AsyncRedisConversation
from session_store.conversations._async.shelf import LABELS, AsyncShelf
from session_store.conversations._core.arguments import OPEN, told_of
from session_store.conversations._core.bodies import SLOT, encoded
from session_store.conversations._core.lists import Wanted
from session_store.conversations._core.records import CREATE, read_info
from session_store.conversations._core.values import ConversationInfo, Page
from session_store.conversations.errors import ConversationExistsError

_TOGETHER = 200  # conversations that are read together


class AsyncRedisConversations:
    """Conversations in a store: each a namespace, with messages in one hash.

    - `store`: an `AsyncSessionStore`; its codec is asked for texts, so any will do that takes them.
    - `idle_ttl`: seconds or timedelta that a conversation lives after the last change; None: the store's `default_ttl`.
    - `max_lifetime`: how long it lives at most, whatever happens; None: there is no such time.
    - `labels`: of which there are lists, "user" and "agent".

    Making one does no I/O.
    """

    def __init__(
        self,
        store: AsyncSessionStore[Any],
        *,
        idle_ttl: Duration | None = None,
        max_lifetime: Duration | None = None,
        labels: Iterable[str] = LABELS,
    ) -> None:
        if not isinstance(store, AsyncSessionStore):
            raise TypeError(f"store must be of the class AsyncSessionStore, got {kind_of(store)}")
        listed = tuple(labels)
        if isinstance(labels, str) or not set(listed) <= set(LABELS):
            raise ValueError("labels must be some of 'user' and 'agent'")
        self.store = store
        self._shelf = AsyncShelf(store, idle_ttl, max_lifetime, listed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    async def create(
        self,
        id: str | None = None,  # noqa: A002  # the field's word
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str = "active",
        title: str | None = None,
        tags: Iterable[str] = (),
        metadata: Any = None,
    ) -> ConversationInfo:
        """Begin a conversation. What is told of it.

        `id`: a namespace's name; None: one that is drawn. `user`, `agent`: whose lists it is in. `metadata`: any JSON value.

        Raises `ConversationExistsError`, `InvalidNameError`, and `NamespacePurgedError` while a fence stands. One script call, 1
        round trip, and 1 before for each label.
        """
        conversation_id = secrets.token_hex(16) if id is None else id
        extension = self._shelf.extension(conversation_id)
        told = told_of(user=user, agent=agent, status=status, title=title, tags=tags, metadata=metadata)
        fields = {
            name: value if name in OPEN else encoded(extension, name, value)
            for name, value in told.items()
            if value is not None
        }
        await self._shelf.enlist(conversation_id, user=told["u"], agent=told["a"])
        args = [part for pair in fields.items() for part in pair]
        shelf = self._shelf
        times = (shelf.idle_ms, shelf.lifetime_ms)
        reply = await extension.once(CREATE, [SLOT], *times, *args, min_replicas=shelf.min_replicas)
        if reply == b"exists":
            raise ConversationExistsError
        if isinstance(reply, list):
            return read_info(extension, conversation_id, reply)
        return await self.conversation(conversation_id)._existing()  # noqa: SLF001  # of the same layer

    def conversation(self, id: str) -> AsyncRedisConversation:  # noqa: A002  # the field's word
        """The handle of a conversation, whether there is one or not. No I/O. Raises `InvalidNameError`."""
        return AsyncRedisConversation(self._shelf, id)

    async def infos(self, ids: Iterable[str]) -> dict[str, ConversationInfo]:
        """What is told of many conversations, by id; those that live. 1 round trip, on a cluster one to each primary."""
        if isinstance(ids, str):
            raise TypeError("ids must be an iterable of ids, not one str")
        return await self._shelf.infos(ids)

    async def list(
        self,
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: Order = "created",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ConversationInfo, str]:
        """A page of a user's or an agent's conversations that live, the latest first.

        `user`, `agent`: one of them, or both. `status`: only with this. `tags`: only with one of these. `created_after`,
        `created_before`: only from and up to these times, themselves included, with a time zone. `order`: by "created" or "active", as a
        `Directory` has it. `cursor`: that of the page before.

        Raises `ValueError` for a cursor of another list, or where neither user nor agent is given. A script call, and one for each
        in a pipeline: 2 round trips, on a cluster one more to each primary, again where the page is not full yet.
        """
        lists = self._shelf.lists
        wanted = Wanted(
            user=user,
            agent=agent,
            status=status,
            tags=tags,
            created_after=created_after,
            created_before=created_before,
            limit=limit,
            labels=tuple(lists),
        )
        of = lists[wanted.label], wanted.value
        found: list[ConversationInfo] = []
        while True:
            left = limit - len(found)
            page = await page_of(*of, self._shelf.look, limit=left, cursor=cursor, order=order)
            found += [info for _, info in page if isinstance(info, ConversationInfo) and wanted.fits(info)]
            cursor = page.cursor
            if cursor is None or len(found) == limit:
                return Page(tuple(found), cursor)

    async def prune(self, *, user: str | None = None, agent: str | None = None) -> int:
        """Forget what has ended on a list, though nobody has looked at it. How many conversations live.

        A list forgets by itself when it is looked at. 2 round trips for each 200.
        """
        count, cursor = 0, None
        while True:
            page = await self.list(user=user, agent=agent, limit=_TOGETHER, cursor=cursor)
            count += len(page.items)
            cursor = page.cursor
            if cursor is None:
                return count

    async def scan(self) -> AsyncIterator[ConversationInfo]:
        """All conversations of the store, in no order. For administration: it scans the database, as `namespaces` does."""
        names: list[str] = []
        async for name in self.store.namespaces():
            names.append(name)
            if len(names) == _TOGETHER:
                for info in (await self._shelf.infos(names)).values():
                    yield info
                names = []
        for info in (await self._shelf.infos(names)).values():
            yield info

    async def ping(self) -> float:
        """Seconds that the server takes to answer."""
        began = time.perf_counter()
        await self._shelf.infos(["ping"])
        return time.perf_counter() - began
