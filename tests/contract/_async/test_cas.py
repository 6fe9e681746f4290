"""with_cas: what it commits, when it loses, what it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import structlog

from session_store import (
    AsyncNamespace,
    AsyncSessionStore,
    CasContentionError,
    CasPolicy,
    CodecError,
    InvalidNameError,
    NamespacePurgedError,
    WrongTypeError,
)

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


def interfering(change: Callable[[], Any], times: int, calls: list[int]) -> Any:
    """A closure that counts, during whose first attempts something else happens."""

    async def fn(snap: Any, ops: Any) -> int:
        value = int(await snap.get("n") or 0)
        calls.append(value)
        if len(calls) <= times:
            await change()
        ops.set("n", str(value + 1))
        ops.hset("log", str(len(calls)), "1")
        return value + 1

    return fn


CHANGES = {
    "set": lambda ns, raw: ns.set("n", "10"),
    "redis-cli": lambda ns, raw: raw.set(ns.key("n"), "10", px=60_000),
    "the same value": lambda ns, raw: raw.set(ns.key("n"), "1", px=60_000),
    "delete": lambda ns, raw: ns.delete("n"),
    "another type": lambda ns, raw: raw.rename(ns.key("h"), ns.key("n")),
    "touch": lambda ns, raw: ns.touch(ttl=300),
    "purge": lambda ns, raw: ns.purge(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_any_change_of_a_watched_slot_makes_an_attempt_lose(ns: AsyncNamespace, raw: Any, change: str) -> None:
    await ns.set("n", "1")
    await ns.hset("h", "f", "1")
    calls: list[int] = []
    fn = interfering(lambda: CHANGES[change](ns, raw), 1, calls)
    if change == "another type":
        with pytest.raises(WrongTypeError):
            await ns.with_cas("n", fn)
        assert await ns.exists("log") is False
        await raw.delete(ns.key("n"))
        return
    assert await ns.with_cas("n", fn) == calls[-1] + 1
    assert len(calls) == 2
    assert await ns.get("n") == str(calls[-1] + 1)
    assert await ns.hgetall("log") == {"2": "1"}


async def test_expiry_of_a_watched_slot_makes_an_attempt_lose(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """By itself: nobody has looked at the key since."""
    await ns.set("n", "1", ttl=100)
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(lambda: pass_time(101), 1, calls)) == 1
    assert calls == [1, 0]


async def test_expiry_that_another_client_noticed_makes_an_attempt_lose(
    ns: AsyncNamespace, raw: Any, pass_time: Any
) -> None:
    await ns.set("n", "1", ttl=100)
    calls: list[int] = []

    async def expire() -> None:
        await pass_time(101)
        assert await raw.exists(ns.key("n")) == 0

    assert await ns.with_cas("n", interfering(expire, 1, calls)) == 1
    assert calls == [1, 0]


async def test_a_slot_that_comes_into_being_makes_an_attempt_lose(ns: AsyncNamespace) -> None:
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(lambda: ns.set("n", "5"), 1, calls)) == 6
    assert calls == [0, 5]


async def test_a_change_elsewhere_disturbs_nobody(ns: AsyncNamespace, store: AsyncSessionStore) -> None:
    calls: list[int] = []

    async def elsewhere() -> None:
        await ns.set("m", "1")
        await ns.touch()
        await store.namespace("v").set("n", "1")

    await ns.set("n", "1")
    assert await ns.with_cas("n", interfering(elsewhere, 9, calls)) == 2
    assert calls == [1]


async def test_several_slots_are_watched(ns: AsyncNamespace) -> None:
    for other in ("m", "k"):
        await ns.delete("n")
        calls: list[int] = []

        async def change(other: str = other) -> None:
            await ns.set(other, "1")

        assert await ns.with_cas(("n", "m", "k", "n"), interfering(change, 1, calls)) == 1
        assert len(calls) == 2


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_attempts_are_bounded(client: Any, store: Any, prefix: str, retries: int) -> None:
    """max_retries attempts after the first; from the call, or from the store's policy. Nothing is written."""
    policy = CasPolicy(max_retries=retries, backoff_base=0.001)
    for default, given in ((policy, None), (CasPolicy(backoff_base=0.001), retries)):
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60, cas_policy=default).namespace("u")
        calls: list[int] = []
        with pytest.raises(CasContentionError) as caught:
            await ns.with_cas(["n", "m"], interfering(lambda ns=ns: ns.set("n", "10"), 99, calls), max_retries=given)
        assert (caught.value.key, caught.value.attempts) == (ns.key("n"), retries + 1)
        assert len(calls) == retries + 1
        assert await ns.get("n") == "10"
        assert await ns.exists("log") is False


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
    await ns.set("n", "1")
    before = [0, 1]

    async def fn(snap: Any, ops: Any) -> str | None:
        if before:
            before.pop()
            await ns.set("n", str(len(before)))
        return await snap.get("n")

    assert await ns.with_cas("n", fn) == "0"
    recorder.clear()
    assert await ns.with_cas("n", fn) == "0"
    assert recorder.writes[-1] == ("MULTI", "EXEC")


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


async def test_a_fence_refuses_commits(ns: AsyncNamespace) -> None:
    """Before the closure runs, or when the purge came while it ran, watched slots or not."""
    calls: list[int] = []
    with pytest.raises(NamespacePurgedError):
        await ns.with_cas("n", interfering(lambda: ns.purge(fence=100), 1, calls), max_retries=0)
    assert calls == [0]
    with pytest.raises(NamespacePurgedError) as caught:
        await ns.with_cas("n", interfering(lambda: ns.purge(fence=100), 1, calls))
    assert caught.value.namespace == "u"
    assert calls == [0]
    assert await ns.slots() == []


async def test_retries_are_logged_without_values(client: Any, store: Any, prefix: str) -> None:
    logger = structlog.testing.CapturingLogger()
    ns = AsyncSessionStore(
        client, prefix=prefix, default_ttl=60, logger=logger, log_name=lambda name: f"<{len(name)}>"
    ).namespace("secret")
    calls: list[int] = []
    with pytest.raises(CasContentionError):
        await ns.with_cas("n", interfering(lambda: ns.set("n", "10"), 99, calls), max_retries=1)
    await ns.touch()
    await ns.purge()
    key = f"{prefix}:<6>:n"
    assert [(call.method_name, call.args, {**call.kwargs, "ts": 0}) for call in logger.calls] == [
        ("warning", ("session-store: cas-contention-retry",), {"key": key, "attempt": 1, "ts": 0}),
        ("warning", ("session-store: cas-contention-exhausted",), {"key": key, "attempts": 2, "ts": 0}),
        ("info", ("session-store: touch",), {"namespace": "<6>", "key_count": 1, "ts": 0}),
        ("info", ("session-store: purge",), {"namespace": "<6>", "key_count": 1, "ts": 0}),
    ]
    assert all(isinstance(call.kwargs["ts"], float) for call in logger.calls)


async def test_a_server_that_forgot_the_scripts_is_given_them_again(ns: AsyncNamespace, raw: Any) -> None:
    """A closure runs again only when they were forgotten while it ran; that is not an attempt."""
    calls: list[int] = []
    await raw.script_flush()
    assert await ns.with_cas("n", interfering(raw.script_flush, 0, calls), max_retries=0) == 1
    assert calls == [0]
    assert await ns.with_cas("n", interfering(raw.script_flush, 2, calls), max_retries=0) == 2
    assert calls == [0, 1, 1]
    await raw.script_flush()
    assert await ns.incr("id") == 1


async def test_a_server_that_keeps_forgetting_is_given_the_source_with_the_commit(ns: AsyncNamespace, raw: Any) -> None:
    """However often: no closure runs more than twice for it."""
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(raw.script_flush, 99, calls), max_retries=0) == 1
    assert calls == [0, 0]
