"""Calls of concurrent tasks are gathered into pipelines: counted at the server's side, not by the clock."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
import redis.asyncio
from lane.gate import Gate
from redis.exceptions import ConnectionError

from session_store import AsyncSessionStore, SessionStore

TASKS = 100


async def many(ns: Any, count: int = TASKS) -> list[Any]:
    return [asyncio.ensure_future(ns.set(f"s{number}", f"value {number}")) for number in range(count)]


async def test_calls_of_concurrent_tasks_share_a_pipeline(gate: Gate, client_of: Any, store_of: Any) -> None:
    """One goes at once; all that come until its reply are one write, on a connection that nobody else uses then."""
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("first", "1")  # the script is known
    gate.writes.clear()
    gate.shut()
    tasks = await many(ns)
    await gate.wait_for(lambda: gate.writes)
    assert gate.writes == [["EVALSHA"]]
    gate.open()
    assert await asyncio.gather(*tasks) == [True] * TASKS
    assert [len(write) for write in gate.writes] == [1, TASKS - 1]
    assert gate.connections == 1


async def test_the_next_batch_gathers_while_one_is_on_its_way(gate: Gate, client_of: Any, store_of: Any) -> None:
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("first", "1")
    gate.writes.clear()
    gate.shut()
    tasks = await many(ns, 3)
    await gate.wait_for(lambda: gate.writes)
    gate.fate = lambda _: gate.shut() or ""  # when the next write has come
    gate.open()
    await gate.wait_for(lambda: len(gate.writes) == 2)
    gate.fate = lambda _: ""
    tasks += await many(ns, 10)
    await asyncio.sleep(0)
    assert [len(write) for write in gate.writes] == [1, 2]
    gate.open()
    await asyncio.gather(*tasks)
    assert [len(write) for write in gate.writes] == [1, 2, 10]


async def test_reads_and_writes_travel_together(gate: Gate, client_of: Any, store_of: Any) -> None:
    store = store_of(client_of(gate.port))
    await store.namespace("n").set("first", "1")
    gate.writes.clear()
    gate.shut()
    ns, other = store.namespace("n"), store.namespace("m")
    first = asyncio.ensure_future(ns.get("first"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [
        asyncio.ensure_future(each) for each in (ns.get("first"), other.incr("n"), ns.hgetall("h"), other.get("x"))
    ]
    await asyncio.sleep(0)
    gate.open()
    assert await asyncio.gather(first, *tasks) == ["1", "1", 1, {}, None]
    assert gate.writes == [["GET"], ["GET", "EVALSHA", "HGETALL", "GET"]]


@pytest.mark.parametrize("pool", [redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool])
async def test_two_connections_do_for_a_hundred_tasks(gate: Gate, client_of: Any, store_of: Any, pool: Any) -> None:
    """Without pipelining, the plain pool of redis-py refuses the third of them."""
    ns = store_of(client_of(gate.port, pool=pool, max_connections=2)).namespace("n")

    async def work(number: int) -> None:
        for turn in range(5):
            await ns.set(f"s{number}", f"{number} {turn}")
            assert await ns.get(f"s{number}") == f"{number} {turn}"

    await asyncio.gather(*(work(number) for number in range(TASKS)))
    assert gate.connections == 1
    assert len(gate.writes) < gate.commands().total() / 10


async def test_pipelining_is_on_and_can_be_turned_off(gate: Gate, client_of: Any, store_of: Any) -> None:
    """Without it, each call has a connection to itself for as long as it has no reply."""
    client = client_of(gate.port)
    ns = store_of(client, pipelining=False).namespace("n")
    connected = [await client.connection_pool.get_connection() for _ in range(10)]
    for connection in connected:
        await client.connection_pool.release(connection)
    gate.writes.clear()
    gate.shut()
    tasks = await many(ns, 10)
    await gate.wait_for(lambda: len(gate.writes) == 10)
    assert {len(write) for write in gate.writes} == {1}
    assert gate.connections == 10
    gate.open()
    assert await asyncio.gather(*tasks) == [True] * 10
    ns = store_of(client_of(gate.port, max_connections=2), pipelining=False).namespace("n")
    with pytest.raises(ConnectionError, match="Too many connections"):
        await asyncio.gather(*await many(ns, 10))
    await asyncio.sleep(0)
    assert inspect.signature(AsyncSessionStore.__init__).parameters["pipelining"].default is True


def test_sync_stores_have_nothing_of_it() -> None:
    assert "pipelining" not in inspect.signature(SessionStore.__init__).parameters
    with pytest.raises(TypeError):
        SessionStore(None, prefix="p", default_ttl=1, pipelining=True)  # type: ignore[call-overload]


async def test_with_cas_has_connections_of_its_own(gate: Gate, client_of: Any, store_of: Any) -> None:
    """While closures run, calls go on; nothing of them comes between WATCH and EXEC."""
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("n", "0")
    inside = asyncio.Event()

    async def closure(snap: Any, ops: Any) -> str | None:
        value = await snap.get("n")
        inside.set()
        for number in range(20):
            await asyncio.gather(*(ns.set(f"other{number}-{each}", "1") for each in range(5)))
        ops.set("n", "1")
        return value

    commit = asyncio.ensure_future(ns.with_cas("n", closure))
    await inside.wait()
    assert await ns.get("n") == "0"
    assert await commit == "0"
    assert await ns.get("n") == "1"
    assert gate.connections == 2
    exec_writes = [write for write in gate.writes if "EXEC" in write or "WATCH" in write]
    assert exec_writes
    assert all("GET" not in write and write.count("EVALSHA") <= 1 for write in exec_writes)
