"""What the tests of channels on real servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from support.servers import Server

from session_store import AsyncSessionStore
from session_store.channels import AsyncChannels

TTL = 600  # seconds; no test lasts so long


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    """Another program on the server."""
    with redis.Redis(port=server.port, socket_timeout=10) as client:
        yield client


@pytest.fixture
def own() -> Iterator[Server]:
    """A server of one's own, which may be killed."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
async def connect(server: Server, prefix: str) -> AsyncIterator[Callable[..., AsyncChannels[Any]]]:
    """Makes channels as another process would have them: with a client and connections of their own.

    `channels`: settings of these; `store`: of the store; the rest are the client's.
    """
    async with AsyncExitStack() as stack:

        def connect(
            port: int = 0,
            *,
            store: dict[str, Any] | None = None,
            settings: dict[str, Any] | None = None,
            **options: Any,
        ) -> AsyncChannels[Any]:
            defaults = {"socket_timeout": 10, "retry": Retry(ConstantBackoff(0.05), 3)}
            client = redis.asyncio.Redis(port=port or server.port, **{**defaults, **options})
            stack.push_async_callback(client.aclose)
            made: AsyncSessionStore[Any] = AsyncSessionStore(
                client, **{"prefix": prefix, "default_ttl": TTL, **(store or {})}
            )
            channels: AsyncChannels[Any] = AsyncChannels(made, **(settings or {}))
            stack.push_async_callback(channels.aclose)
            return channels

        yield connect


@pytest.fixture
def channels(connect: Callable[..., AsyncChannels[Any]]) -> AsyncChannels[Any]:
    return connect()
