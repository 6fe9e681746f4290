"""What the tests of faults share: both flavours behind one face, a proxy, and others that write the same keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from support.callers import FLAVOURS, NAME, TTL, Caller, connecting
from support.proxy import Proxy, proxied
from support.servers import Server

from session_store import Namespace, SessionStore


@pytest.fixture(params=FLAVOURS)
def connect(request: pytest.FixtureRequest, prefix: str) -> Iterator[Callable[..., Caller]]:
    """Connects to a port, in either flavour; see `support.callers.connecting`."""
    with connecting(request.param, prefix) as connect:
        yield connect


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture
def rival(server: Server) -> Iterator[redis.Redis]:
    """Another program: it writes the same keys, and knows nothing of tokens and indexes."""
    with redis.Redis(port=server.port, socket_timeout=10, decode_responses=True) as client:
        yield client


@pytest.fixture
def other(rival: redis.Redis, prefix: str) -> Namespace[str]:
    """The same namespace for another caller, who reaches the server directly. It is sync in both flavours."""
    return SessionStore(rival, prefix=prefix, default_ttl=TTL).namespace(NAME)
