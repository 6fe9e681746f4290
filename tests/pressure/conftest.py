"""What the tests of pressure share: both flavours behind one face, and servers whose settings a test may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis
from support.callers import FLAVOURS, Caller, connecting
from support.servers import Server


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def connect(flavour: str, prefix: str) -> Iterator[Callable[..., Caller]]:
    """Connects to a port, in either flavour; see `support.callers.connecting`."""
    with connecting(flavour, prefix) as connect:
        yield connect


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Starts a server of one's own, with options of redis-server."""
    with ExitStack() as stack:

        def make_server(*options: str) -> Server:
            server = Server(*options)
            stack.callback(server.stop)
            return server

        yield make_server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that the tests of one module share and whose settings they may change; `rival` sets them back."""
    server = Server("--repl-diskless-sync-delay", "0")
    yield server
    server.stop()


@pytest.fixture
def rival(own_server: Server) -> Iterator[redis.Redis]:
    """Another program on that server, its administrator too. It leaves the server empty, and with room."""
    with redis.Redis(port=own_server.port, socket_timeout=10, decode_responses=True) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.flushall()
