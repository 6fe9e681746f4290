"""A store of either flavour, with one sync face."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.closures import Steps, in_flavour, stepping

from session_store import AsyncInMemoryClient, AsyncSessionStore, InMemoryClient, SessionStore

TTL = 600  # seconds; no test lasts so long

Closure = Callable[[Any], Steps]  # see `stepping`


class Face:
    """A client of one flavour, and what is made from it. What is to be awaited is awaited here."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.client = client
        self._loop = loop
        self.is_async = loop is not None

    def wait(self, result: Any) -> Any:
        """What a call has returned; an iterator of either flavour becomes a list."""
        if hasattr(result, "__anext__"):
            result = _listed(result)
        elif hasattr(result, "__next__"):
            return list(result)
        return result if self._loop is None else self._loop.run_until_complete(result)

    def store(self, prefix: str, **settings: Any) -> Any:
        make: Any = SessionStore if self._loop is None else AsyncSessionStore
        return make(self.client, **{"prefix": prefix, "default_ttl": TTL, **settings})

    def namespace(self, prefix: str, name: str, **settings: Any) -> NamespaceFace:
        return NamespaceFace(self, self.store(prefix, **settings).namespace(name))


class NamespaceFace:
    """A namespace: its methods, and `cas`, which takes a `Closure`."""

    def __init__(self, face: Face, namespace: Any) -> None:
        self._face = face
        self.namespace = namespace

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = getattr(self.namespace, method)(*args, **options)
            return result if method == "key" else self._face.wait(result)

        return call

    def batch(self, fn: Callable[[Any], Any]) -> Any:
        """The same of `batch`."""

        async def record(ops: Any) -> Any:
            return fn(ops)

        return self._face.wait(self.namespace.batch(record if self._face.is_async else fn))

    def cas(self, slots: Any, fn: Closure, **options: Any) -> Any:
        """`with_cas`, with a closure of the right flavour."""

        closure = in_flavour(stepping(fn), is_async=self._face.is_async)
        return self._face.wait(self.namespace.with_cas(slots, closure, **options))


@contextmanager
def facing(flavour: str, port: int | None, *, retries: int = 0, **options: Any) -> Iterator[Face]:
    """A client of a flavour, in memory when there is no port. `retries`: how often redis-py sends again, at once."""
    loop = asyncio.new_event_loop() if flavour == "async" else None
    client: Any
    if port is None:
        client = (InMemoryClient if loop is None else AsyncInMemoryClient)(**options)
    elif loop is None:
        client = redis.Redis(port=port, retry=Retry(NoBackoff(), retries), **{"socket_timeout": 10, **options})
    else:
        retry = AsyncRetry(NoBackoff(), retries)
        client = redis.asyncio.Redis(port=port, retry=retry, **{"socket_timeout": 10, **options})
    try:
        yield Face(client, loop)
    finally:
        if loop is None:
            client.close()
        else:
            loop.run_until_complete(client.aclose())
            loop.close()


async def _listed(found: Any) -> list[Any]:
    return [each async for each in found]
