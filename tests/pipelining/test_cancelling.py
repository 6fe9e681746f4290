"""Tasks that are cancelled wherever they wait: nobody else is disturbed, and the pool stays whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis
import redis.asyncio
from pipelining.gate import Gate
from support.cancelling import MOST_WAITS, Cancelling, every_manner
from support.servers import Server

POOLS = {
    "plain": redis.asyncio.ConnectionPool,
    "blocking": lambda **options: redis.asyncio.BlockingConnectionPool(timeout=1, **options),
}
NEIGHBOURS = 6


async def no_other_tasks() -> None:
    """Until all that was begun is done; the pipeline has no task when it has nothing to send."""
    for _ in range(1_000):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(asyncio.all_tasks())


async def check_whole(client: Any, ns: Any) -> None:
    """The pool has its connections, none with a reply on its way, and the pipeline is idle."""
    await no_other_tasks()
    pool = client.connection_pool
    assert not pool._in_use_connections
    assert len(pool._available_connections) <= 1
    for connection in pool._available_connections:
        can_read = getattr(connection, "can_read", None) or connection.can_read_destructive  # before redis-py 8
        assert not connection.is_connected or not await can_read()
    assert await asyncio.gather(*(ns.get(f"s{number}") for number in range(5))) == [f"value {n}" for n in range(5)]
    for pipeline in ns._commands._pipelines[asyncio.get_running_loop()].values():
        assert not (pipeline._alone or pipeline._calls or pipeline._bytes or pipeline._waiting or pipeline._resuming)


CALLS: dict[str, tuple[Callable[[Any], Coroutine[Any, Any, Any]], Any]] = {
    "get": (lambda ns: ns.get("s3"), "value 3"),
    "set": (lambda ns: ns.set("s4", "value 4"), True),
    "set with a script to load": (lambda ns: ns.set("s4", "value 4"), True),
}


@every_manner
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "connecting"])
@pytest.mark.parametrize("place", ["alone", "behind one", "among others"])
@pytest.mark.parametrize("name", CALLS)
async def test_cancelled_at_every_wait(
    server: Server,
    client_of: Any,
    store_of: Any,
    rival: redis.Redis,
    manner: str,
    pool: str,
    connected: bool,
    place: str,
    name: str,
) -> None:
    """Its neighbours get their own replies, with no more connections than one."""
    client = client_of(server.port, pool=POOLS[pool], max_connections=1, retries=1)
    ns = store_of(client).namespace("n")
    await asyncio.gather(*(ns.set(f"s{number}", f"value {number}") for number in range(5)))
    await no_other_tasks()
    call, outcome = CALLS[name]
    for at in range(1, MOST_WAITS):
        if not connected:
            await client.connection_pool.disconnect()
        if name.endswith("load"):
            rival.script_flush()
        before = {"alone": 0, "behind one": 1, "among others": NEIGHBOURS}[place]
        neighbours = [asyncio.ensure_future(ns.get(f"s{number % 5}")) for number in range(before)]
        cancelling = Cancelling(call(ns), at, manner)
        task = asyncio.ensure_future(cancelling)
        neighbours += [asyncio.ensure_future(ns.get(f"s{number % 5}")) for number in range(NEIGHBOURS)]
        found = await asyncio.wait_for(asyncio.gather(*neighbours), 10)
        assert found == [f"value {n % 5}" for n in (*range(before), *range(NEIGHBOURS))]
        await asyncio.wait([task], timeout=10)
        assert task.done()
        await check_whole(client, ns)
        if cancelling.waits < at:
            assert at > 1
            assert await task == outcome
            return
        if not cancelling.is_cancelled(task):
            assert await task == outcome
    raise AssertionError("a call without an end")


@every_manner
async def test_ids_of_cancelled_calls(server: Server, client_of: Any, store_of: Any, manner: str) -> None:
    """One may be wasted; none is given twice."""
    client = client_of(server.port, max_connections=1)
    ns = store_of(client).namespace("n")
    given: list[int] = []
    for at in range(1, 8):
        tasks = [asyncio.ensure_future(Cancelling(ns.incr("ids"), at, manner)) for _ in range(5)]
        given += await asyncio.gather(*(ns.incr("ids") for _ in range(5)))
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                assert isinstance(outcome, int)
                given.append(outcome)
        await no_other_tasks()
    assert len(set(given)) == len(given) >= 35
    assert max(given) <= 70


async def test_a_call_that_was_not_sent_is_never_sent(gate: Gate, client_of: Any, store_of: Any) -> None:
    """Cancelled, or out of time, behind a call whose reply is held back."""
    client = client_of(gate.port)
    ns = store_of(client).namespace("n")
    await ns.set("s", "1")
    gate.writes.clear()
    gate.shut()
    alone = asyncio.ensure_future(ns.get("s"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [asyncio.ensure_future(ns.set("s", "2")) for _ in range(20)]
    stays = asyncio.ensure_future(ns.exists("s"))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ns.set("s", "3"), 0.01)
    for task in tasks:
        task.cancel()
    gate.open()
    assert [await alone, await stays] == ["1", True]
    assert gate.writes == [["GET"], ["EXISTS"]]
    assert all(task.cancelled() for task in tasks)
    assert await ns.get("s") == "1"


async def test_the_one_that_goes_alone_is_cancelled(gate: Gate, client_of: Any, store_of: Any) -> None:
    """It was sent. Its connection is closed, and those that gathered behind it go on another one."""
    client = client_of(gate.port, max_connections=1)
    ns = store_of(client).namespace("n")
    await ns.set("s", "1")
    gate.writes.clear()
    gate.shut()
    alone = asyncio.ensure_future(ns.get("nothing"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [asyncio.ensure_future(ns.get("s")) for _ in range(20)]
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.wait([alone])
    gate.open()
    assert await asyncio.gather(*tasks) == ["1"] * 20
    assert gate.connections == 2
    assert not client.connection_pool._in_use_connections


async def test_a_batch_of_cancelled_calls_keeps_its_connection(gate: Gate, client_of: Any, store_of: Any) -> None:
    """Their replies are read, and are nobody's: the connection goes on to be used."""
    client = client_of(gate.port, max_connections=1)
    ns = store_of(client).namespace("n")
    await ns.set("s", "1")
    gate.writes.clear()
    gate.shut()
    alone = asyncio.ensure_future(ns.get("s"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [asyncio.ensure_future(ns.get("nothing")) for _ in range(20)]
    await asyncio.sleep(0)
    gate.fate = lambda _: gate.shut() or ""
    gate.open()
    await gate.wait_for(lambda: len(gate.writes) == 2)
    for task in tasks:
        task.cancel()
    last = asyncio.ensure_future(ns.get("s"))
    await asyncio.sleep(0)
    gate.fate = lambda _: ""
    gate.open()
    assert [await alone, await last] == ["1", "1"]
    assert [len(write) for write in gate.writes] == [1, 20, 1]
    assert gate.connections == 1
