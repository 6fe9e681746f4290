"""mcp: its `SubscriptionBus`, so that what one process of a server publishes reaches who listens on any other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from inspect import iscoroutinefunction
from secrets import SystemRandom, token_hex
from typing import Any, Final

from redis.exceptions import TimeoutError
from typing_extensions import Self

try:
    from mcp.shared.subscriptions import ServerEvent, event_from_wire, event_to_notification
except ImportError as error:
    raise ImportError("session_store.integrations.mcp needs mcp>=2.3: pip install 'session-store[mcp]'") from error

from session_store import AsyncSessionStore

__all__ = ["RedisSubscriptionBus"]

_QUIET: Final = 10.0  # seconds of silence, after which the server is asked whether it is there; and for its answer
_log: Final = logging.getLogger("session_store")


class RedisSubscriptionBus:
    """A `SubscriptionBus` for `MCPServer(..., subscriptions=bus)`; one for each process, of any number of servers.

    - `client`: a `redis.asyncio.Redis` or, from redis-py 8.1, `RedisCluster`. An open bus keeps one of its connections.
    - `prefix`: of your application. Buses of one prefix and database number hear each other, and nobody else.

    `async with bus:` opens it, once the server has subscribed it, or raises redis-py's error. A connection that is lost
    later is made anew, for as long as it takes; what is published meanwhile is not heard.
    """

    def __init__(self, client: Any, *, prefix: str) -> None:
        AsyncSessionStore(client, prefix=prefix, default_ttl=1)  # refuses what is no client, or no prefix
        if not hasattr(client, "pubsub"):
            raise TypeError("client has no pubsub(), as a RedisCluster before redis-py 8.1: give a Redis of one node")
        self._client, self._prefix = client, prefix
        self._channel = f"{client.get_connection_kwargs().get('db') or 0}:{prefix}:~mcp"  # databases share channels
        self._listeners: dict[object, Callable[[ServerEvent], None]] = {}
        self._origin = ""
        self._reader: asyncio.Task[None] | None = None
        self._lost = self._told = False  # what has been logged

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"

    async def __aenter__(self) -> Self:
        if self._reader is not None:
            raise RuntimeError("the bus is open already")
        self._origin = token_hex(8)  # not before: processes that are forked off are others
        opened = asyncio.get_running_loop().create_future()
        self._reader = asyncio.ensure_future(self._read(opened))
        try:
            await opened
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        reader, self._reader = self._reader, None
        while reader is not None and not reader.done():  # again, where a client has lost the cancellation
            reader.cancel()
            await asyncio.wait([reader], timeout=1)

    async def publish(self, event: ServerEvent) -> None:
        """Call the listeners of this process, then tell those of others, by 1 PUBLISH; also where the bus is not open.

        Raises `TypeError` for what is no event, before anything, and redis-py's error where others may not hear it.
        """
        if not isinstance(event, ServerEvent) or not isinstance(getattr(event, "uri", ""), str):
            raise TypeError(f"event must be a ServerEvent of mcp, its uri a str, got {type(event).__name__}")
        payload = {"v": 1, "from": self._origin, "method": event_to_notification(event, {}).method, **vars(event)}
        self._call(event)
        await self._client.publish(self._channel, json.dumps(payload).encode())
        await asyncio.sleep(0)  # listeners buffer: a burst must not fill that before anything is sent

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Have `listener` called with each event, on the event loop, until what this returns is called.

        Raises `RuntimeError` where the bus is not open. What a listener raises is logged, by its type alone, and it stays.
        """
        if not callable(listener) or iscoroutinefunction(listener):
            raise TypeError(f"listener must be a function that is not async, got {type(listener).__name__}")
        if self._reader is None:
            raise RuntimeError("the bus is not open: async with bus, around what runs the server")
        token = object()  # the same listener may come twice
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    def _call(self, event: ServerEvent) -> None:
        for listener in list(self._listeners.values()):
            try:
                listener(event)
            except (Exception, asyncio.CancelledError) as error:  # noqa: PERF203  # the latter would end the reader
                _log.error("session-store: a listener of mcp's events raised %s", type(error).__name__)

    async def _read(self, opened: asyncio.Future[None]) -> None:
        while True:
            try:
                await self._listen(opened)
            except Exception as error:
                if not opened.done():
                    return opened.set_exception(error)
                level, self._lost = logging.DEBUG if self._lost else logging.WARNING, True
                _log.log(level, "session-store: mcp's events are lost until connected again: %s", type(error).__name__)
            await asyncio.sleep(SystemRandom().uniform(0.1, 1))  # redis-py has tried already, as often as it is set to

    async def _listen(self, opened: asyncio.Future[None]) -> None:
        """Hears what others publish, on one connection. Ends by an error only."""
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            message: Any = {}
            while True:
                asked, message = message is None, await pubsub.get_message(timeout=_QUIET)
                if message is None and asked:
                    raise TimeoutError(f"no answer to PING within {_QUIET:g} seconds")
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "message":
                    self._receive(message["data"])
                    await asyncio.sleep(0)  # as in publish
                elif message["type"] == "subscribe":
                    self._lost = False
                    if not opened.done():
                        opened.set_result(None)

    def _receive(self, data: bytes | str) -> None:
        payload = None
        with suppress(ValueError, RecursionError):
            payload = json.loads(data)
        match payload:
            case {"v": 1, "from": str(origin), "method": str(method)} if event := event_from_wire(method, payload):
                if origin != self._origin:  # told when it was published
                    self._call(event)
            case _ if not self._told:
                self._told = True
                _log.warning("session-store: what is no event of mcp's is passed over; told once for each bus")
