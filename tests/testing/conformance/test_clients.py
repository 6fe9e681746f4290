"""The conformance suite passes on every kind of client that the library supports, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from support.deployments import Cluster
from support.proxy import Proxy
from support.servers import Server

from session_store.testing import AsyncClientConformance, ClientConformance
from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient

# redis-py 6.2 warns of a default of its own.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning"),
]

SOCKET_TIMEOUT = 10  # seconds; a test that fails ends then
OPTIONS = [{"protocol": protocol, "decode_responses": decode} for protocol in (2, 3) for decode in (False, True)]
IDS = ["resp2-bytes", "resp2-str", "resp3-bytes", "resp3-str"]


class _InMemory:
    """Clients of a server in memory, which holds somebody's key."""

    client_class: type

    @pytest.fixture(autouse=True, params=OPTIONS, ids=IDS)
    def _server(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.first = self.client_class(**request.param)
        onlooker = InMemoryClient(server=self.first.server)
        onlooker.set("somebody's", "1")
        yield
        assert onlooker.keys("*") == [b"somebody's"]
        assert onlooker.pttl("somebody's") == -1
        onlooker.close()

    def make_client(self) -> Any:
        return self.first.sibling()


class TestInMemoryClient(_InMemory, ClientConformance):
    client_class = InMemoryClient


class TestAsyncInMemoryClient(_InMemory, AsyncClientConformance):
    client_class = AsyncInMemoryClient


class _OnServer:
    """Clients of a real server."""

    client_class: type

    @pytest.fixture(autouse=True, params=OPTIONS, ids=IDS)
    def _server(self, request: pytest.FixtureRequest, server: Server) -> Iterator[None]:
        self.options = {"port": server.port, "socket_timeout": SOCKET_TIMEOUT, **request.param}
        yield
        with redis.Redis(port=server.port) as onlooker:
            assert list(onlooker.scan_iter("conformance-*")) == []

    def make_client(self) -> Any:
        return self.client_class(**self.options)


class TestClient(_OnServer, ClientConformance):
    client_class = redis.Redis


class TestAsyncClient(_OnServer, AsyncClientConformance):
    client_class = redis.asyncio.Redis


class _ThroughProxy:
    """Clients that reach their server through a proxy."""

    client_class: type

    @pytest.fixture(autouse=True)
    def _proxy(self, server: Server) -> Iterator[None]:
        proxy = Proxy(server.port)
        self.port = proxy.port
        yield
        proxy.close()

    def make_client(self) -> Any:
        return self.client_class(port=self.port, socket_timeout=SOCKET_TIMEOUT)


class TestClientBehindProxy(_ThroughProxy, ClientConformance):
    client_class = redis.Redis


class TestAsyncClientBehindProxy(_ThroughProxy, AsyncClientConformance):
    client_class = redis.asyncio.Redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


class _OnCluster:
    """Clients of a cluster."""

    client_class: type

    @pytest.fixture(autouse=True, params=[OPTIONS[0], OPTIONS[3]], ids=[IDS[0], IDS[3]])
    def _cluster(self, request: pytest.FixtureRequest, cluster: Cluster) -> None:
        self.options = {"host": "127.0.0.1", "port": cluster.port, "socket_timeout": SOCKET_TIMEOUT, **request.param}

    def make_client(self) -> Any:
        return self.client_class(**self.options)


class TestClusterClient(_OnCluster, ClientConformance):
    client_class = redis.RedisCluster


class TestAsyncClusterClient(_OnCluster, AsyncClientConformance):
    client_class = redis.asyncio.RedisCluster
