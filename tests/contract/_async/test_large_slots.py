"""Slots that are too large to be sent along when an attempt begins: each is read with its mark."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncNamespace

pytestmark = pytest.mark.every_setting

LARGE = "x" * 70_000


@pytest.mark.parametrize("slot", ["s", "h"])
async def test_a_read_that_finds_a_large_slot_changed_loses_the_attempt(ns: AsyncNamespace, slot: str) -> None:
    """Whatever the closure does with what it saw, and though the slot is what it was by the commit."""
    await ns.set("s", LARGE)
    await ns.hset("h", mapping={"f": "1", "large": LARGE})
    seen: list[str] = []

    async def put(text: str) -> None:
        if slot == "s":
            await ns.set("s", text + LARGE)
        else:
            await ns.hset("h", "f", text or "1")

    async def fn(snap: Any, ops: Any) -> None:
        if not seen:
            await put("2")
        text = await snap.get("s") if slot == "s" else await snap.hget("h", "f")
        seen.append(text[:1])
        await put("")
        ops.set("n", text[:1])

    await ns.with_cas(slot, fn)
    assert seen == ["2", "x" if slot == "s" else "1"]
    assert await ns.get("n") == seen[-1]


async def test_a_large_slot_that_changes_makes_an_attempt_lose(ns: AsyncNamespace, interfering: Any) -> None:
    """Read or not."""
    await ns.hset("h", mapping={"f": "1", "large": LARGE})
    calls: list[int] = []
    fn = interfering(lambda: ns.hset("h", "f", f"1{len(calls)}"), 2, calls)
    assert await ns.with_cas(["n", "h"], fn) == 1
    assert len(calls) == 3


async def test_another_content_of_the_same_letters_makes_an_attempt_lose(ns: AsyncNamespace) -> None:
    """Also where only the mark of the content decides: that of a large slot, at the attempt after one that was lost."""
    await ns.hset("h", mapping={"large": LARGE, "a": "bc"})
    attempts = 0

    async def shift(ops: Any) -> None:
        ops.hdel("h", "a")
        ops.hset("h", "ab", "c")

    async def fn(snap: Any, ops: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await ns.hset("h", "other", "1")
        elif attempts == 2:
            await ns.batch(shift)
        ops.set("n", "1")

    await ns.with_cas("h", fn)
    assert attempts == 3


async def test_reads_of_a_large_slot_cost_one_command_each(ns: AsyncNamespace, recorder: Any) -> None:
    await ns.set("s", LARGE)

    async def fn(snap: Any, ops: Any) -> None:
        for _ in range(3):
            assert await snap.get("s") == LARGE
        assert await snap.exists("s")
        ops.set("n", "1")

    await ns.with_cas("s", fn)
    recorder.clear()
    await ns.with_cas("s", fn)
    assert [names[0] for names in recorder.writes][:2] == ["EVALSHA"] * 2
    assert len(recorder.writes) <= 2 + 4


async def test_another_order_costs_a_large_hash_one_attempt_at_most(ns: AsyncNamespace, raw: Any) -> None:
    """The same fields put in anew, as Redis may keep them in another order, before each commit."""
    fields = {f"f{number}": str(number) * 30 for number in range(600)}
    await ns.hset("h", mapping=fields)
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(1)
        await raw.delete(ns.key("h"))
        turned = list(fields.items())[:: 1 if len(runs) % 2 else -1]
        await ns.hset("h", mapping=dict(turned))
        ops.set("n", "1")

    await ns.with_cas("h", fn, max_retries=1)
    assert len(runs) <= 2
