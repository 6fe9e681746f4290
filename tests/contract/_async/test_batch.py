"""Several writes in one step, without looking at any slot."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncNamespace, NamespacePurgedError, WrongTypeError


async def test_all_is_written_in_order_and_once(ns: AsyncNamespace) -> None:
    await ns.set("old", "1")

    async def write(ops: Any) -> str:
        ops.set("step", "address")
        ops.hset("basket", mapping={"tea": "1", "milk": "2"}, ttl=30)
        ops.hdel("basket", "milk")
        ops.delete("old")
        ops.set("step", "payment", ttl=20)
        return "written"

    assert await ns.batch(write) == "written"
    assert await ns.load() == {"step": "payment", "basket": {"tea": "1"}}
    assert 19 < (await ns.ttl("step") or 0) <= 20
    assert await ns.slots() == ["basket", "step"]


async def test_it_is_one_round_trip_and_none_where_nothing_is_recorded(ns: AsyncNamespace, recorder: Any) -> None:
    async def write(ops: Any) -> None:
        ops.set("a", "1")
        ops.hset("b", "f", "2")

    async def write_nothing(ops: Any) -> None:
        pass

    await ns.batch(write)
    recorder.clear()
    await ns.batch(write)
    assert recorder.writes == [("EVALSHA",)]
    recorder.clear()
    await ns.batch(write_nothing)
    assert recorder.writes == []


async def test_one_that_cannot_be_done_leaves_all_undone(ns: AsyncNamespace) -> None:
    await ns.hset("basket", "tea", "1")

    async def write(ops: Any) -> None:
        ops.set("step", "address")
        ops.set("basket", "text")

    with pytest.raises(WrongTypeError) as caught:
        await ns.batch(write)
    assert caught.value.key == ns.key("basket")
    assert await ns.load() == {"basket": {"tea": "1"}}


async def test_what_the_function_raises_passes_through_and_nothing_is_written(
    ns: AsyncNamespace, recorder: Any
) -> None:
    given: list[Any] = []

    async def write(ops: Any) -> None:
        given.append(ops)
        ops.set("a", "1")
        raise LookupError

    with pytest.raises(LookupError):
        await ns.batch(write)
    assert recorder.writes == []
    with pytest.raises(RuntimeError, match="end with the closure"):
        given[0].set("a", "1")


async def test_a_fence_refuses_it(ns: AsyncNamespace) -> None:
    async def write(ops: Any) -> None:
        ops.set("a", "1")

    await ns.purge(fence=60)
    with pytest.raises(NamespacePurgedError):
        await ns.batch(write)


async def test_it_makes_who_watches_lose(ns: AsyncNamespace, interfering: Any) -> None:
    async def write(ops: Any) -> None:
        ops.set("n", "7")

    calls: list[int] = []
    assert await ns.with_cas("n", interfering(lambda: ns.batch(write), 1, calls)) == 8
    assert calls == [0, 7]


async def test_what_is_no_function_of_this_flavour_is_refused(ns: AsyncNamespace, recorder: Any) -> None:
    for fn in (None, "text", 1):
        with pytest.raises(TypeError, match=r"fn\(ops\)"):
            await ns.batch(fn)  # type: ignore[arg-type]
    assert recorder.commands == []
