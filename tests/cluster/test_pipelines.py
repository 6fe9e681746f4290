"""Calls of concurrent tasks on deployments of several servers: a pipeline for each node, and the client's own way for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel
from support.deployments import Cluster
from support.sentinel import SentinelDeployment

from session_store import AsyncSessionStore

NAMES = [f"user-{number}" for number in range(30)]  # enough to lie on every primary
PATIENCE = 60


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[[Cluster], Any]]:
    clients: list[Any] = []

    def client_of(cluster: Cluster, **options: Any) -> Any:
        clients.append(redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port, socket_timeout=10, **options))
        return clients[-1]

    yield client_of
    for client in clients:
        with suppress(redis.RedisError, redis.exceptions.RedisClusterException):
            await client.initialize()  # one that was about to read the topology anew would close nothing
        await client.aclose()


def store_of(client: Any, prefix: str) -> AsyncSessionStore[str]:
    return AsyncSessionStore(client, prefix=prefix, default_ttl=600)


def pipelines(store: AsyncSessionStore[str]) -> dict[str, Any]:
    return store._commands._pipelines[asyncio.get_running_loop()]  # type: ignore[attr-defined]


def sent(client: Any) -> dict[str, int]:
    """Connections of each node."""
    return {node.name: len(node._connections) for node in client.nodes_manager.nodes_cache.values()}


async def many(store: AsyncSessionStore[str], names: list[str], turns: int = 10) -> None:
    """Every name's own values and ids."""

    async def work(name: str) -> None:
        ns = store.namespace(name)
        for turn in range(turns):
            await ns.set("s", f"{name} {turn}")
            assert await ns.get("s") == f"{name} {turn}"
            await ns.incr("ids")

    await asyncio.wait_for(asyncio.gather(*(work(name) for name in names)), PATIENCE)


@pytest.mark.parametrize(
    "options", [{"protocol": 2}, {"protocol": 3, "decode_responses": True}], ids=["resp2", "resp3"]
)
async def test_each_node_has_a_pipeline(cluster: Cluster, client_of: Any, prefix: str, options: dict[str, Any]) -> None:
    """And one connection does for all tasks: 300 concurrent calls open no more."""
    client = client_of(cluster, **options)
    store = store_of(client, prefix)
    await many(store, NAMES)
    before = sent(client)
    await asyncio.gather(*(store.namespace(name).incr("ids") for name in NAMES for _ in range(10)))
    assert len(pipelines(store)) == 3
    assert sent(client) == before
    assert await asyncio.gather(*(store.namespace(name).get("ids") for name in NAMES)) == ["20"] * len(NAMES)


async def test_slots_that_move(cluster: Cluster, client_of: Any, prefix: str) -> None:
    """MOVED, ASK and TRYAGAIN: the client knows what to do. Nothing is done twice, and nothing is lost."""
    store = store_of(client_of(cluster), prefix)
    ns = store.namespace("user")
    await ns.incr("ids")
    given: list[int] = [1]
    end = asyncio.Event()

    async def work() -> None:
        while not end.is_set():
            given.append(await ns.incr("ids"))

    async def others(name: str) -> None:
        while not end.is_set():
            await store.namespace(name).set("s", name)
            assert await store.namespace(name).get("s") == name

    before = cluster.refusals()
    tasks = [asyncio.ensure_future(work()) for _ in range(10)] + [asyncio.ensure_future(others(n)) for n in NAMES[:10]]

    async def progress() -> None:
        enough = len(given) + 50
        while len(given) < enough:
            await asyncio.sleep(0.001)
            assert not any(task.done() for task in tasks)

    await progress()
    with cluster.migration(ns.key("ids")) as migration:
        await progress()  # the source has the keys
        await asyncio.to_thread(migration.move_all)
        await progress()  # it answers ASK
    await progress()
    end.set()
    await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    assert sorted(given) == list(range(1, len(given) + 1))
    assert {"MOVED", "ASK"} <= set(cluster.refusals() - before)


async def test_many_calls_whose_keys_have_moved_ahead(cluster: Cluster, client_of: Any, prefix: str) -> None:
    """Each goes to the node that is named, announced on the connection that it takes: none is sent to and fro."""
    client = client_of(cluster)
    sessions = [store_of(client, f"{prefix}-{number}").namespace("user") for number in range(20)]  # of one hash slot

    async def add_one(snap: Any, ops: Any) -> int:
        total = int(await snap.get("n") or 0) + 1
        ops.set("n", str(total))
        return total

    async def work(ns: Any) -> list[Any]:
        return [(await ns.with_cas("n", add_one), await ns.get("n"), await ns.incr("id")) for _ in range(5)]

    for ns in sessions:
        await ns.with_cas("n", add_one)
        await ns.incr("id")
    with cluster.migration(sessions[0].key("n")) as migration:
        await asyncio.to_thread(migration.move_all)
        before = cluster.refusals()
        found = await asyncio.wait_for(asyncio.gather(*map(work, sessions)), PATIENCE)
        met = cluster.refusals() - before
    assert found == [[(turn, str(turn), turn) for turn in range(2, 7)]] * len(sessions)
    assert met["MOVED"] == met["TRYAGAIN"] == 0
    assert met["ASK"] > 0


async def test_a_node_that_is_killed(replicated: Cluster, client_of: Any, prefix: str) -> None:
    """Its calls go the client's own way to its heir; the others' pipelines go on."""
    store = store_of(client_of(replicated), prefix)
    await many(store, NAMES, 2)
    victim = store.namespace(NAMES[0]).key("s")
    given: dict[str, list[int]] = {name: [] for name in NAMES}
    end = asyncio.Event()

    async def work(name: str) -> None:
        while not end.is_set():
            try:
                given[name].append(await store.namespace(name).incr("more"))
            except (redis.RedisError, redis.exceptions.RedisClusterException):
                await asyncio.sleep(0.01)

    async def all_go_on(seen: dict[str, int]) -> None:
        while any(len(given[name]) < seen[name] + 5 for name in NAMES):  # noqa: ASYNC110  # the cluster tells nobody
            await asyncio.sleep(0.01)

    tasks = [asyncio.ensure_future(work(name)) for name in NAMES for _ in range(3)]
    try:
        await asyncio.to_thread(replicated.kill_primary_of, victim)
        seen = {name: len(ids) for name, ids in given.items()}
        await asyncio.wait_for(all_go_on(seen), PATIENCE)
        end.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        assert all(len(set(ids)) == len(ids) for name, ids in given.items() if _owner_lives(replicated, store, name))
        assert len(await store.namespace(NAMES[0]).slots()) == 3
    finally:
        end.set()
        await asyncio.to_thread(replicated.restore)


def _owner_lives(cluster: Cluster, store: AsyncSessionStore[str], name: str) -> bool:
    """Whether the namespace's primary is one of the first three: an heir may have lost what it had not been sent."""
    return cluster.primary_of(store.namespace(name).key("s")) in cluster.nodes[:3]


async def test_a_client_of_a_cluster_that_overrides_execute_command(
    cluster: Cluster, client_of: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of every command."""
    client = client_of(cluster)
    store = store_of(client, prefix)
    told: list[Any] = []
    original = client.execute_command

    async def wrapped(*args: Any, **options: Any) -> Any:
        told.append(args[0])
        return await original(*args, **options)

    monkeypatch.setattr(client, "execute_command", wrapped)
    await many(store, NAMES[:5], 2)
    assert told.count("GET") == 10
    assert len(store._commands._pipelines) == 0  # type: ignore[attr-defined]


async def test_an_error_reply_is_of_its_call_alone(cluster: Cluster, client_of: Any, prefix: str) -> None:
    store = store_of(client_of(cluster), prefix)
    ns = store.namespace("user")
    await ns.set("s", "text")
    calls = (ns.hlen("s") if number % 3 == 1 else ns.get("s") for number in range(30))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [each for number, each in enumerate(found) if number % 3 != 1] == ["text"] * 20
    assert {str(type(each).__name__) for each in found[1::3]} == {"WrongTypeError"}


async def test_a_master_that_sentinels_name(prefix: str) -> None:
    """The pipeline follows the master: it takes its connections from the client's pool, which does."""
    deployment = SentinelDeployment()
    try:
        sentinel = Sentinel(deployment.addresses, socket_timeout=1)
        client = sentinel.master_for(deployment.NAME, socket_timeout=10)
        store = store_of(client, prefix)
        await many(store, NAMES, 3)
        assert set(pipelines(store)) == {""}
        await asyncio.to_thread(deployment.kill_master)

        async def insist(name: str) -> None:
            while True:
                try:
                    await store.namespace(name).set("again", name)
                    return
                except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError):
                    await asyncio.sleep(0.01)

        await asyncio.wait_for(asyncio.gather(*(insist(name) for name in NAMES)), PATIENCE)
        assert await asyncio.gather(*(store.namespace(name).get("again") for name in NAMES)) == NAMES
        await client.aclose()
        for each in sentinel.sentinels:
            await each.aclose()
    finally:
        deployment.stop()
