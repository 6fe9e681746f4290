"""A lost connection fails or repeats each call as the client's policy says, and nothing is done twice."""

from __future__ import annotations

import asyncio
import random
import traceback
from typing import Any

import pytest
import redis
import redis.asyncio
from pipelining.gate import Gate
from redis.exceptions import ConnectionError
from support.servers import Server, free_port

from session_store._async import connection


async def held(gate: Gate, ns: Any, *calls: Any) -> tuple[asyncio.Task[Any], list[asyncio.Task[Any]]]:
    """One call that has been sent, alone, and others that have gathered. The gate is shut."""
    await ns.exists("alone")
    gate.writes.clear()
    gate.shut()
    alone = asyncio.ensure_future(ns.exists("alone"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    return alone, tasks


async def ends(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("fate", ["drop", "lose", "truncate"])
async def test_each_call_is_sent_as_often_as_the_policy_says(
    gate: Gate, client_of: Any, store_of: Any, retries: int, fate: str
) -> None:
    """Before the batch's commands, after them, in the middle of a reply: each time, until the policy has had enough."""
    ns = store_of(client_of(gate.port, retries=retries)).namespace("n")
    await ns.set("s", "value")
    alone, tasks = await held(gate, ns, *(ns.get("s") for _ in range(10)))
    gate.fate = lambda name: fate if name == "GET" else ""
    gate.open()
    assert await alone is False
    failed = await ends(tasks)
    assert [type(each) for each in failed] == [ConnectionError] * 10
    assert len({id(each) for each in failed}) == 10
    attempts = [write for write in gate.writes if "GET" in write]
    assert len(attempts) == retries + 1
    if fate != "drop":  # the first that is dropped is the end of its write
        assert {len(write) for write in attempts} == {10}
    gate.fate = lambda _: ""
    assert await ns.get("s") == "value"


@pytest.mark.parametrize("fate", ["lose", "truncate"])
async def test_a_connection_that_is_lost_in_the_middle_of_a_batch(
    gate: Gate, client_of: Any, store_of: Any, fate: str
) -> None:
    """Those that have their replies keep them; the rest is sent again, and told what it did the first time."""
    ns = store_of(client_of(gate.port, retries=1)).namespace("n")
    await ns.incr("ids")
    alone, tasks = await held(gate, ns, *(ns.incr("ids") for _ in range(10)))
    count = iter(range(1_000))
    gate.fate = lambda _: fate if next(count) == 4 else ""
    gate.open()
    await alone
    assert await ends(tasks) == list(range(2, 12))
    assert [len(write) for write in gate.writes] == [1, 10, 6]
    assert await ns.get("ids") == "11"


async def test_without_retries_some_of_a_batch_fail(gate: Gate, client_of: Any, store_of: Any) -> None:
    """Exactly those that have no reply; and each can show where it was raised, without what others add to theirs."""
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("s", "value")

    async def annotated(number: int) -> str | None:
        try:
            return await ns.get("s")
        except ConnectionError as error:
            error.args = (f"{number}",)
            raise

    alone, tasks = await held(gate, ns, *(annotated(number) for number in range(10)))
    count = iter(range(1_000))
    gate.fate = lambda _: "lose" if next(count) == 4 else ""
    gate.open()
    await alone
    found = await ends(tasks)
    assert found[:4] == ["value"] * 4
    assert [str(each) for each in found[4:]] == [f"{number}" for number in range(4, 10)]
    for each in found[4:]:
        names = [frame.name for frame in traceback.extract_tb(each.__traceback__)]
        assert names.count("annotated") == 1


@pytest.mark.parametrize("retries", [0, 8])
async def test_no_id_is_doubled(gate: Gate, client_of: Any, store_of: Any, rival: redis.Redis, retries: int) -> None:
    """Thousands of calls of 50 tasks; connections are cut before, after and in the middle of replies, again and again."""
    client = client_of(gate.port, retries=retries, max_connections=2)
    ns = store_of(client).namespace("n")
    await ns.incr("warm")
    rng = random.Random(retries)
    gate.fate = lambda _: rng.choice(["drop", "lose", "truncate"]) if rng.random() < 0.01 else ""
    given: list[int] = []
    sums: list[int] = []
    failures = 0

    async def work() -> None:
        nonlocal failures
        for _ in range(25):
            try:
                given.append(await ns.incr("ids"))
            except ConnectionError:
                failures += 1
            try:
                sums.append(await ns.hincrby("h", "n"))
            except ConnectionError:
                failures += 1

    await asyncio.gather(*(work() for _ in range(50)))
    gate.fate = lambda _: ""
    assert min(gate.fates[each] for each in ("drop", "lose", "truncate")) >= 3
    last, total = await ns.incr("ids"), await ns.hincrby("h", "n")
    assert len(set(given)) == len(given)
    assert len(set(sums)) == len(sums)
    if retries:
        assert failures == 0
        assert sorted(given) == sorted(sums) == list(range(1, 1_251))
        assert (last, total) == (1_251, 1_251)
    else:
        assert failures
        assert len(given) < last <= len(given) + failures + 1
        assert last > max(given)
    assert not client.connection_pool._in_use_connections
    assert rival.get(ns.key("ids")) == str(last)


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_server_that_refuses_connections(client_of: Any, store_of: Any, retries: int) -> None:
    client = client_of(free_port(), retries=retries)
    ns = store_of(client).namespace("n")
    failed = await ends([asyncio.ensure_future(ns.get("s")) for _ in range(50)])
    assert {type(each) for each in failed} == {ConnectionError}
    assert len({id(each) for each in failed}) == 50
    assert not client.connection_pool._in_use_connections


async def test_a_server_that_comes_back(client_of: Any, store_of: Any) -> None:
    server = Server()
    try:
        ns = store_of(client_of(server.port)).namespace("n")
        await ends([asyncio.ensure_future(ns.set(f"s{number}", "1")) for number in range(50)])
        server.kill()
        failed = await ends([asyncio.ensure_future(ns.get("s1")) for _ in range(50)])
        assert {type(each) for each in failed} == {ConnectionError}
        server.start()
        assert await ends([asyncio.ensure_future(ns.set("s1", "2")) for _ in range(50)]) == [True] * 50
    finally:
        server.stop()


async def test_a_pool_without_connections(
    server: Server, client_of: Any, store_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others keep them all. In the end each call is told so, with an error of its own, and later ones are served."""
    monkeypatch.setattr(connection, "_PATIENCE", 0.1)
    client = client_of(server.port, max_connections=1)
    ns = store_of(client).namespace("n")
    taken = await client.connection_pool.get_connection()
    failed = await ends([asyncio.ensure_future(ns.get("s")) for _ in range(50)])
    assert all(isinstance(each, ConnectionError) for each in failed)  # a class of its own in later versions of redis-py
    assert {str(each) for each in failed} == {"Too many connections"}
    assert len({id(each) for each in failed}) == 50
    monkeypatch.undo()
    calls = [asyncio.ensure_future(ns.get("s")) for _ in range(50)]
    calls.append(asyncio.ensure_future(ns.with_cas("s", reads_s)))
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    await client.connection_pool.release(taken)
    assert await ends(calls) == [None] * 51
    assert await ends([asyncio.ensure_future(ns.get("s")) for _ in range(50)]) == [None] * 50


async def reads_s(snap: Any, ops: Any) -> Any:
    return await snap.get("s")


async def test_a_server_that_does_not_answer(gate: Gate, client_of: Any, store_of: Any) -> None:
    """The client's timeout is each batch's: nobody waits for ever, and those that come later are served."""
    ns = store_of(client_of(gate.port, socket_timeout=0.5)).namespace("n")
    await ns.get("s")
    gate.shut()
    failed = await ends([asyncio.ensure_future(ns.get("s")) for _ in range(20)])
    assert {type(each) for each in failed} == {redis.TimeoutError}
    assert len({id(each) for each in failed}) == 20
    gate.open()
    assert await ns.get("s") is None
