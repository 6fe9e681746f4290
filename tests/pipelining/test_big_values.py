"""One large value holds the others up for as long as it is under way, and no longer. By order of events, not by the clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipelining.gate import Gate

SIZE = 10_000_000


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
async def test_a_large_reply(gate: Gate, client_of: Any, store_of: Any, *, alone: bool) -> None:
    """Those behind it have theirs as soon as it has come; those before it do not wait for it. Nobody's time runs out."""
    ns = store_of(client_of(gate.port)).namespace("n")
    big = "x" * SIZE
    await ns.set("big", big)
    await asyncio.gather(*(ns.set(f"s{number}", f"{number}") for number in range(20)))
    gate.writes.clear()
    gate.most = 100_000
    passed = gate.passed
    seen: list[tuple[str, int]] = []  # who had a reply, and how much had come by then

    async def pace() -> None:
        await asyncio.sleep(0)

    async def read(name: str) -> str | None:
        value = await ns.get(name)
        seen.append((name, gate.passed - passed))
        return value

    gate.pace = pace
    gate.shut()
    before = [] if alone else ["s0", "s1", "s2"]
    tasks = [asyncio.ensure_future(read(name)) for name in (*before, "big", *(f"s{n}" for n in range(3, 20)))]
    found = await asyncio.wait_for(asyncio.gather(*tasks), 20)
    assert found[len(before)] == big
    assert [name for name, _ in seen] == [*before, "big", *(f"s{number}" for number in range(3, 20))]
    for name, amount in seen:
        if name in before:
            assert amount < SIZE
        else:
            assert SIZE < amount < SIZE + 1_000
    assert len(gate.writes) == 2
    assert gate.connections == 1


async def test_calls_that_come_while_a_large_reply_does(gate: Gate, client_of: Any, store_of: Any) -> None:
    """They gather, and are one write when it has come."""
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("big", "x" * SIZE)
    gate.writes.clear()
    gate.most = 100_000
    tasks: list[asyncio.Task[Any]] = []

    async def pace() -> None:
        if len(tasks) < 90:
            tasks.append(asyncio.ensure_future(ns.exists("big")))
        await asyncio.sleep(0)

    gate.pace = pace
    assert len(await ns.get("big")) == SIZE
    assert await asyncio.wait_for(asyncio.gather(*tasks), 20) == [True] * 90
    assert gate.writes[0] == ["GET"]
    assert gate.commands() == {"GET": 1, "EXISTS": 90}
    assert len(gate.writes) <= 3


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
async def test_a_large_value_is_written(gate: Gate, client_of: Any, store_of: Any, *, alone: bool) -> None:
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.set("s", "1")
    order: list[str] = []

    async def call(name: str, call: Any) -> Any:
        answer = await call
        order.append(name)
        return answer

    big = "y" * SIZE
    before = [] if alone else [call("b0", ns.get("s")), call("b1", ns.get("s"))]
    calls = [*before, call("big", ns.set("big", big)), *(call(f"a{n}", ns.get("s")) for n in range(10))]
    found = await asyncio.wait_for(asyncio.gather(*calls), 20)
    assert found == ["1"] * len(before) + [True] + ["1"] * 10
    assert order == [*(["b0", "b1"] if before else []), "big", *(f"a{n}" for n in range(10))]
    assert await ns.get("big") == big
    assert gate.connections == 1
