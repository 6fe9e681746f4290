"""A real cluster: the namespace is the hash tag, and what scans goes over every primary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from support.deployments import Cluster

from session_store import AsyncSessionStore, SessionStore

# redis-py 6.2 warns of a default of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning")

NAMES = [f"user-{number}" for number in range(30)]  # enough to lie on every primary


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=[(2, False), (3, True)], ids=["resp2-bytes", "resp3-str"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    protocol, decode_responses = request.param
    return {"protocol": protocol, "decode_responses": decode_responses}


def test_every_method_works_on_a_cluster(cluster: Cluster, options: dict[str, Any], prefix: str) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=cluster.port, **options) as client:
        store = SessionStore(client, prefix=prefix, default_ttl=60)

        def add(snap: Any, ops: Any) -> int:
            count = int(snap.hget("basket", "count") or 0) + 1
            assert snap.get("unwatched") is None
            ops.hset("basket", "count", str(count))
            ops.set("total", str(count))
            return count

        for name in NAMES:
            ns = store.namespace(name)
            assert ns.key("a") == f"{prefix}:{{{name}}}:a"
            assert ns.set("a", name) is True
            assert ns.get("a") == name
            assert [ns.incr("id"), ns.incr("id"), ns.hincrby("h", "f", 3)] == [1, 2, 3]
            assert ns.hgetall("h") == {"f": "3"}
            assert [ns.with_cas(["basket", "total"], add) for _ in range(2)] == [1, 2]
            assert ns.slots() == ["a", "basket", "h", "id", "total"]
            assert ns.touch(ttl=100) == 5
            assert 95 < ns.ttl("total") <= 100
        owners = {client.get_node_from_key(store.namespace(name).key("a")).port for name in NAMES}
        assert len(owners) == 3
        assert sorted(store.namespaces()) == sorted(NAMES)
        client.set(store.namespace(NAMES[0]).key("foreign"), "1", px=60_000)
        assert store.namespace(NAMES[0]).purge(scan=True) == 6
        assert [store.namespace(name).purge() for name in NAMES[1:]] == [5] * 29
        assert list(store.namespaces()) == []


async def test_every_method_works_on_a_cluster_asynchronously(
    cluster: Cluster, options: dict[str, Any], prefix: str
) -> None:
    async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port, **options) as client:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=60)

        async def add(snap: Any, ops: Any) -> int:
            count = int(await snap.hget("basket", "count") or 0) + 1
            assert await snap.get("unwatched") is None
            ops.hset("basket", "count", str(count))
            ops.set("total", str(count))
            return count

        for name in NAMES:
            ns = store.namespace(name)
            assert ns.key("a") == f"{prefix}:{{{name}}}:a"
            assert await ns.set("a", name) is True
            assert await ns.get("a") == name
            assert [await ns.incr("id"), await ns.incr("id"), await ns.hincrby("h", "f", 3)] == [1, 2, 3]
            assert await ns.hgetall("h") == {"f": "3"}
            assert [await ns.with_cas(["basket", "total"], add) for _ in range(2)] == [1, 2]
            assert await ns.slots() == ["a", "basket", "h", "id", "total"]
            assert await ns.touch(ttl=100) == 5
            assert 95 < await ns.ttl("total") <= 100
        assert sorted([name async for name in store.namespaces()]) == sorted(NAMES)
        await client.set(store.namespace(NAMES[0]).key("foreign"), "1", px=60_000)
        assert await store.namespace(NAMES[0]).purge(scan=True) == 6
        assert [await store.namespace(name).purge() for name in NAMES[1:]] == [5] * 29
        assert [name async for name in store.namespaces()] == []


def test_a_store_without_hash_tags_is_refused_on_a_cluster(cluster: Cluster) -> None:
    """When it is made: no write of it could succeed. The async client has not even connected."""
    address = {"host": "127.0.0.1", "port": cluster.port}
    with redis.RedisCluster(**address) as client:
        for each, kind in ((client, SessionStore), (redis.asyncio.RedisCluster(**address), AsyncSessionStore)):
            with pytest.raises(ValueError, match=r"hash_tags must be None or True for a cluster client: .*CROSSSLOT"):
                kind(each, prefix="shop", default_ttl=60, hash_tags=False)
            tagged = kind(each, prefix="shop", default_ttl=60, hash_tags=True)
            assert tagged.namespace("u").key("a") == "shop:{u}:a"


def test_hash_tags_can_be_turned_off_where_they_are_not_needed(server: Any, prefix: str) -> None:
    """And on: so that data can move to a cluster later."""
    with redis.Redis(port=server.port) as client:
        assert SessionStore(client, prefix=prefix, default_ttl=60).namespace("u").key("a") == f"{prefix}:u:a"
        tagged = SessionStore(client, prefix=prefix, default_ttl=60, hash_tags=True)
        assert tagged.namespace("u").key("a") == f"{prefix}:{{u}}:a"
