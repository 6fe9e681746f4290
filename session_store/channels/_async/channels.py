"""Channels: streams that survive a reload, a reconnect, and the death of a worker."""

from __future__ import annotations

import asyncio  # async only
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Generic
from weakref import WeakKeyDictionary  # async only

from session_store._async.extension import client_of, page_of, read_each
from session_store._async.store import AsyncSessionStore
from session_store._core.directories import Page
from session_store._core.extension import Duration, check_int, kind_of, to_milliseconds
from session_store.channels._async._flavour import together
from session_store.channels._async.bells import Bells  # async only
from session_store.channels._async.channel import AsyncChannel
from session_store.channels._core.records import READ, Log
from session_store.channels.errors import ChannelEndedError, HeldError
from session_store.codecs import V

_TOLD_MS = 60_000
_NO_PUBSUB = "the client has no pub/sub: give AsyncChannels(bells=) one that has, to any node"  # async only
_TOGETHER = 200  # channels to which the same is sent together


class AsyncChannels(Generic[V]):
    """Channels in a store: each is a slot of a namespace.

    - `store`: an `AsyncSessionStore`; its codec takes the data of events.
    - `ttl`: seconds or timedelta that a channel lives after the last event.
    - `keep`: how many events are kept of each; older ones are dropped.
    - `bells`: a `redis.asyncio` client for pub/sub; None: the store's. A cluster's client needs redis-py 8.1 for that.

    Making one does no I/O. One is made per process; `close` ends its connection.
    """

    def __init__(
        self, store: AsyncSessionStore[V], *, ttl: Duration = 3600, keep: int = 10_000, bells: Any = None
    ) -> None:
        if not isinstance(store, AsyncSessionStore):
            raise TypeError(f"store must be of the class AsyncSessionStore, got {kind_of(store)}")
        self.store = store
        self.ttl_ms = to_milliseconds(ttl, "ttl")
        self.keep = check_int(keep, "keep", 1)
        self.told_ms = min(_TOLD_MS, self.ttl_ms // 4)
        self._client = client_of(store) if bells is None else bells
        pool = getattr(client_of(store), "connection_pool", None)
        self.database: int = getattr(pool, "connection_kwargs", {}).get("db") or 0  # pub/sub does not tell them apart
        self._bells: WeakKeyDictionary[asyncio.AbstractEventLoop, Bells] = WeakKeyDictionary()  # async only
        self._attached = store.directory("channel-attached")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    async def __aenter__(self) -> AsyncChannels[V]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what this event loop has of it: those who follow are told by an error of theirs. The client is the caller's."""
        if (heard := self._bells.pop(asyncio.get_running_loop(), None)) is not None:  # async only
            await heard.close()  # async only

    def channel(self, namespace: str, name: str) -> AsyncChannel[V]:
        """A channel of a namespace, whether there is one or not; `name` is a slot. No I/O. Raises `InvalidNameError`."""
        return AsyncChannel(self, namespace, name)

    @property  # async only
    def bells(self) -> Bells:  # async only
        """Where the bells of this event loop are heard."""  # async only
        loop = asyncio.get_running_loop()  # async only
        if (bells := self._bells.get(loop)) is None:  # async only
            if not hasattr(self._client, "pubsub"):  # async only
                raise TypeError(_NO_PUBSUB)  # async only
            bells = self._bells[loop] = Bells(self._client)  # async only
        return bells  # async only

    async def enlist(self, channel: AsyncChannel[V]) -> None:
        """Tells the list of those that somebody is attached to of one. 1 round trip."""
        await self._attached.add(channel.name, channel.namespace, ttl=self.ttl_ms / 1000)

    async def live(self, name: str, *, limit: int = 50, cursor: str | None = None) -> Page[str]:
        """A page of the namespaces to whose channel `name` somebody is attached at this time.

        `cursor`: that of the page before, for which see `Directory`. 2 round trips, on a cluster one more to each primary.
        """

        async def look(names: Sequence[str]) -> list[str | None]:
            replies = await read_each(self.store, READ, names, name, 2**53, "", 0, 0)
            logs = [None if reply is None else Log.of(reply) for reply in replies]
            alive = [log is not None and log.state.is_attached for log in logs]
            return [each if lives else None for each, lives in zip(names, alive, strict=True)]

        page = await page_of(self._attached, name, look, limit=limit, cursor=cursor)
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
            channels = [self.channel(each, name) for each in dict.fromkeys(page.items)]
            for first in range(0, len(channels), _TOGETHER):
                batch = channels[first : first + _TOGETHER]
                count += sum(await together([partial(self._send, each, kind, data) for each in batch]))
            cursor = page.cursor
            if cursor is None:
                return count

    async def _send(self, channel: AsyncChannel[V], kind: str, data: V) -> bool:
        try:
            return bool(await channel.add(kind, data, begins=False))
        except (ChannelEndedError, HeldError):
            return False
