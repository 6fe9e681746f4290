"""with_cas: what it commits, what a closure is given, and what it may not do."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import (
    AsyncNamespace,
    CodecError,
    InvalidNameError,
    WrongTypeError,
)

pytestmark = pytest.mark.every_setting

LARGE = "x" * 70_000


async def test_what_the_closure_records_is_committed_and_what_it_returns_is_returned(ns: AsyncNamespace) -> None:
    await ns.hset("basket", mapping={"A-1": "2", "B-2": "1"})
    await ns.set("old", "1")

    async def checkout(snap: Any, ops: Any) -> int:
        items = await snap.hgetall("basket")
        ops.set("total", str(len(items)), ttl=50)
        ops.hset("basket", "C-3", "1")
        ops.hset("log", mapping={"a": "1", "b": "2"}, ttl=70)
        ops.hdel("basket", "A-1", "no such field")
        ops.delete("old")
        return len(items)

    assert await ns.with_cas("basket", checkout) == 2
    assert await ns.hgetall("basket") == {"B-2": "1", "C-3": "1"}
    assert await ns.get("total") == "2"
    assert await ns.hgetall("log") == {"a": "1", "b": "2"}
    assert await ns.slots() == ["basket", "log", "total"]
    assert await ns.ttl("total") == pytest.approx(50, abs=5)
    assert await ns.ttl("log") == pytest.approx(70, abs=5)
    assert await ns.ttl("basket") == pytest.approx(1000, abs=5)


async def test_the_snapshot_answers_every_read(ns: AsyncNamespace) -> None:
    """Watched or not, small or large, there or not: the same answers as the namespace gives."""
    await ns.set("s", "text")
    await ns.set("large", LARGE)
    await ns.hset("h", mapping={"a": "1", "b": ""})
    await ns.hset("wide", mapping={f"f{number}": "1" for number in range(300)})
    await ns.hset("heavy", mapping={"a": LARGE, "b": "1"})
    seen = {}

    async def look(snap: Any, ops: Any) -> None:
        for slot in ("s", "large", "nothing"):
            seen["get", slot] = await snap.get(slot)
            seen["exists", slot] = await snap.exists(slot)
        for slot in ("h", "wide", "heavy", "none"):
            seen["exists", slot] = await snap.exists(slot)
            seen["hgetall", slot] = await snap.hgetall(slot)
            seen["hkeys", slot] = sorted(await snap.hkeys(slot))
            seen["hlen", slot] = await snap.hlen(slot)
            seen["hget", slot] = await snap.hget(slot, "a")
            seen["hmget", slot] = await snap.hmget(slot, ["b", "no", "a"])
            seen["hexists", slot] = [await snap.hexists(slot, "a"), await snap.hexists(slot, "no")]

    for watched in (["s", "large", "nothing", "h", "wide", "heavy", "none"], "unrelated"):
        seen.clear()
        await ns.with_cas(watched, look)
        for slot in ("s", "large", "nothing"):
            assert seen["get", slot] == await ns.get(slot)
            assert seen["exists", slot] is await ns.exists(slot)
        for slot in ("h", "wide", "heavy", "none"):
            assert seen["exists", slot] is await ns.exists(slot)
            assert seen["hgetall", slot] == await ns.hgetall(slot)
            assert seen["hkeys", slot] == sorted(await ns.hkeys(slot))
            assert seen["hlen", slot] == await ns.hlen(slot)
            assert seen["hget", slot] == await ns.hget(slot, "a")
            assert seen["hmget", slot] == await ns.hmget(slot, ["b", "no", "a"])
            assert seen["hexists", slot] == [await ns.hexists(slot, "a"), False]


async def test_the_snapshot_does_not_show_what_is_recorded(ns: AsyncNamespace) -> None:
    await ns.hset("h", "a", "1")

    async def fn(snap: Any, ops: Any) -> tuple[Any, ...]:
        fields = await snap.hgetall("h")
        fields["b"] = "changed by the closure"
        ops.hset("h", "a", "2")
        ops.set("other", "1")
        return await snap.hgetall("h"), await snap.get("other")

    assert await ns.with_cas("h", fn) == ({"a": "1"}, None)
    assert await ns.hget("h", "a") == "2"


async def test_what_the_closure_raises_passes_through_and_nothing_is_written(ns: AsyncNamespace) -> None:
    async def fail(snap: Any, ops: Any) -> None:
        ops.set("a", "1")
        raise LookupError("out of stock")

    with pytest.raises(LookupError, match="out of stock"):
        await ns.with_cas("a", fail)
    assert await ns.exists("a") is False
    assert await ns.set("a", "2") is True


async def test_a_closure_that_records_nothing_writes_nothing(ns: AsyncNamespace, recorder: Any) -> None:
    """It is checked against changes all the same: what it returns was true at one moment."""
    await ns.set("n", "2")
    before = [0, 1]

    async def fn(snap: Any, ops: Any) -> str | None:
        if before:
            before.pop()
            await ns.set("n", str(len(before)))
        return await snap.get("n")

    assert await ns.with_cas("n", fn) == "0"
    recorder.clear()
    assert await ns.with_cas("n", fn) == "0"
    assert recorder.writes == [("EVALSHA",), ("EVALSHA",)]


async def test_ops_check_their_arguments_at_once(ns: AsyncNamespace) -> None:
    """In the closure, where the mistake is; the commit does not happen."""
    mistakes = {
        InvalidNameError: lambda ops: ops.set("~a", "1"),
        TypeError: lambda ops: ops.set("a", 1),
        ValueError: lambda ops: ops.set("a", "1", ttl=0),
    }
    for error, mistake in mistakes.items():

        async def fn(snap: Any, ops: Any, mistake: Any = mistake) -> None:
            ops.set("b", "1")
            mistake(ops)

        with pytest.raises(error):
            await ns.with_cas("a", fn)
    assert await ns.slots() == []


WRONG = {
    "set": lambda ops: ops.set("h", "1"),
    "hset": lambda ops: ops.hset("s", "f", "1"),
    "hdel": lambda ops: ops.hdel("s", "f"),
}


@pytest.mark.parametrize("operation", WRONG)
async def test_a_slot_of_the_wrong_type_among_the_ops_means_that_none_applies(
    ns: AsyncNamespace, operation: str
) -> None:
    await ns.set("s", "1")
    await ns.hset("h", "f", "1")
    calls = []

    async def fn(snap: Any, ops: Any) -> None:
        calls.append(1)
        ops.set("before", "1")
        ops.delete("s" if operation == "set" else "h")
        WRONG[operation](ops)
        ops.set("after", "1")

    with pytest.raises(WrongTypeError) as caught:
        await ns.with_cas("s", fn)
    assert (caught.value.key, caught.value.operation) == (ns.key("h" if operation == "set" else "s"), operation)
    assert calls == [1]
    assert await ns.slots() == ["h", "s"]
    assert (await ns.get("s"), await ns.hgetall("h")) == ("1", {"f": "1"})


async def test_ops_apply_in_order_each_after_the_ones_before(ns: AsyncNamespace) -> None:
    """A slot may change its type within a commit when it was deleted in between."""
    await ns.hset("h", "f", "1")

    async def fn(snap: Any, ops: Any) -> None:
        ops.hset("h", "g", "2")
        ops.delete("h")
        ops.set("h", "now a string")
        ops.set("t", "1")
        ops.set("t", "2")
        ops.delete("t")
        ops.hset("n", "a", "1")
        ops.hdel("n", "a", ttl=50)

    await ns.with_cas("h", fn)
    assert await ns.get("h") == "now a string"
    assert await ns.slots() == ["h"]


async def test_a_hash_that_lost_its_last_field_may_become_a_string(ns: AsyncNamespace) -> None:
    """It is gone by then, whichever operations of the commit emptied it; one that keeps a field is not."""
    for fields in ({"f": "1"}, {"f": "1", "g": "2"}):
        await ns.hset("h", mapping=fields)
        await ns.set("s", "1")

        async def fn(snap: Any, ops: Any) -> None:
            ops.delete("s")
            ops.hset("s", mapping={"x": "1", "y": "2"})
            ops.hdel("s", "x", "y")
            ops.set("s", "2")
            ops.hset("h", "h", "3")
            ops.hdel("h", "f")
            ops.hdel("h", "h")
            ops.set("h", "now a string")

        if len(fields) == 1:
            await ns.with_cas("h", fn)
            assert (await ns.get("h"), await ns.get("s")) == ("now a string", "2")
            await ns.delete("h")
        else:
            with pytest.raises(WrongTypeError) as caught:
                await ns.with_cas("h", fn)
            assert (caught.value.key, caught.value.operation) == (ns.key("h"), "set")
            assert (await ns.hgetall("h"), await ns.get("s")) == (fields, "1")


async def test_a_commit_may_have_many_operations(ns: AsyncNamespace) -> None:
    async def fn(snap: Any, ops: Any) -> None:
        for number in range(1000):
            ops.set(f"s{number}", str(number))
        ops.hset("h", mapping={f"f{number}": "1" for number in range(9000)})

    await ns.with_cas("a", fn)
    assert len(await ns.slots()) == 1001
    assert await ns.purge() == 1001


async def test_wrong_types_show_in_the_snapshot(ns: AsyncNamespace, raw: Any) -> None:
    await ns.set("s", "1")
    await ns.set("large", LARGE)
    await ns.hset("h", "f", "1")
    await raw.rpush(ns.key("list"), "1")
    await raw.append(ns.key("s"), b"\xff")

    async def fn(snap: Any, ops: Any) -> None:
        calls = [
            ("get", "h", lambda: snap.get("h")),
            ("get", "list", lambda: snap.get("list")),
            ("hgetall", "s", lambda: snap.hgetall("s")),
            ("hlen", "large", lambda: snap.hlen("large")),
            ("hget", "list", lambda: snap.hget("list", "f")),
        ]
        for operation, slot, call in calls:
            with pytest.raises(WrongTypeError) as caught:
                await call()
            assert (caught.value.key, caught.value.operation) == (ns.key(slot), operation)
        with pytest.raises(CodecError):
            await snap.get("s")
        assert await snap.exists("list") is True

    await ns.with_cas(["s", "h", "list", "large"], fn)
    await ns.with_cas("nothing", fn)
    await ns.delete("list")


async def test_snap_and_ops_end_with_the_closure(ns: AsyncNamespace) -> None:
    kept = []

    async def keep(snap: Any, ops: Any) -> None:
        kept.append((snap, ops))
        await ns.incr("n")

    async def fail(snap: Any, ops: Any) -> None:
        kept.append((snap, ops))
        raise LookupError

    await ns.with_cas("a", keep)
    with pytest.raises(LookupError):
        await ns.with_cas("a", fail)
    for snap, ops in kept:
        with pytest.raises(RuntimeError, match="end with the closure"):
            await snap.get("a")
        with pytest.raises(RuntimeError, match="end with the closure"):
            await snap.get("unwatched")
        with pytest.raises(RuntimeError, match="end with the closure"):
            ops.set("a", "1")
