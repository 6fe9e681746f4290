"""What the tests of the pipeline share: a gate before the server, and clients that take connections from counted pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from pipelining.gate import Gate
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.servers import Server

from session_store import AsyncSessionStore


@pytest.fixture
async def gate(server: Server) -> AsyncIterator[Gate]:
    gate = Gate(server.port)
    await gate.start()
    yield gate
    await gate.close()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Any]]:
    """Makes clients of a port. They send nothing again, unless `retries` says so."""
    clients = []

    def client_of(port: int, *, retries: int = 0, pool: Any = redis.asyncio.ConnectionPool, **options: Any) -> Any:
        settings = {"socket_timeout": 10, "retry": Retry(NoBackoff(), retries), **options}
        client = redis.asyncio.Redis(connection_pool=pool(host="127.0.0.1", port=port, **settings))
        clients.append(client)
        return client

    yield client_of
    for client in clients:
        await client.connection_pool.aclose()


@pytest.fixture
def store_of(prefix: str) -> Callable[..., AsyncSessionStore[str]]:
    """Makes stores with this test's prefix."""
    return lambda client, **settings: AsyncSessionStore(client, **{"prefix": prefix, "default_ttl": 600, **settings})


@pytest.fixture
def rival(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, socket_timeout=10, decode_responses=True) as client:
        yield client
