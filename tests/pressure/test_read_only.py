"""A replica, which takes no writes: what a client sees that a failover has left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import ReadOnlyError
from support.callers import READS, WRITES, Caller, contents, fill
from support.proxy import PATIENCE
from support.servers import Server


@pytest.fixture(scope="module")
def replica(own_server: Server) -> Iterator[Server]:
    server = Server("--replicaof", "127.0.0.1", str(own_server.port))
    yield server
    server.stop()


@pytest.fixture
def on_replica(connect, own_server: Server, replica: Server, rival: redis.Redis) -> Caller:
    """A namespace that the replica has got from its primary, through a pool of one connection."""
    ns = connect(replica.port, max_connections=1)
    fill(connect(own_server.port))
    rival.set("mark", "1", ex=60)  # WAIT is for the writes of the client that calls it
    deadline = time.monotonic() + PATIENCE
    while rival.wait(1, 100) < 1:
        assert time.monotonic() < deadline
    return ns


@pytest.fixture
def reader(replica: Server) -> Iterator[redis.Redis]:
    """Another program that looks at the replica."""
    with redis.Redis(port=replica.port, socket_timeout=10, decode_responses=True) as client:
        yield client


@pytest.mark.parametrize("method", WRITES)
def test_write(on_replica: Caller, reader: redis.Redis, method: str) -> None:
    """It raises redis-py's error, writes nothing, and leaves the connection fit for the next call."""
    base = on_replica.key("n").removesuffix("n")
    before = contents(reader, base)
    for _ in range(2):
        with pytest.raises(ReadOnlyError):
            WRITES[method](on_replica)
        assert contents(reader, base) == before
        assert on_replica.get("n") == "1"
        assert on_replica.cas("n", lambda value, ops: value) == "1"


@pytest.mark.parametrize("method", READS)
def test_read(connect, on_replica: Caller, own_server: Server, method: str) -> None:
    """It answers as the primary does."""
    assert READS[method](on_replica) == READS[method](connect(own_server.port))


def test_commit_runs_once(on_replica: Caller) -> None:
    """To be refused is neither contention nor a lost reply: the closure does not run again for it."""
    runs = []
    with pytest.raises(ReadOnlyError):
        on_replica.cas("n", lambda value, ops: (runs.append(value), ops.set("n", "2")))
    assert runs == ["1"]
