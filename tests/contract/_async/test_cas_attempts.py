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

LARGE = "x" * 70_000


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
            await ns.with_cas(["n", "m"], interfering(lambda ns=ns: ns.set("n", "10"), 99, calls), max_retries=given)
        assert (caught.value.key, caught.value.attempts) == (ns.key("n"), retries + 1)
        assert len(calls) == retries + 1
        assert await ns.get("n") == "10"
        assert await ns.exists("log") is False


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
        await ns.with_cas("n", interfering(lambda: ns.set("n", "10"), 99, calls), max_retries=1)
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
    """A closure runs again only when they were forgotten while it ran; that is not an attempt."""
    calls: list[int] = []
    await raw.script_flush()
    assert await ns.with_cas("n", interfering(raw.script_flush, 0, calls), max_retries=0) == 1
    assert calls == [0]
    assert await ns.with_cas("n", interfering(raw.script_flush, 2, calls), max_retries=0) == 2
    assert calls == [0, 1, 1]
    await raw.script_flush()
    assert await ns.incr("id") == 1


async def test_a_server_that_keeps_forgetting_is_given_the_source_with_the_commit(
    ns: AsyncNamespace, raw: Any, interfering: Any
) -> None:
    """However often: no closure runs more than twice for it."""
    calls: list[int] = []
    assert await ns.with_cas("n", interfering(raw.script_flush, 99, calls), max_retries=0) == 1
    assert calls == [0, 0]
