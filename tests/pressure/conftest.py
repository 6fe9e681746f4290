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
    """Starts a server of one's own, with options of redis-server; `executable`: of another version."""
    with ExitStack() as stack:

        def make_server(*options: str, executable: str | None = None) -> Server:
            server = Server(*options, executable=executable)
            stack.callback(server.stop)
            return server

        yield make_server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that the tests of one module share and whose settings they may change; `rival` sets them back."""
    server = Server("--repl-diskless-sync-delay", "0")
    yield server
    server.stop()


def _flush(client: redis.Redis) -> None:
    """Only for `own_server`: these tests have started it, and nobody else has a key there. So a test begins with what it
    fills in, and neither with slots nor with the index and the records of the test before it."""
    client.flushall()


@pytest.fixture
def empty(rival: redis.Redis) -> Callable[[], None]:
    """Takes everything from `own_server`, so that the same can be done twice from the same beginning."""
    return lambda: _flush(rival)


@pytest.fixture
def rival(own_server: Server) -> Iterator[redis.Redis]:
    """Another program on `own_server`, its administrator too. It leaves the server empty, and with room."""
    with redis.Redis(port=own_server.port, socket_timeout=10, decode_responses=True) as client:
        yield client
        client.config_set("maxmemory", 0)
        _flush(client)
