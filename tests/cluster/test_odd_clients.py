"""What redis-py's cluster clients do at their worst: they do not know a node, or close connections that others use.

Neither can be had on demand, so it is put into the client here. `make cluster` meets both by itself.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest
import redis
import redis.asyncio
from cluster.flavours import Calls, Flavour
from redis.exceptions import ClusterError
from support.closures import Steps
from support.deployments import Cluster

from session_store import AsyncSessionStore, ReplicationError
from session_store._async import pipelining

GONE = AttributeError("'NoneType' object has no attribute 'writelines'")  # as redis-py raises it


def add_one(ops: Any) -> Steps:
    total = int((yield "get", "n")) + 1
    ops.set("n", str(total))
    return total


@pytest.fixture
def client(cluster: Cluster, flavour: Flavour) -> Any:
    return flavour.cluster(cluster.port)


@pytest.fixture
def ns(flavour: Flavour, client: Any, prefix: str) -> Calls:
    ns = flavour.namespace(client, prefix, "user")
    ns.set("n", "5")
    return ns


class Instead:
    """A function in whose place another one is, at these calls, counted from 1."""

    def __init__(self, other: Any, function: Any, at: range = range(1, 2)) -> None:
        self._other = other
        self._function = function
        self._at = at
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return (self._other if self.calls in self._at else self._function)(*args, **kwargs)


def routing_of(flavour: Flavour) -> Any:
    return importlib.import_module(f"session_store._{'async' if flavour.is_async else 'sync'}.routing")


def gone(*_: Any, **__: Any) -> Any:
    raise GONE


def test_node_that_the_client_does_not_know(
    cluster: Cluster, ns: Calls, client: Any, flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again after a pause, in which the client may get to know it."""
    pauses: list[float] = []

    async def async_pause(seconds: float) -> None:
        pauses.append(seconds)

    get_node = client.get_node
    monkeypatch.setattr(client, "get_node", lambda *args, **options: get_node(*args, **options) if pauses else None)
    monkeypatch.setattr(routing_of(flavour), "sleep", async_pause if flavour.is_async else pauses.append)
    with cluster.migration(ns.key("n")) as migration:
        migration.move_all()
        assert ns.cas("n", add_one, max_retries=0) == 6
    assert len(pauses) == 1
    assert ns.get("n") == "6"


@pytest.mark.parametrize("method", ["set", "get"])
def test_call_whose_connection_is_closed_by_another(
    ns: Calls, client: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It is made on another connection."""
    monkeypatch.setattr(client, "execute_command", Instead(gone, client.execute_command))
    assert (ns.set("a", "1") if method == "set" else ns.get("n")) == (True if method == "set" else "5")


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_commit_whose_connection_is_closed_by_another(
    ns: Calls, flavour: Flavour, client: Any, monkeypatch: pytest.MonkeyPatch, at: int, is_done: bool
) -> None:
    """At its beginning or at its end, before the server has done it or after; and where it does not know the script."""
    execute = client.execute_command

    def done_and_gone(*args: Any, **options: Any) -> Any:
        execute(*args, **options)
        raise GONE

    async def async_done_and_gone(*args: Any, **options: Any) -> Any:
        await execute(*args, **options)
        raise GONE

    there = async_done_and_gone if flavour.is_async else done_and_gone
    monkeypatch.setattr(client, "execute_command", Instead(there if is_done else gone, execute, range(at, at + 1)))
    runs = []
    assert ns.cas("n", lambda ops: runs.append(1) or add_one(ops), max_retries=0) == 6
    assert (ns.get("n"), len(runs)) == ("6", 1)


class ClosedPool:
    get_connection = staticmethod(gone)


async def closed_pool(*_: Any) -> Any:
    return ClosedPool


def test_owner_that_is_looked_for_while_others_close_connections(
    ns: Calls, client: Any, flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that is taken instead is closed while it is made, and so is the one that asks for the owner."""
    routing = routing_of(flavour)
    pool_of = Instead(closed_pool if flavour.is_async else lambda *_: ClosedPool, routing.pool_of)
    monkeypatch.setattr(routing, "pool_of", pool_of)
    monkeypatch.setattr(client, "execute_command", Instead(gone, client.execute_command, range(1, 3)))
    assert ns.cas("n", add_one, max_retries=0) == 6
    assert pool_of.calls == 2
    assert ns.get("n") == "6"


async def test_pipeline_whose_connection_is_closed_by_another(
    cluster: Cluster, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes the client's own way."""
    async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=600).namespace("user")
        assert await ns.incr("n") == 1
        for at in range(1, 4):
            pool_of = Instead(_closed_pipeline, pipelining.pool_of, range(at, at + 1))
            with monkeypatch.context() as patch:
                patch.setattr(pipelining, "pool_of", pool_of)
                assert await asyncio.gather(*(ns.with_cas("n", _async_add_one) for _ in range(3))) == [
                    3 * at - 1,
                    3 * at,
                    3 * at + 1,
                ]
            assert pool_of.calls >= at


async def _closed_pipeline(*_: Any) -> Any:
    class ClosedNode(ClosedPool):
        name = "closed"

    return ClosedNode


async def _async_add_one(snap: Any, ops: Any) -> int:
    total = int(await snap.get("n")) + 1
    ops.set("n", str(total))
    return total


WAITING: dict[str, Any] = {
    "incr": lambda ns: ns.incr("id"),
    "with_cas": lambda ns: ns.cas("n", add_one),
    "purge": lambda ns: ns.purge(fence=600),
}


@pytest.fixture
def told(replicated: Cluster, flavour: Flavour) -> Any:
    """A client of a class that wants to know of every command, and what it was told."""
    told: list[Any] = []

    class Telling(redis.RedisCluster):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            told.append(args[0])
            return super().execute_command(*args, **options)

    class AsyncTelling(redis.asyncio.RedisCluster):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            told.append(args[0])
            return await super().execute_command(*args, **options)

    kind = AsyncTelling if flavour.is_async else Telling
    return flavour._make(lambda: kind(host="127.0.0.1", port=replicated.port, socket_timeout=10)), told


@pytest.mark.parametrize("name", WAITING)
def test_a_subclass_is_told_of_calls_that_wait_for_replicas(
    replicated: Cluster, flavour: Flavour, told: Any, prefix: str, name: str
) -> None:
    """In a cluster, too; and they wait: where a replica is missing, it is an error."""
    client, commands = told
    ns = flavour.namespace(client, prefix, "user", min_replicas=1)
    ns.set("n", "5")
    assert WAITING[name](ns) == {"incr": 1, "with_cas": 6, "purge": 1}[name]
    assert commands.count("EVALSHA") > 2
    more = flavour.namespace(client, f"{prefix}-more", "user", min_replicas=2)
    more.set("n", "5")
    with pytest.raises(ReplicationError) as raised:
        WAITING[name](more)
    assert (raised.value.replicas, raised.value.min_replicas) == (1, 2)


def test_a_subclass_is_told_of_calls_while_the_slot_moves(
    replicated: Cluster, flavour: Flavour, told: Any, prefix: str
) -> None:
    client, commands = told
    ns = flavour.namespace(client, prefix, "user", min_replicas=1)
    ns.set("n", "5")
    assert (ns.cas("n", add_one), ns.incr("id")) == (6, 1)
    with replicated.migration(ns.key("n")) as migration:
        commands.clear()
        assert ns.cas("n", add_one) == 7
        migration.move_all()
        assert (ns.cas("n", add_one), ns.incr("id")) == (8, 2)
    assert (ns.cas("n", add_one), ns.get("n"), ns.incr("id")) == (9, "9", 3)
    assert commands.count("EVALSHA") >= 8


class GivesUp(redis.asyncio.RedisCluster):
    """What redis-py's async client does where a slot moves: it says ASKING on one connection, and calls on another."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        raise ClusterError("TTL exhausted.")


async def test_client_that_gives_up_on_redirections(cluster: Cluster, prefix: str) -> None:
    """Nothing was executed then, and the call goes our way."""
    async with GivesUp(host="127.0.0.1", port=cluster.port) as client:
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("u")
        assert [await ns.incr("n"), await ns.incr("n")] == [1, 2]
        assert await ns.get("n") == "2"
        assert await ns.purge() == 1
