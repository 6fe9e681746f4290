"""Where bells are heard: one connection for all channels that are followed on an event loop (async only)."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any

from redis.asyncio import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    RedisClusterException,
    RedisError,
    TimeoutError,
)

from session_store.channels.errors import ChannelsClosedError

AWAY = (ConnectionError, TimeoutError, ClusterDownError, MasterDownError, RedisClusterException)  # the server, for now

_MOST_BELLS = 1_000  # that wait for a follower; one that is slower reads the log
_PULSE = 10.0  # seconds in which nothing is heard before the connection is asked whether it lives
_LONGEST_PAUSE = 5.0  # seconds between attempts to connect

_AT_ONCE = Retry(NoBackoff(), 0, supported_errors=())

READ = None  # among bells: what was rung may have been missed, so that the log is to be read


async def _dropped(*futures: asyncio.Future[Any]) -> None:
    """Ends what is no longer waited for."""
    for future in futures:
        future.cancel()
        await asyncio.wait({future})
        if not future.cancelled():
            future.exception()


class Line:
    """What a follower hears."""

    def __init__(self) -> None:
        self._bells: deque[bytes | None] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def ring(self, bell: bytes | None) -> None:
        """Has the follower hear it; where he has heard too much already, that he is to read the log."""
        if bell is READ or len(self._bells) >= _MOST_BELLS:
            self._bells.clear()
            bell = READ
        self._bells.append(bell)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Has the follower raise an error: nothing more will be heard."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self, seconds: float) -> bytes | None:
        """The next bell; `READ` too where none was rung for so long."""
        if not self._bells and self._error is None:
            # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that comes together with a bell.
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
        if self._error is not None:
            raise self._error
        return self._bells.popleft() if self._bells else READ


class Bells:
    """One pub/sub connection, opened for the first follower and closed behind the last.

    Whenever the server says that it has subscribed somebody, at first or after the connection was lost, the followers read
    the log once: before that, bells may have been missed.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lines: dict[bytes, set[Line]] = {}
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._subscribed: set[bytes] = set()  # the names of which the server was told

    @asynccontextmanager
    async def follow(self, name: str) -> AsyncIterator[Line]:
        """What is rung under a name. The first that is heard is `READ`, once nothing more can be missed."""
        key, line = name.encode(), Line()
        lines = self._lines.setdefault(key, set())
        if key in self._subscribed:  # else the server's answer is what rings first
            line.ring(READ)
        lines.add(line)
        self._changed.set()
        if self._reader is None or self._reader.done():
            # In a context of its own: that of the request that happened to be the first would live as long as it.
            self._reader = Context().run(asyncio.get_running_loop().create_task, self._run())
        try:
            yield line
        finally:
            lines.discard(line)
            if not lines and self._lines.get(key) is lines:
                del self._lines[key]
                self._changed.set()

    async def close(self) -> None:
        """Ends the connection, and has those who follow raise `ChannelsClosedError`."""
        self._fail(ChannelsClosedError())
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def _fail(self, error: Exception) -> None:
        for lines in self._lines.values():
            for line in lines:
                line.fail(error)
        self._lines.clear()  # who comes from now on is for another connection
        self._changed.set()

    async def _run(self) -> None:
        pause = 0.05
        while self._lines:
            pubsub = None
            try:
                pubsub = await self._opened()
                async for _ in self._listened(pubsub):
                    pause = 0.05
            except AuthenticationError as error:  # which redis-py has among those of connections
                self._fail(error)
            except (*AWAY, OSError):
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:  # a right that is missing, say: it will not go away
                self._fail(error)
            finally:
                self._subscribed.clear()
                if pubsub is not None:
                    with suppress(RedisError, OSError):
                        await pubsub.aclose()

    async def _opened(self) -> Any:
        if not isinstance(self._client, RedisCluster):
            return self._client.pubsub()
        # Any node of a cluster rings all bells. The one that redis-py would take may be down, and it would take it again.
        await self._client.initialize()
        return self._client.pubsub(node=random.choice(self._client.get_nodes()))

    async def _listened(self, pubsub: Any) -> AsyncIterator[None]:
        """Listens for as long as there is anybody for whom; gives None for each message. Only here the connection is used.

        It is read while it is written to, so redis-py must not connect it anew by itself: both would do so at the same time.
        """
        connection: Any = None
        own_retry = None
        reading: asyncio.Future[Any] | None = None
        changed: asyncio.Future[Any] | None = None
        is_silent = False
        try:
            while self._lines:
                self._changed.clear()
                new, old = self._lines.keys() - self._subscribed, self._subscribed - self._lines.keys()
                self._subscribed ^= new | old
                if new:
                    await pubsub.subscribe(*new)
                if connection is None:
                    connection = pubsub.connection
                    own_retry, connection.retry = connection.retry, _AT_ONCE
                if old:
                    await pubsub.unsubscribe(*old)
                changed = changed or asyncio.ensure_future(self._changed.wait())
                reading = reading or asyncio.ensure_future(pubsub.get_message(timeout=_PULSE))
                done, _ = await asyncio.wait({changed, reading}, return_when=asyncio.FIRST_COMPLETED)
                if changed in done:
                    changed = None
                if reading in done:
                    message, reading = reading.result(), None
                    if message is None and is_silent:
                        raise ConnectionError("nothing was heard, not even an answer")
                    is_silent = message is None
                    if is_silent:
                        await pubsub.ping()
                    self._heard(message)
                    yield None
        finally:
            try:
                await _dropped(*filter(None, (reading, changed)))
            finally:
                if connection is not None:  # it goes back to the client's pool
                    connection.retry = own_retry

    def _heard(self, message: Any) -> None:
        if message is None or message["type"] not in ("subscribe", "message"):
            return
        name = message["channel"]
        key = name.encode() if isinstance(name, str) else name
        data = READ if message["type"] == "subscribe" else message["data"]
        for line in self._lines.get(key, ()):
            line.ring(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
