"""How long slots live: keepttl, defaults of a handle, and kinds of slots."""

from __future__ import annotations

import math
from typing import Any

import pytest
from redis.exceptions import ResponseError

from session_store import AsyncNamespace, AsyncSessionStore, WrongTypeError
from session_store._core.scripts import COMMIT, SINGLE

VERBS: dict[str, Any] = {
    "set": lambda ns, **ttl: ns.set("s", "2", **ttl),
    "set xx": lambda ns, **ttl: ns.set("s", "2", xx=True, **ttl),
    "hset": lambda ns, **ttl: ns.hset("h", "f", "2", **ttl),
    "hset mapping": lambda ns, **ttl: ns.hset("h", mapping={"f": "2"}, **ttl),
    "hdel": lambda ns, **ttl: ns.hdel("h", "g", **ttl),
    "hincrby": lambda ns, **ttl: ns.hincrby("h", "n", **ttl),
    "incr": lambda ns, **ttl: ns.incr("n", **ttl),
    "ops.set": lambda ns, **ttl: ns.with_cas("a", recording(lambda ops: ops.set("s", "2", **ttl))),
    "ops.hset": lambda ns, **ttl: ns.with_cas("a", recording(lambda ops: ops.hset("h", "f", "2", **ttl))),
    "ops.hdel": lambda ns, **ttl: ns.with_cas("a", recording(lambda ops: ops.hdel("h", "g", **ttl))),
}
NEW = [verb for verb in VERBS if "hdel" not in verb and verb != "set xx"]  # those that make a slot


def recording(record: Any) -> Any:
    """A closure."""

    async def fn(snap: Any, ops: Any) -> None:
        record(ops)

    return fn


def slot_of(verb: str) -> str:
    return "n" if verb == "incr" else "s" if "set" in verb and "hset" not in verb else "h"


async def fill(ns: AsyncNamespace) -> None:
    await ns.set("s", "1", ttl=500)
    await ns.hset("h", mapping={"f": "1", "g": "1"}, ttl=500)
    await ns.incr("n", ttl=500)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_slot_that_lives_keeps_its_ttl_where_that_is_said(
    ns: AsyncNamespace, pass_time: Any, verb: str
) -> None:
    """Whatever TTL is named; it lives for as long as it was to, and is found for as long."""
    await fill(ns)
    for ttl in ({}, {"ttl": 50}, {"ttl": 5000}):
        await ns.hset("h", "g", "1", keepttl=True)
        await VERBS[verb](ns, keepttl=True, **ttl)
        assert await ns.ttl(slot_of(verb)) == pytest.approx(500, abs=5)
    await pass_time(490)
    assert slot_of(verb) in await ns.slots()
    await pass_time(11)
    assert slot_of(verb) not in await ns.slots()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_ttl_is_set_where_nothing_else_is_said(ns: AsyncNamespace, verb: str) -> None:
    await fill(ns)
    await VERBS[verb](ns)
    assert await ns.ttl(slot_of(verb)) == pytest.approx(1000, abs=5)
    await ns.hset("h", "g", "1")
    await VERBS[verb](ns, ttl=50)
    assert await ns.ttl(slot_of(verb)) == pytest.approx(50, abs=5)


@pytest.mark.parametrize("verb", NEW)
async def test_a_new_slot_gets_the_ttl_that_is_named_or_the_default(ns: AsyncNamespace, verb: str) -> None:
    for ttl, seconds in (({"ttl": 50}, 50), ({}, 1000)):
        await VERBS[verb](ns, keepttl=True, **ttl)
        assert await ns.ttl(slot_of(verb)) == pytest.approx(seconds, abs=5)
        await ns.purge()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_slot_without_a_ttl_gets_one(ns: AsyncNamespace, raw: Any, verb: str) -> None:
    """Another program took it away: there is nothing to keep, and everything expires."""
    await fill(ns)
    await raw.persist(ns.key(slot_of(verb)))
    assert await ns.ttl(slot_of(verb)) == math.inf
    await VERBS[verb](ns, keepttl=True, ttl=300)
    assert await ns.ttl(slot_of(verb)) == pytest.approx(300, abs=5)


async def test_keepttl_goes_with_nx_and_xx(ns: AsyncNamespace) -> None:
    assert await ns.set("s", "1", nx=True, keepttl=True, ttl=300) is True
    assert await ns.ttl("s") == pytest.approx(300, abs=5)
    assert await ns.set("s", "2", nx=True, keepttl=True, ttl=50) is False
    assert await ns.set("s", "3", xx=True, keepttl=True, ttl=50) is True
    assert (await ns.get("s"), await ns.ttl("s")) == ("3", pytest.approx(300, abs=5))
    assert await ns.set("none", "1", xx=True, keepttl=True) is False
    assert await ns.slots() == ["s"]


async def test_a_fixed_window(ns: AsyncNamespace, pass_time: Any) -> None:
    """Counted from its first request on; the next window begins anew, with a TTL of its own, while other slots live on."""
    await ns.set("basket", "1")
    windows = {
        "window": lambda: ns.hincrby("window", "hits", ttl=60, keepttl=True),
        "tries": lambda: ns.incr("tries", ttl=60, keepttl=True),
    }
    for seconds, expected in ((0, 1), (40, 2), (21, 1), (59, 2)):
        if seconds:
            await pass_time(seconds)
        assert [await count() for count in windows.values()] == [expected] * 2
    for slot in windows:
        assert await ns.ttl(slot) <= 5


async def test_ids_do_not_become_a_window(ns: AsyncNamespace, raw: Any) -> None:
    """A counter goes on above what it has given, however it is counted afterwards."""
    assert await ns.incr("id", 5) == 5
    assert await ns.incr("id", keepttl=True) == 6
    await raw.delete(ns.key("id"))
    assert await ns.incr("id", keepttl=True) == 7


async def test_operations_keep_what_those_before_them_set(ns: AsyncNamespace) -> None:
    async def fn(snap: Any, ops: Any) -> None:
        ops.set("s", "1", ttl=300)
        ops.set("s", "2", ttl=50, keepttl=True)
        ops.hset("h", "f", "1", ttl=300)
        ops.delete("h")
        ops.hset("h", "f", "1", ttl=50, keepttl=True)

    await ns.with_cas("s", fn)
    assert (await ns.ttl("s"), await ns.ttl("h")) == (pytest.approx(300, abs=5), pytest.approx(50, abs=5))


async def test_a_handle_may_have_a_default_of_its_own(store: AsyncSessionStore) -> None:
    ns = store.namespace("u", default_ttl=77)
    await ns.set("s", "1")
    await ns.with_cas("s", recording(lambda ops: ops.hset("h", "f", "1")))
    await ns.incr("n")
    await store.namespace("u").set("other", "1")
    assert [await ns.ttl(slot) for slot in ("s", "h", "n")] == [pytest.approx(77, abs=5)] * 3
    assert await ns.ttl("other") == pytest.approx(1000, abs=5)
    await ns.touch()
    assert await ns.ttl("other") == pytest.approx(77, abs=5)


@pytest.mark.parametrize("default_ttl", [0, -1, "1", math.inf, True])
async def test_a_default_must_be_a_duration(store: AsyncSessionStore, default_ttl: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="default_ttl"):
        store.namespace("u", default_ttl=default_ttl)


async def test_kinds(ns: AsyncNamespace, raw: Any) -> None:
    """In a closure too. What another program keeps there may be of no kind of ours."""
    await ns.set("s", "1")
    await ns.hset("h", "f", "1")
    await ns.incr("n")
    wanted = {"s": "string", "h": "hash", "n": "string", "none": None}
    assert {slot: await ns.kind(slot) for slot in wanted} == wanted

    async def fn(snap: Any, ops: Any) -> dict[str, str | None]:
        return {slot: await snap.kind(slot) for slot in wanted}

    assert await ns.with_cas(["s", "none"], fn) == wanted
    await raw.rpush(ns.key("list"), "1")
    with pytest.raises(WrongTypeError) as caught:
        await ns.kind("list")
    assert (caught.value.key, caught.value.operation) == (ns.key("list"), "kind")
    await raw.delete(ns.key("list"))


async def test_a_commit_of_thousands_of_slots(ns: AsyncNamespace, backend: Any) -> None:
    """More than a script can give to one command; all of them, at once."""
    count = 20_000 if backend.version else 2_000  # a server in memory takes its time

    async def fill_many(snap: Any, ops: Any) -> None:
        for number in range(count):
            ops.set(f"slot-{number}", "1")

    async def empty_many(snap: Any, ops: Any) -> None:
        for number in range(count):
            ops.delete(f"slot-{number}")

    await ns.with_cas("a", fill_many)
    assert len(await ns.slots()) == count
    assert await ns.touch(ttl=500) == count
    await ns.with_cas("a", empty_many)
    assert await ns.slots() == []
    await ns.with_cas("a", fill_many)
    assert await ns.purge() == count


@pytest.mark.parametrize("verb", ["HDEL", "del", "", "rename", "hset "])
async def test_an_unknown_verb_is_refused(ns: AsyncNamespace, raw: Any, verb: str) -> None:
    """By both scripts, and nothing is written; none falls through to another one."""
    await ns.hset("h", mapping={"f": "1", "g": "1"})
    index, key = ns.key("x")[:-1] + "~index", ns.key("h")
    before = await raw.hgetall(index)
    single = (SINGLE.source, 2, index, key, "~w", "abcd1", verb, 60_000, "f")
    commit = (COMMIT.source, 2, index, key, "~w", "abcd1", 1, 65_536, -1, 0, verb, 2, 60_000, 1, "f")
    for call in (single, commit):
        with pytest.raises(ResponseError, match="unknown operation"):
            await raw.eval(*call)
    assert await ns.hgetall("h") == {"f": "1", "g": "1"}
    assert await raw.hgetall(index) == before


@pytest.mark.parametrize("verb", ["incr", "hincrby"])
async def test_a_counter_cannot_be_moved_by_a_commit(ns: AsyncNamespace, raw: Any, verb: str) -> None:
    """It would be given out again by an attempt that lost."""
    index, key = ns.key("x")[:-1] + "~index", ns.key("n")
    with pytest.raises(ResponseError, match="unknown operation"):
        await raw.eval(COMMIT.source, 2, index, key, "~w", "abcd1", 1, 65_536, -1, 0, verb, 2, 60_000, 2, 1, 1)
    assert await raw.exists(index, key) == 0
