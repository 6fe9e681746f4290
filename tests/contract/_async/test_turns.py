"""The turns of with_cas between processes: who has lost takes the slot's turn, and others wait for it, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore, CasContentionError, CasPolicy, NamespacePurgedError
from session_store._async._flavour import sleep

LEASE_MS = 1_000


def turn(ns: AsyncNamespace, slot: str = "n") -> str:
    return ns.key("n")[:-1] + f"~turn:{slot}"


@pytest.fixture
def patient(client: Any, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that makes a namespace whose with_cas, where it would sleep between two looks, does something else."""

    def patient(meanwhile: Callable[[], Any], **policy: float) -> AsyncNamespace:
        async def sleep(seconds: float) -> None:
            assert 0 < seconds <= 0.004
            await meanwhile()

        monkeypatch.setattr("session_store._async.turns.sleep", sleep)
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=1000, cas_policy=CasPolicy(**policy))
        return store.namespace("u")

    return patient


async def test_a_writer_that_lost_has_the_turn_until_it_commits(ns: AsyncNamespace, raw: Any) -> None:
    turns: list[tuple[bytes | None, int]] = []

    async def fn(snap: Any, ops: Any) -> None:
        turns.append((await raw.get(turn(ns)), await raw.pttl(turn(ns))))
        await raw.set(ns.key("n"), len(turns), px=60_000) if len(turns) < 3 else None
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    (first, _), (second, left), (third, again) = turns
    assert first is None
    assert second == third
    assert second is not None
    assert 0 < left <= LEASE_MS
    assert 0 < again <= LEASE_MS
    assert await raw.exists(turn(ns)) == 0


async def test_a_commit_that_loses_nothing_takes_no_turn(ns: AsyncNamespace, raw: Any) -> None:
    async def fn(snap: Any, ops: Any) -> None:
        assert await raw.exists(turn(ns)) == 0
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    assert await raw.exists(turn(ns)) == 0


async def test_the_turn_of_another_is_waited_for(patient: Any, raw: Any) -> None:
    """Before anything is read, and without using up attempts."""
    looks: list[int] = []
    runs: list[int] = []

    async def meanwhile() -> None:
        looks.append(len(runs))
        if len(looks) == 9:
            await raw.delete(turn(ns))

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(await raw.exists(turn(ns)))
        ops.set("n", "0")

    ns = patient(meanwhile, max_retries=0)
    await raw.set(turn(ns), "another's", px=60_000)
    await ns.with_cas("n", fn)
    assert looks == [0] * 9
    assert runs == [1]  # and who has waited has the turn
    assert await raw.exists(turn(ns)) == 0


async def test_a_turn_that_is_never_given_back_is_not_waited_for_for_ever(patient: Any, raw: Any) -> None:
    """After turn_wait the call goes ahead without one, and leaves it alone."""
    looks: list[int] = []

    async def meanwhile() -> None:
        looks.append(1)
        await sleep(0.01)

    async def fn(snap: Any, ops: Any) -> str:
        ops.set("n", "0")
        return "done"

    ns = patient(meanwhile, turn_wait=0.1)
    await raw.set(turn(ns), "another's", px=60_000)
    began = time.monotonic()
    assert await ns.with_cas("n", fn) == "done"
    assert time.monotonic() - began >= 0.1
    assert 2 <= len(looks) <= 10  # each took 10 ms at least
    assert await raw.get(turn(ns)) == b"another's"
    await raw.delete(turn(ns))


async def test_without_turns_nobody_takes_or_awaits_one(patient: Any, raw: Any, interfering: Any) -> None:
    async def meanwhile() -> None:
        raise AssertionError

    ns = patient(meanwhile, turn_wait=0, backoff_base=0)
    await raw.set(turn(ns), "another's", px=60_000)
    await ns.with_cas("n", interfering(lambda: raw.set(ns.key("n"), "5", px=60_000), 2, []))
    assert await raw.get(turn(ns)) == b"another's"
    await raw.delete(turn(ns))


async def test_all_turns_are_taken_or_none(patient: Any, raw: Any) -> None:
    """Who waits for one holds none that another may be waiting for."""
    runs: list[int] = []
    held: list[int] = []

    async def meanwhile() -> None:
        held.append(await raw.exists(turn(ns, "a")))
        if len(held) == 2:
            await raw.delete(turn(ns, "b"))

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(await raw.exists(turn(ns, "a"), turn(ns, "b")))
        if len(runs) == 1:
            await raw.set(ns.key("a"), "1", px=60_000)
            await raw.set(turn(ns, "b"), "another's", px=60_000)
        ops.set("b", "0")

    ns = patient(meanwhile)
    await ns.with_cas(["a", "b"], fn)
    assert held == [0, 0]
    assert runs == [0, 2]
    assert await raw.exists(turn(ns, "a"), turn(ns, "b")) == 0
    await ns.touch(scan=True)  # names the slot that was written from outside


async def lose(ns: AsyncNamespace, raw: Any, runs: list[int]) -> None:
    runs.append(1)
    await raw.set(ns.key("n"), len(runs), px=60_000)


async def test_the_turn_is_given_back_when_the_closure_raises(ns: AsyncNamespace, raw: Any) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        if runs:
            assert await raw.exists(turn(ns)) == 1
            raise ZeroDivisionError
        await lose(ns, raw, runs)

    with pytest.raises(ZeroDivisionError):
        await ns.with_cas("n", fn)
    assert await raw.exists(turn(ns)) == 0
    await raw.delete(ns.key("n"))


async def test_the_turn_is_given_back_by_who_gives_up(ns: AsyncNamespace, raw: Any) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        await lose(ns, raw, runs)

    with pytest.raises(CasContentionError):
        await ns.with_cas("n", fn)
    assert len(runs) == 4
    assert await raw.exists(turn(ns)) == 0
    await raw.delete(ns.key("n"))


async def test_the_turn_is_given_back_by_who_has_nothing_to_write(ns: AsyncNamespace, raw: Any) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> str | None:
        if not runs:
            await lose(ns, raw, runs)
        return await snap.get("n")

    assert await ns.with_cas("n", fn) == "1"
    assert await raw.exists(turn(ns)) == 0
    await raw.delete(ns.key("n"))


async def test_the_turn_is_given_back_by_who_finds_a_fence(ns: AsyncNamespace, raw: Any) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        await lose(ns, raw, runs)
        if len(runs) == 2:
            await ns.purge(fence=100)
        ops.set("n", "1")

    with pytest.raises(NamespacePurgedError):
        await ns.with_cas("n", fn)
    assert await raw.exists(turn(ns)) == 0
    await raw.delete(ns.key("n"))


async def test_a_turn_that_has_gone_to_another_is_not_given_back(ns: AsyncNamespace, raw: Any) -> None:
    """The closure took longer than the lease; its commit may succeed all the same."""
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        if runs:
            await raw.set(turn(ns), "another's", px=60_000)
        else:
            await lose(ns, raw, runs)
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    assert await raw.get(turn(ns)) == b"another's"
    await raw.delete(turn(ns))


async def test_what_others_keep_under_the_name_of_a_turn_is_left_alone(
    ns: AsyncNamespace, raw: Any, interfering: Any
) -> None:
    """It is nobody's turn then, and no commit fails for it."""
    await raw.rpush(turn(ns), "a list")
    await raw.expire(turn(ns), 60)
    await ns.with_cas("n", interfering(lambda: raw.set(ns.key("n"), "5", px=60_000), 2, []))
    assert await raw.lrange(turn(ns), 0, -1) == [b"a list"]
    assert await raw.ttl(turn(ns)) > 50
    await raw.delete(turn(ns))
