"""A server is replaced by one of another version, while the application goes on: by a replica that is promoted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from support import versions
from support.nodes import SYNC, Node, wait_until
from support.servers import Server

from session_store import SessionStore

pytestmark = pytest.mark.long

PAIRS = [("redis 6.2", "redis 7.0"), ("redis 7.0", "redis 8.0"), ("redis 7.0", "valkey 8.1")]


class Replaced:
    """An old server with a new one as its replica, and a client that goes to the primary."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = (Node(Server(*SYNC, executable=executable)) for executable in (old, new))
        self.client: Any = redis.Redis(port=self.old.port)

    def begin(self) -> None:
        """Returns when the new one has all."""
        self.new.run("REPLICAOF", "127.0.0.1", self.old.port)
        wait_until(lambda: self.new.follows(self.old.port), "the new server is in sync")

    def promote(self) -> None:
        """Once the replica has all."""
        self.client.wait(1, 10_000)
        self.new.run("REPLICAOF", "NO", "ONE")
        self.client.connection_pool.connection_kwargs["port"] = self.new.port
        self.client.connection_pool.reset()
        self.old.kill()

    def stop(self) -> None:
        self.client.close()
        for node in (self.old, self.new):
            node.stop()


@pytest.fixture(params=PAIRS, ids=lambda pair: " to ".join(pair))
def replaced(request: pytest.FixtureRequest) -> Iterator[Replaced]:
    programs = versions.found()
    for version in request.param:
        if version not in programs:
            pytest.skip(versions.missing(version))
    replaced = Replaced(*(programs[version] for version in request.param))
    try:
        replaced.begin()
        yield replaced
    finally:
        replaced.stop()


@pytest.mark.parametrize("size", [3, 600], ids=["a small hash", "a hash table"])
def test_a_commit_that_began_before_is_judged_by_content(replaced: Replaced, size: int) -> None:
    """The versions dump the same content in different forms: that alone makes no attempt lose, and a change does."""
    ns = SessionStore(replaced.client, prefix="shop", default_ttl=60).namespace("user-42")
    ns.hset("basket", mapping={f"article-{number:03}": "1" for number in range(size)})
    order_id = ns.incr("order-id")
    runs: list[str | None] = []

    def raised(meanwhile: Callable[[], object]) -> Callable[[Any, Any], object]:
        def change(snap: Any, ops: Any) -> None:
            count = snap.hget("basket", "article-000")
            runs.append(count)
            if len(runs) == 1:
                meanwhile()
            ops.hset("basket", "article-000", str(int(count) + 1))

        return change

    ns.with_cas("basket", raised(replaced.promote))
    assert runs == ["1"] if size == 3 else runs in (["1"], ["1", "1"])
    assert ns.hget("basket", "article-000") == "2"
    runs.clear()
    ns.with_cas("basket", raised(lambda: ns.hincrby("basket", "article-000", 5)))
    assert runs == ["2", "7"]
    assert ns.incr("order-id") == order_id + 1
    assert ns.purge() == 2
