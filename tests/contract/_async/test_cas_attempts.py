"""with_cas when something else happens while the closure runs: which attempts lose, and how it goes on."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from session_store import (
    AsyncNamespace,
    AsyncSessionStore,
    CasContentionError,
    CasPolicy,
    NamespacePurgedError,
    WrongTypeError,
)

CHANGES = {
    "set": lambda ns, raw: ns.set("n", "10"),
    "redis-cli": lambda ns, raw: raw.set(ns.key("n"), "10", px=60_000),
    "delete": lambda ns, raw: ns.delete("n"),
    "another type": lambda ns, raw: raw.rename(ns.key("h"), ns.key("n")),
    "set with its own TTL": lambda ns, raw: raw.set(ns.key("n"), "10", keepttl=True),
    "purge": lambda ns, raw: ns.purge(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_any_change_of_a_watched_slot_makes_an_attempt_lose(
    ns: AsyncNamespace, raw: Any, change: str, interfering: Any
) -> None:
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


QUIET = {
    "the same value": lambda ns, raw: raw.set(ns.key("n"), "1", px=60_000),
    "touch": lambda ns, raw: ns.touch(ttl=300),
    "touch of the slot": lambda ns, raw: ns.touch("n", ttl=300),
    "a longer TTL": lambda ns, raw: raw.pexpire(ns.key("n"), 900_000),
    "no TTL": lambda ns, raw: raw.persist(ns.key("n")),
    "the same fields": lambda ns, raw: ns.hset("h", mapping={"g": "2", "f": "1"}),
    "reads": lambda ns, raw: raw.hgetall(ns.key("h")),
}


@pytest.mark.parametrize("change", QUIET)
async def test_what_changes_no_content_disturbs_nobody(
    ns: AsyncNamespace, raw: Any, change: str, interfering: Any
) -> None:
    await ns.set("n", "1")
    await ns.hset("h", mapping={"f": "1", "g": "2"})
    calls: list[int] = []
    fn = interfering(lambda: QUIET[change](ns, raw), 1, calls)
    assert await ns.with_cas(["n", "h"], fn, max_retries=0) == 2
    assert calls == [1]
    await raw.pexpire(ns.key("n"), 60_000)


async def test_what_was_changed_and_changed_back_disturbs_nobody(
    ns: AsyncNamespace, raw: Any, interfering: Any
) -> None:
    """The outcome is as if the closure had run after it."""
    await ns.set("n", "1")
    await ns.hset("h", mapping={"f": "1", "g": "2", "t": "3"})

    async def there_and_back() -> None:
        await ns.set("n", "7")
        await ns.hdel("h", "f", "t")
        await ns.hset("h", "g", "7")
        await ns.delete("none")
        await ns.set("none", "1")
        await ns.delete("none")
        await ns.hset("h", mapping={"t": "3", "g": "2"})
        await ns.hset("h", "f", "1")
        await ns.delete("n")
        await ns.set("n", "1")

    calls: list[int] = []
    assert await ns.with_cas(["n", "h", "none"], interfering(there_and_back, 1, calls), max_retries=0) == 2
    assert calls == [1]


async def test_fields_that_change_places_are_a_change(ns: AsyncNamespace, interfering: Any) -> None:
    """Two hashes of the same words are not the same; nor are two that look alike when written one after the other."""
    pairs = [
        ({"a": "b", "c": "d"}, {"a": "d", "c": "b"}),
        ({"a": "b"}, {"ab": ""}),
        ({"a": "", "b": ""}, {"ab": ""}),
        ({"a": "1:bc"}, {"a1:b": "c"}),
    ]
    for before, after in pairs:
        for filler in ("", "x" * 100):  # Redis keeps a hash with a long value otherwise
            await ns.delete("h")
            await ns.delete("n")
            await ns.hset("h", mapping={**before, "filler": filler})
            calls: list[int] = []

            async def change(before: Any = before, after: Any = after) -> None:
                await ns.hset("h", mapping=after)
                gone = [field for field in before if field not in after]
                if gone:
                    await ns.hdel("h", *gone)

            assert await ns.with_cas(["n", "h"], interfering(change, 1, calls)) == 1
            assert len(calls) == 2


async def test_expiry_of_a_watched_slot_makes_an_attempt_lose(
    ns: AsyncNamespace, raw: Any, pass_time: Any, interfering: Any
) -> None:
    """By itself: nobody has looked at the key since."""
    await ns.set("n", "1", ttl=100)
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(lambda: pass_time(101), 1, calls)) == 1
    assert calls == [1, 0]


async def test_expiry_that_another_client_noticed_makes_an_attempt_lose(
    ns: AsyncNamespace, raw: Any, pass_time: Any, interfering: Any
) -> None:
    await ns.set("n", "1", ttl=100)
    calls: list[int] = []

    async def expire() -> None:
        await pass_time(101)
        assert await raw.exists(ns.key("n")) == 0

    assert await ns.with_cas("n", interfering(expire, 1, calls)) == 1
    assert calls == [1, 0]


async def test_a_slot_that_comes_into_being_makes_an_attempt_lose(ns: AsyncNamespace, interfering: Any) -> None:
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(lambda: ns.set("n", "5"), 1, calls)) == 6
    assert calls == [0, 5]


async def test_a_change_elsewhere_disturbs_nobody(
    ns: AsyncNamespace, store: AsyncSessionStore, interfering: Any
) -> None:
    calls: list[int] = []

    async def elsewhere() -> None:
        await ns.set("m", "1")
        await ns.touch()
        await store.namespace("v").set("n", "1")

    await ns.set("n", "1")
    assert await ns.with_cas("n", interfering(elsewhere, 9, calls)) == 2
    assert calls == [1]


async def test_several_slots_are_watched(ns: AsyncNamespace, interfering: Any) -> None:
    for other in ("m", "k"):
        await ns.delete("n")
        calls: list[int] = []

        async def change(other: str = other) -> None:
            await ns.set(other, "1")

        assert await ns.with_cas(("n", "m", "k", "n"), interfering(change, 1, calls)) == 1
        assert len(calls) == 2


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_attempts_are_bounded(client: Any, store: Any, prefix: str, retries: int, interfering: Any) -> None:
    """max_retries attempts after the first; from the call, or from the store's policy. Nothing is written."""
    policy = CasPolicy(max_retries=retries, backoff_base=0.001)
    for default, given in ((policy, None), (CasPolicy(backoff_base=0.001), retries)):
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60, cas_policy=default).namespace("u")
        calls: list[int] = []
        with pytest.raises(CasContentionError) as caught:
            await ns.with_cas(
                ["n", "m"], interfering(lambda: ns.set("n", f"1{len(calls)}"), 99, calls), max_retries=given
            )
        assert (caught.value.key, caught.value.attempts) == (ns.key("n"), retries + 1)
        assert len(calls) == retries + 1
        assert await ns.get("n") == f"1{retries + 1}"
        assert await ns.exists("log") is False
        await ns.delete("n")


async def test_a_fence_refuses_commits(ns: AsyncNamespace, interfering: Any) -> None:
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


async def test_retries_are_logged_without_values(client: Any, store: Any, prefix: str, interfering: Any) -> None:
    logger = structlog.testing.CapturingLogger()
    ns = AsyncSessionStore(
        client, prefix=prefix, default_ttl=60, logger=logger, log_name=lambda name: f"<{len(name)}>"
    ).namespace("secret")
    calls: list[int] = []
    with pytest.raises(CasContentionError):
        await ns.with_cas("n", interfering(lambda: ns.set("n", f"1{len(calls)}"), 99, calls), max_retries=1)
    await ns.touch()
    await ns.purge()
    key = f"{prefix}:<6>:<1>"
    assert [(call.method_name, call.args, {**call.kwargs, "ts": 0}) for call in logger.calls] == [
        ("warning", ("session-store: cas-contention-retry",), {"key": key, "attempt": 1, "ts": 0}),
        ("warning", ("session-store: cas-contention-exhausted",), {"key": key, "attempts": 2, "ts": 0}),
        ("info", ("session-store: touch",), {"namespace": "<6>", "key_count": 1, "ts": 0}),
        ("info", ("session-store: purge",), {"namespace": "<6>", "key_count": 1, "ts": 0}),
    ]
    assert all(isinstance(call.kwargs["ts"], float) for call in logger.calls)


async def test_a_server_that_forgot_the_scripts_is_given_them_again(
    ns: AsyncNamespace, raw: Any, interfering: Any
) -> None:
    """However often, and whenever: no closure runs again for it."""
    calls: list[int] = []
    await raw.script_flush()
    assert await ns.with_cas("n", interfering(raw.script_flush, 99, calls), max_retries=0) == 1
    assert await ns.with_cas("n", interfering(raw.script_flush, 99, calls), max_retries=0) == 2
    assert calls == [0, 1]
    await raw.script_flush()
    assert await ns.incr("id") == 1


async def test_a_server_that_forgot_the_scripts_settles_a_contended_commit(
    ns: AsyncNamespace, raw: Any, interfering: Any
) -> None:
    calls: list[int] = []

    async def change() -> None:
        await raw.script_flush()
        await raw.set(ns.key("n"), str(10 * len(calls)), px=60_000)

    assert await ns.with_cas("n", interfering(change, 2, calls)) == 21
    assert calls == [0, 10, 20]


OTHER_TYPES = {
    "list": (lambda raw, key: raw.rpush(key, "1"), lambda raw, key: raw.lset(key, 0, "2")),
    "stream": (
        lambda raw, key: raw.xadd(key, {"f": "1"}, id="1-1"),
        lambda raw, key: raw.xadd(key, {"f": "1"}, id="2-1"),
    ),
    "sorted set": (lambda raw, key: raw.zadd(key, {"m": 1}), lambda raw, key: raw.zadd(key, {"m": 2})),
    "set": (lambda raw, key: raw.sadd(key, "m"), lambda raw, key: raw.sadd(key, "k")),
}


@pytest.mark.parametrize("kind", OTHER_TYPES)
async def test_what_another_program_keeps_can_be_watched_whatever_it_is(
    ns: AsyncNamespace, raw: Any, interfering: Any, kind: str
) -> None:
    """Its changes make an attempt lose, and nothing else does. It cannot be read."""
    make, change = OTHER_TYPES[kind]
    key = ns.key("queue")
    await make(raw, key)
    await raw.expire(key, 60)
    calls: list[int] = []
    assert await ns.with_cas(["n", "queue"], interfering(lambda: raw.expire(key, 90), 1, calls), max_retries=0) == 1
    assert calls == [0]
    calls.clear()
    assert await ns.with_cas(["n", "queue"], interfering(lambda: change(raw, key), 1, calls)) == 2

    assert calls == [1, 1]
    seen: list[bool] = []

    async def read(snap: Any, ops: Any) -> None:
        seen.append(await snap.exists("queue"))
        if len(seen) == 1:
            for call in (snap.get, snap.hgetall, snap.kind):
                with pytest.raises(WrongTypeError):
                    await call("queue")
            await raw.delete(key)
        ops.set("n", "0")

    await ns.with_cas(["n", "queue"], read)
    assert seen == [True, False]
    await make(raw, key)
    assert await raw.type(key) == {"sorted set": b"zset"}.get(kind, kind.encode())
    await raw.delete(key)
