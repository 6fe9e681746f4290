"""Many callers at once, on clients with default settings and on pools of one connection: all are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from support.proxy import PATIENCE
from support.servers import Server

from session_store import AsyncSessionStore, SessionStore

CALLERS, THREADS = 1_000, 200  # redis-py's default pool has 100 connections
TTL = 600


def change(snap: Any, ops: Any) -> str:
    ops.hset("basket", "tea", "1")
    return "served"


async def async_change(snap: Any, ops: Any) -> str:
    return change(snap, ops)


@pytest.mark.parametrize(
    "call",
    [lambda ns: ns.with_cas("basket", change), lambda ns: ns.set("basket", "served") and "served"],
    ids=["with_cas", "single calls"],
)
def test_threads(server: Server, prefix: str, call: Callable[[Any], str]) -> None:
    """Twice as many threads as there may be connections, each call in a session of its own."""
    with redis.Redis(port=server.port) as client, ThreadPoolExecutor(THREADS) as threads:
        store = SessionStore(client, prefix=prefix, default_ttl=TTL)
        calls = [threads.submit(call, store.namespace(f"visitor-{number}")) for number in range(CALLERS)]
        assert {each.result(PATIENCE) for each in calls} == {"served"}


@pytest.mark.parametrize(
    "call",
    [lambda ns: ns.with_cas("basket", async_change), lambda ns: ns.set("basket", "served")],
    ids=["with_cas", "single calls"],
)
async def test_tasks(server: Server, prefix: str, call: Callable[[Any], Any]) -> None:
    async with redis.asyncio.Redis(port=server.port) as client:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=TTL)
        calls = [call(store.namespace(f"visitor-{number}")) for number in range(CALLERS)]
        assert set(await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)) <= {"served", True}


POOLS: dict[str, Callable[..., Any]] = {
    "plain": lambda module, **options: module.ConnectionPool(max_connections=1, **options),
    "blocking": lambda module, **options: module.BlockingConnectionPool(max_connections=1, timeout=PATIENCE, **options),
}
every_pool = pytest.mark.parametrize("pool", POOLS)


@every_pool
def test_closures_that_call_ns_on_a_pool_of_one(server: Server, prefix: str, pool: str) -> None:
    """An attempt holds no connection while its closure runs: not one, and not ten at once."""
    made = POOLS[pool](redis, port=server.port)
    store = SessionStore(redis.Redis(connection_pool=made), prefix=prefix, default_ttl=TTL)

    def serve(number: int) -> str:
        ns = store.namespace(f"visitor-{number}")
        ns.set("price", str(number))

        def closure(snap: Any, ops: Any) -> str:
            ops.set("paid", ns.get("price"))
            return f"{ns.incr('ids')} {snap.get('price')}"

        return ns.with_cas("basket", closure)

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(serve, range(10), timeout=PATIENCE)) == [f"1 {number}" for number in range(10)]
    made.disconnect()


@every_pool
async def test_closures_that_call_ns_on_a_pool_of_one_async(server: Server, prefix: str, pool: str) -> None:
    made = POOLS[pool](redis.asyncio, port=server.port)
    store = AsyncSessionStore(redis.asyncio.Redis(connection_pool=made), prefix=prefix, default_ttl=TTL)

    async def serve(number: int) -> str:
        ns = store.namespace(f"visitor-{number}")
        await ns.set("price", str(number))

        async def closure(snap: Any, ops: Any) -> str:
            ops.set("paid", await ns.get("price"))
            return f"{await ns.incr('ids')} {await snap.get('price')}"

        return await ns.with_cas("basket", closure)

    served = await asyncio.wait_for(asyncio.gather(*map(serve, range(10))), PATIENCE)
    assert served == [f"1 {number}" for number in range(10)]
    await made.disconnect()


@pytest.mark.parametrize("count", [7_990, 20_000])
def test_commits_of_many_slots(server: Server, prefix: str, count: int) -> None:
    """Beyond what one command may take in a script; all of it, with a TTL, in the index, and settled like any other."""
    with redis.Redis(port=server.port, socket_timeout=PATIENCE) as client:
        ns = SessionStore(client, prefix=prefix, default_ttl=TTL).namespace("session")

        def closure(snap: Any, ops: Any) -> str:
            for number in range(count):
                ops.set(f"answer-{number}", "v")
            return "committed"

        assert ns.with_cas("answer-0", closure, max_retries=0) == "committed"
        assert len(ns.slots()) == count
        assert min(client.pttl(ns.key(f"answer-{number}")) for number in (0, count // 2, count - 1)) > 0
        assert ns.touch() == count
        assert ns.purge() == count
