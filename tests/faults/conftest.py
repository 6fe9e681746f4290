"""What the tests of faults share: both flavours behind one face, a proxy, and others that write the same keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.proxy import Proxy
from support.servers import Server

from session_store import AsyncSessionStore, Namespace, SessionStore

TTL = 600  # seconds; no test lasts so long
NAME = "session"


class Caller:
    """A namespace of either flavour, called as if it were sync: `caller.incr("n")`."""

    def __init__(self, client: Any, prefix: str, loop: asyncio.AbstractEventLoop | None) -> None:
        self.client = client
        self._loop = loop
        self.is_async = loop is not None
        store = (SessionStore if loop is None else AsyncSessionStore)(client, prefix=prefix, default_ttl=TTL)
        self._namespace: Any = store.namespace(NAME)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._wait(getattr(self._namespace, method)(*args, **kwargs))

    def _wait(self, result: Any) -> Any:
        return result if self._loop is None else self._loop.run_until_complete(result)

    def key(self, slot: str) -> str:
        return self._namespace.key(slot)

    def cas(self, slot: Any, fn: Callable[[str | None, Any], Any], **options: Any) -> Any:
        """`with_cas`, with a closure that is given what `snap.get("n")` shows, and `ops`."""

        def closure(snap: Any, ops: Any) -> Any:
            return fn(snap.get("n"), ops)

        async def async_closure(snap: Any, ops: Any) -> Any:
            return fn(await snap.get("n"), ops)

        chosen = closure if self._loop is None else async_closure
        return self._wait(self._namespace.with_cas(slot, chosen, **options))


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, prefix: str) -> Iterator[Callable[..., Caller]]:
    """Connects to a port: the same namespace each time, through a client and a store of its own.

    `retries`: how often redis-py sends again, at once; None is its own default, which takes seconds in some versions.
    """
    with ExitStack() as stack:
        loop = None
        if request.param == "async":
            loop = asyncio.new_event_loop()
            stack.callback(loop.close)

        def connect(port: int, *, retries: int | None = 3, **options: Any) -> Caller:
            module, retry_class = (redis, Retry) if loop is None else (redis.asyncio, AsyncRetry)
            if retries is not None:
                options["retry"] = retry_class(NoBackoff(), retries)
            client = module.Redis(port=port, **{"socket_timeout": 10, **options})
            if loop is None:
                stack.callback(client.close)
            else:
                stack.callback(lambda: loop.run_until_complete(client.aclose()))
            return Caller(client, prefix, loop)

        yield connect


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the server. Every fault that a test asks for must have happened at its end."""
    proxy = Proxy(server.port)
    try:
        yield proxy
        assert proxy.unused() == []
    finally:
        proxy.close()


@pytest.fixture
def rival(server: Server) -> Iterator[redis.Redis]:
    """Another program: it writes the same keys, and knows nothing of tokens and indexes."""
    with redis.Redis(port=server.port, socket_timeout=10, decode_responses=True) as client:
        yield client


@pytest.fixture
def other(rival: redis.Redis, prefix: str) -> Namespace[str]:
    """The same namespace for another caller, who reaches the server directly. It is sync in both flavours."""
    return SessionStore(rival, prefix=prefix, default_ttl=TTL).namespace(NAME)
