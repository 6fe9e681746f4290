"""Both flavours, in memory and on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from security.faces import Face, facing
from support.servers import Server

from session_store import InMemoryClient


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["memory", "server"])
def port(request: pytest.FixtureRequest) -> int | None:
    """Where the server is; None for one in memory."""
    return request.getfixturevalue("server").port if request.param == "server" else None


@pytest.fixture
def face(flavour: str, port: int | None) -> Iterator[Face]:
    with facing(flavour, port) as face:
        yield face


@pytest.fixture
def raw(face: Face, port: int | None, prefix: str) -> Iterator[redis.Redis]:
    """Another program's sync client of the same server. It removes what the test leaves."""
    client = InMemoryClient(server=face.client.server) if port is None else redis.Redis(port=port)
    with client:
        yield client
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def rival(server: Server, prefix: str) -> Iterator[redis.Redis]:
    """The same, always on a server."""
    with redis.Redis(port=server.port) as client:
        yield client
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)
