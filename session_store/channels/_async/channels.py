"""Channels: streams that survive a reload, a reconnect, and the death of a worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any  # async only

from session_store._async.extension import client_of, page_of, read_each
from session_store._async.store import AsyncSessionStore
from session_store._core.directories import Page
from session_store._core.extension import Duration, check_int, kind_of, to_milliseconds
from session_store.channels._async._flavour import together
from session_store.channels._async._following import Hearing
from session_store.channels._async.channel import AsyncChannel
from session_store.channels._async.log import AsyncLog, AsyncShared
from session_store.channels._core.records import READ, Found, Settings
from session_store.channels.errors import ChannelEndedError, HeldError
from session_store.codecs import V

_TOLD_MS = 60_000
_TOGETHER = 200  # channels to which the same is sent together


class AsyncChannels(Hearing[V]):
    """Channels in a store: each is a slot of a namespace.

    - `store`: an `AsyncSessionStore`; its codec takes the data of events.
    - `ttl`: seconds or timedelta that a channel lives after the last event.
    - `keep`: how many events are kept of each; older ones are dropped.
    - `bells`: a client for pub/sub; None: the store's. A cluster's client needs redis-py 8.1 for that. (async only)

    Making one does no I/O. One is made per process.
    """

    def __init__(
        self,
        store: AsyncSessionStore[V],
        *,
        ttl: Duration = 3600,
        keep: int = 10_000,
        bells: Any = None,  # async only
    ) -> None:
        if not isinstance(store, AsyncSessionStore):
            raise TypeError(f"store must be of the class AsyncSessionStore, got {kind_of(store)}")
        self.store = store
        ttl_ms = to_milliseconds(ttl, "ttl")
        pool = getattr(client_of(store), "connection_pool", None)
        database = getattr(pool, "connection_kwargs", {}).get("db") or 0
        settings = Settings(ttl_ms, check_int(keep, "keep", 1), min(_TOLD_MS, ttl_ms // 4), database)
        self._shared = AsyncShared(store, settings, store.directory("channel-attached"))
        self._hear(self._shared, client_of(store) if bells is None else bells)  # async only

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    def channel(self, namespace: str, name: str) -> AsyncChannel[V]:
        """A channel of a namespace, whether there is one or not; `name` is a slot. No I/O. Raises `InvalidNameError`."""
        return AsyncChannel(AsyncLog(self._shared, namespace, name))

    async def live(self, name: str, *, limit: int = 50, cursor: str | None = None) -> Page[str]:
        """A page of the namespaces to whose channel `name` somebody is attached at this time.

        `cursor`: that of the page before, for which see `Directory`. 2 round trips, on a cluster one more to each primary.
        """

        async def look(names: Sequence[str]) -> list[str | None]:
            replies = await read_each(self.store, READ, names, name, 2**53, "", 0, 0)
            logs = [None if reply is None else Found.of(reply) for reply in replies]
            alive = [log is not None and log.state.is_attached for log in logs]
            return [each if lives else None for each, lives in zip(names, alive, strict=True)]

        page = await page_of(self._shared.attached, name, look, limit=limit, cursor=cursor)
        return Page(tuple(each for _, each in page), page.cursor)

    async def send(self, namespaces: Iterable[str] | None, name: str, data: V, *, kind: str = "message") -> int:
        """Publish the same in the channel `name` of many namespaces. Returns in how many.

        `namespaces`: None: all to whose channel somebody is attached. Where there is no such channel, where it has ended, or where
        somebody produces it, nothing is done. 1 round trip for each, which on one server travel together; with None those of `live`.
        """
        if isinstance(namespaces, str):
            raise TypeError("namespaces must be an iterable of names, not one str")
        count, cursor = 0, None
        while True:
            page = (
                Page(tuple(namespaces), None)
                if namespaces is not None
                else await self.live(name, limit=_TOGETHER, cursor=cursor)
            )
            logs = [AsyncLog(self._shared, each, name) for each in dict.fromkeys(page.items)]
            for first in range(0, len(logs), _TOGETHER):
                batch = logs[first : first + _TOGETHER]
                count += sum(await together([partial(self._send, each, kind, data) for each in batch]))
            cursor = page.cursor
            if cursor is None:
                return count

    async def _send(self, log: AsyncLog[V], kind: str, data: V) -> bool:
        try:
            return bool(await log.add(kind, data, begins=False))
        except (ChannelEndedError, HeldError):
            return False
