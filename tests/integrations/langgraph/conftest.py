"""Checkpointers of both flavours, in memory and on each server. Nothing here imports LangGraph before a test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
import redis
import redis.asyncio
from support import versions
from support.backends import VERSIONS, misplaced
from support.recorder import Recorder
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    BytesCodec,
    EncryptedCodec,
    InMemoryClient,
    SessionStore,
)

DAY = 86_400
CODECS = {"bytes": BytesCodec(), "encrypted": EncryptedCodec(BytesCodec(), keys=[bytes(32)])}


@pytest.fixture(scope="session")
def servers(server: Server) -> Iterator[Callable[[str], Server]]:
    """A function that gives the server of a version, which starts when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def servers(version: str) -> Server:
            if version == VERSIONS[0]:
                return server
            further = Server(executable=versions.found()[version])
            stack.callback(further.stop)
            return further

        yield servers


@pytest.fixture(params=["async", "sync"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def place() -> str:
    """Where threads are: "memory", or the version of a server."""
    return VERSIONS[0]


@pytest.fixture
def codec() -> str:
    return "bytes"


@pytest.fixture
def port(place: str, servers: Callable[[str], Server]) -> int:
    return 0 if place == "memory" else servers(place).port


@pytest.fixture
def client(place: str, port: int) -> Iterator[Any]:
    """A sync client, for a look at the keys."""
    client = InMemoryClient() if place == "memory" else redis.Redis(port=port)
    yield client
    client.close()


@pytest.fixture
async def saver(flavour: str, client: Any, codec: str, prefix: str, port: int) -> AsyncIterator[Any]:
    """A function that makes checkpointers, each as a process of its own would. Afterwards all keys are as they must be."""
    from integrations.langgraph.graphs import Waiting

    from session_store.integrations.langgraph import AsyncCheckpointer

    clients = []

    def saver(through: Any = None, *, to: int = port, min_replicas: int = 0, **options: Any) -> Any:
        settings = {"prefix": prefix, "default_ttl": DAY, "codec": CODECS[codec], "min_replicas": min_replicas}
        if flavour == "sync":
            own = through or (client.sibling() if not to else redis.Redis(port=to))
            return Waiting(SessionStore(own, **settings), **options)
        own = through or (AsyncInMemoryClient(server=client.server) if not to else redis.asyncio.Redis(port=to))
        clients.append(own)
        return AsyncCheckpointer(AsyncSessionStore(own, **settings), **options)

    yield saver
    for each in clients:
        await each.aclose()
    assert list(misplaced(keys_of(client, prefix))) == []


def keys_of(client: Any, prefix: str) -> dict[bytes, Any]:
    """Each key under a prefix: how long it lives, and the fields of an index."""
    found = sorted(client.scan_iter(match=f"{prefix}:*", count=1000))
    with client.pipeline() as pipe:  # at one moment
        for key in found:
            pipe.pttl(key)
        left = pipe.execute()
    return {
        key: (ms, client.hgetall(key) if key.endswith(b":~index") else None)
        for key, ms in zip(found, left, strict=True)
        if ms != -2  # it has expired
    }


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)
