"""Calls of concurrent tasks are gathered into pipelines: counted at the server's side, not by the clock."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import weakref
from typing import Any

import pytest
import redis.asyncio
from pipelining.gate import Gate

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
    """One, in fact, where they only read and write."""
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
    assert inspect.signature(AsyncSessionStore.__init__).parameters["pipelining"].default is True


def test_sync_stores_have_nothing_of_it() -> None:
    assert "pipelining" not in inspect.signature(SessionStore.__init__).parameters
    with pytest.raises(TypeError):
        SessionStore(None, prefix="p", default_ttl=1, pipelining=True)  # type: ignore[call-overload]


async def add_one(snap: Any, ops: Any) -> int:
    count = int(await snap.hget("basket", "count") or 0) + 1
    ops.hset("basket", "count", str(count))
    return count


@pytest.mark.parametrize("pool", [redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool])
@pytest.mark.parametrize("pipelining", [True, False])
async def test_commits_of_a_hundred_tasks_need_two_connections_at_most(
    gate: Gate, client_of: Any, store_of: Any, pool: Any, pipelining: bool
) -> None:
    """Each for a session of its own. Both halves of a commit travel in the pipeline; without it, they wait for the pool."""
    store = store_of(client_of(gate.port, pool=pool, max_connections=2), pipelining=pipelining)
    await store.namespace("n").with_cas("basket", add_one)  # the scripts are known
    gate.writes.clear()
    sessions = [store.namespace(f"n{number}") for number in range(TASKS)]
    assert await asyncio.gather(*(ns.with_cas("basket", add_one) for ns in sessions)) == [1] * TASKS
    assert await asyncio.gather(*(ns.with_cas("basket", add_one) for ns in sessions)) == [2] * TASKS
    assert gate.connections <= (1 if pipelining else 2)
    assert gate.commands() == {"EVALSHA": 4 * TASKS}
    if pipelining:
        assert len(gate.writes) < gate.commands().total() / 10


async def test_closures_call_the_namespace_on_a_pool_of_one(gate: Gate, client_of: Any, store_of: Any) -> None:
    """While they run, nobody holds a connection, and calls go on."""
    ns = store_of(client_of(gate.port, max_connections=1)).namespace("n")
    await ns.set("n", "0")
    inside = asyncio.Event()

    async def closure(snap: Any, ops: Any) -> str | None:
        value = await snap.get("n")
        inside.set()
        for number in range(20):
            await asyncio.gather(*(ns.set(f"other{number}-{each}", "1") for each in range(5)))
        ops.set("n", await ns.get("other19-4"))
        return value

    commit = asyncio.ensure_future(ns.with_cas("n", closure))
    await inside.wait()
    assert await ns.get("n") == "0"
    assert await commit == "0"
    assert await ns.get("n") == "1"
    assert gate.connections == 1
    assert gate.commands().keys() <= {"EVALSHA", "EVAL", "GET"}


async def test_a_commit_travels_with_the_calls_of_others(gate: Gate, client_of: Any, store_of: Any) -> None:
    store = store_of(client_of(gate.port))
    await store.namespace("n").with_cas("basket", add_one)
    gate.writes.clear()
    gate.shut()
    first = asyncio.ensure_future(store.namespace("m").get("x"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [
        asyncio.ensure_future(each)
        for each in (store.namespace("n").with_cas("basket", add_one), store.namespace("m").hgetall("h"))
    ]
    await asyncio.sleep(0)
    gate.open()
    assert await asyncio.gather(first, *tasks) == [None, 2, {}]
    assert gate.writes == [["GET"], ["EVALSHA", "HGETALL"], ["EVALSHA"]]


async def test_the_pipeline_keeps_no_request_alive(gate: Gate, client_of: Any, store_of: Any) -> None:
    """What a request has put into its context is gone with it, though the pipeline that it began serves others for long."""

    class Request:
        pass

    current: contextvars.ContextVar[Request] = contextvars.ContextVar("current")
    # Without a timeout of reading: asyncio keeps timers that were cancelled, with their contexts, until their time comes.
    ns = store_of(client_of(gate.port, socket_timeout=None)).namespace("n")
    seen: list[weakref.ref[Request]] = []

    async def handle(number: int) -> None:
        request = Request()
        seen.append(weakref.ref(request))
        current.set(request)
        await ns.get(f"s{number}")
        await ns.with_cas("basket", add_one)

    stop = asyncio.Event()

    async def others() -> None:
        while not stop.is_set():
            await ns.get("s")

    await ns.set("s", "1")
    requests = [asyncio.ensure_future(handle(number)) for number in range(5)]
    going_on = [asyncio.ensure_future(others()) for _ in range(5)]
    await asyncio.gather(*requests)
    del requests
    for _ in range(5):
        await ns.get("s")
    (pipeline,) = ns._commands._pipelines[asyncio.get_running_loop()].values()
    assert pipeline._sender is not None  # it has not come to an end meanwhile
    gc.collect()
    assert [each() for each in seen] == [None] * 5
    stop.set()
    await asyncio.gather(*going_on)
