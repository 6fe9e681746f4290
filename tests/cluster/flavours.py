"""Both flavours with one face, for calls from many threads at once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from support.closures import Steps, in_flavour, stepping

from session_store import AsyncSessionStore, SessionStore

TTL = 600  # seconds; nothing here lasts so long
PATIENCE = 60  # seconds; only a call that hangs takes so long


class Calls:
    """A namespace of either flavour, called as if it were sync. An async call is a task of the flavour's loop."""

    def __init__(self, flavour: Flavour, namespace: Any) -> None:
        self._flavour = flavour
        self._namespace = namespace

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._flavour.wait(getattr(self._namespace, method)(*args, **kwargs))

    def key(self, slot: str) -> str:
        return self._namespace.key(slot)  # type: ignore[no-any-return]

    @property
    def index(self) -> str:
        """The key of what the library keeps beside the slots."""
        return f"{self.key('x').removesuffix('x')}~index"

    def cas(self, slots: Any, fn: Callable[[Any], Steps], **options: Any) -> Any:
        """`with_cas`, with a closure made of a generator; see `stepping`."""
        closure = in_flavour(stepping(fn), is_async=self._flavour.is_async)
        return self._flavour.wait(self._namespace.with_cas(slots, closure, **options))


async def _close(client: Any) -> None:
    """A cluster's client that was about to read the topology anew, after an error, would close nothing."""
    if isinstance(client, redis.asyncio.RedisCluster):
        with suppress(redis.RedisError, redis.exceptions.RedisClusterException):
            await client.initialize()
    await client.aclose()


class Flavour:
    """`sync` or `async`: makes clients and stores, and closes the clients at the end.

    Several threads may call at once. The async flavour has one loop, in a thread of its own, and their calls are its
    tasks: they share a client as the tasks of a server's process do.
    """

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"
        self._stack = ExitStack()
        if self.is_async:
            self._loop = asyncio.new_event_loop()
            self._stack.callback(self._loop.close)
            thread = threading.Thread(target=self._loop.run_forever, name="loop")
            thread.start()
            self._stack.callback(thread.join)
            self._stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            if int(redis.__version__.split(".")[0]) < 8:  # it leaves connections to the collector, which needs the loop
                self._stack.callback(gc.collect)

    def __enter__(self) -> Flavour:  # noqa: PYI034  # Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait(self, result: Any) -> Any:
        if not self.is_async:
            return result
        return asyncio.run_coroutine_threadsafe(result, self._loop).result(PATIENCE)

    def _make(self, make: Callable[[], Any]) -> Any:
        """A client, made in the loop; it is closed at the end."""
        if not self.is_async:
            client = make()
            self._stack.callback(client.close)
            return client

        async def in_loop() -> Any:
            return make()

        client = self.wait(in_loop())
        self._stack.callback(lambda: self.wait(_close(client)))
        return client

    def cluster(self, port: int, **options: Any) -> Any:
        """A client of the cluster, with redis-py's own retries. It has not connected yet in the async flavour."""
        module: Any = redis.asyncio if self.is_async else redis
        return self._make(lambda: module.RedisCluster(host="127.0.0.1", port=port, **{"socket_timeout": 10, **options}))

    def master(self, addresses: list[tuple[str, int]], name: str, **options: Any) -> Any:
        """A client of whatever server the Sentinels name as master."""
        module: Any = redis.asyncio.sentinel if self.is_async else redis.sentinel

        def make() -> Any:
            sentinel = module.Sentinel(addresses, socket_timeout=1)
            for each in sentinel.sentinels:
                self._stack.callback(lambda each=each: self.wait((each.aclose if self.is_async else each.close)()))
            return sentinel.master_for(name, **{"socket_timeout": 10, **options})

        return self._make(make)

    def namespace(self, client: Any, prefix: str, name: str, **settings: Any) -> Calls:
        store = (AsyncSessionStore if self.is_async else SessionStore)(
            client, prefix=prefix, default_ttl=TTL, **settings
        )
        return Calls(self, store.namespace(name))


class Increment:
    """A closure that adds one to n and returns (run, sum). `first` is what else its first run does, before or after
    it has read."""

    def __init__(self, *, first: Callable[[], object] = bool, then_reads: str | None = None) -> None:
        self.runs = 0
        self._first = first
        self._then_reads = then_reads

    def __call__(self, ops: Any) -> Steps:
        self.runs += 1
        total = int((yield "get", "n")) + 1
        if self.runs == 1:
            self._first()
        if self._then_reads is not None:
            assert (yield "get", self._then_reads) == "theirs"
        ops.set("n", str(total))
        return self.runs, total
