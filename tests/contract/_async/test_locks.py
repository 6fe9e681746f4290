"""The locks of with_cas between processes: who has lost takes the slot's lock, and others wait for it, for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from session_store import (
    AsyncNamespace,
    AsyncSessionStore,
    CasContentionError,
    CasPolicy,
    NamespacePurgedError,
    WrongTypeError,
)
from session_store._async._flavour import sleep
from session_store._core.attempts import Attempts

LOCK_TTL_MS = 1_000


@pytest.fixture
async def index(prefix: str, raw: Any) -> str:
    """The index, which expires though some of these tests make it from outside."""
    index = f"{prefix}:u:~index"
    await raw.hset(index, "~fence", "0")
    await raw.expire(index, 600)
    return index


class Clock:
    """Stands still unless it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that calls wait by."""
    clock = Clock()
    monkeypatch.setitem(Attempts.__init__.__kwdefaults__, "clock", clock)
    return clock


@pytest.fixture
async def ns(store: AsyncSessionStore, index: str, clock: Clock) -> AsyncNamespace:
    """A namespace of a store that has seen how fast its closures are: so it takes no locks beforehand."""
    ns = store.namespace("u")
    await ns.with_cas("warm", nothing)
    return ns


async def nothing(snap: Any, ops: Any) -> None:
    pass


async def lock_of_another(raw: Any, index: str, slot: str = "n", owner: str = "another", seconds: float = 60) -> None:
    """As a process has left it that was killed, or is slow."""
    now, _ = await raw.time()
    await raw.hset(index, f"~lock:{slot}", f"{(now + seconds) * 1000:.0f}:~{owner}0abcd1")


async def owner_of(raw: Any, index: str, slot: str = "n") -> bytes | None:
    """Who holds a slot's lock; a lock's first part is when it ends."""
    value = await raw.hget(index, f"~lock:{slot}")
    return None if value is None else value.partition(b":")[2]


@pytest.fixture
def patient(client: Any, prefix: str, index: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that makes a namespace whose with_cas, where it would sleep between two looks, does something else."""

    async def patient(meanwhile: Callable[[], Any], **policy: float) -> AsyncNamespace:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=1000, cas_policy=CasPolicy(**policy))
        ns = store.namespace("u")
        await ns.with_cas("warm", nothing)

        async def sleep(seconds: float) -> None:
            assert 0 < seconds <= 0.1
            await meanwhile()

        monkeypatch.setattr("session_store._async.cas.sleep", sleep)
        return ns

    return patient


async def lose(ns: AsyncNamespace, raw: Any, runs: list[int]) -> None:
    runs.append(1)
    await raw.set(ns.key("n"), len(runs), px=60_000)


async def test_a_writer_that_lost_has_the_lock_until_it_commits(ns: AsyncNamespace, raw: Any, index: str) -> None:
    owners: list[bytes | None] = []
    left: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        owners.append(await owner_of(raw, index))
        if owners[-1]:
            seconds, microseconds = await raw.time()
            ends = (await raw.hget(index, "~lock:n")).partition(b":")[0]
            left.append(int(ends) - seconds * 1000 - microseconds // 1000)
        if len(owners) < 3:
            await lose(ns, raw, owners[:])
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    first, second, third = owners
    assert first is None
    assert second == third
    assert second is not None
    assert all(0 < each <= LOCK_TTL_MS + 1 for each in left)
    assert await owner_of(raw, index) is None


async def test_a_commit_that_loses_nothing_takes_no_lock(ns: AsyncNamespace, raw: Any, index: str) -> None:
    """Where closures are fast."""

    async def fn(snap: Any, ops: Any) -> None:
        assert await owner_of(raw, index) is None
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    assert await owner_of(raw, index) is None


async def test_slow_closures_take_the_lock_at_the_first_attempt(
    client: Any, prefix: str, store: AsyncSessionStore, raw: Any, index: str
) -> None:
    """So that none of them runs in vain; so does the first one of a store, which does not know yet."""
    owners: list[bytes | None] = []
    seconds = 0.06

    async def fn(snap: Any, ops: Any) -> None:
        owners.append(await owner_of(raw, index))
        await sleep(seconds)
        ops.set("n", "0")

    await store.namespace("u").with_cas("n", fn)
    await store.namespace("u").with_cas("n", fn)
    assert None not in owners
    assert len(set(owners)) == 2
    assert await owner_of(raw, index) is None
    seconds = 0
    for _ in range(40):  # which teach that they have become fast
        await store.namespace("u").with_cas("n", fn)
    assert owners[-1] is None


async def test_the_lock_of_another_is_waited_for(patient: Any, raw: Any, index: str) -> None:
    """Before anything is read, and without using up attempts."""
    looks: list[int] = []
    runs: list[bytes | None] = []

    async def meanwhile() -> None:
        looks.append(len(runs))
        if len(looks) == 9:
            await raw.hdel(index, "~lock:n")

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(await owner_of(raw, index))
        ops.set("n", "0")

    ns = await patient(meanwhile, max_retries=0)
    await lock_of_another(raw, index)
    await ns.with_cas("n", fn)
    assert looks == [0] * 9
    assert len(runs) == 1
    assert runs[0] not in (None, b"~another0abcd1")  # who has waited has the lock
    assert await owner_of(raw, index) is None


async def test_the_lock_of_another_that_has_run_out_is_not_waited_for(patient: Any, raw: Any, index: str) -> None:
    async def meanwhile() -> None:
        raise AssertionError

    ns = await patient(meanwhile)
    await lock_of_another(raw, index, seconds=-1)
    await ns.with_cas("n", nothing)


async def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(
    patient: Any, raw: Any, index: str, clock: Clock
) -> None:
    """After lock_timeout the call goes ahead without one, and leaves it alone."""
    looks: list[int] = []

    async def meanwhile() -> None:
        looks.append(1)
        clock.now += 0.3

    async def fn(snap: Any, ops: Any) -> str:
        ops.set("n", "0")
        return "done"

    ns = await patient(meanwhile, lock_timeout=5)
    await lock_of_another(raw, index)
    assert await ns.with_cas("n", fn) == "done"
    assert len(looks) == 17
    assert await owner_of(raw, index) == b"~another0abcd1"


async def test_holders_that_change_are_waited_for(patient: Any, raw: Any, index: str, clock: Clock) -> None:
    """However long all of them take: it goes on, and this one's turn comes. For each the wait is counted anew."""
    looks: list[int] = []

    async def meanwhile() -> None:
        looks.append(1)
        clock.now += 0.3
        if len(looks) < 100:
            await lock_of_another(raw, index, owner=f"another-{len(looks) // 10}-")
        else:
            await raw.hdel(index, "~lock:n")

    async def fn(snap: Any, ops: Any) -> bytes | None:
        ops.set("n", "0")
        return await owner_of(raw, index)

    ns = await patient(meanwhile, lock_timeout=5, max_retries=0)
    await lock_of_another(raw, index)
    owner = await ns.with_cas("n", fn)
    assert owner is not None
    assert not owner.startswith(b"~another")
    assert len(looks) == 100


async def test_a_lock_is_waited_for_as_long_as_closures_may_take(
    patient: Any, raw: Any, index: str, clock: Clock
) -> None:
    """A lease is twice what the store has seen, and a timeout that is shorter gives nobody up who only works."""
    looks: list[int] = []

    async def meanwhile() -> None:
        looks.append(1)
        clock.now += 1

    async def fn(snap: Any, ops: Any) -> None:
        clock.now += 10
        ops.set("n", "0")

    ns = await patient(meanwhile, lock_timeout=5)
    await ns.with_cas("n", fn)
    await lock_of_another(raw, index)
    await ns.with_cas("n", nothing)
    assert len(looks) == 20


async def test_without_locks_nobody_takes_or_awaits_one(patient: Any, raw: Any, index: str, interfering: Any) -> None:
    async def meanwhile() -> None:
        raise AssertionError

    ns = await patient(meanwhile, lock_timeout=0, backoff_base=0)
    await lock_of_another(raw, index)
    calls: list[int] = []
    await ns.with_cas("n", interfering(lambda: raw.set(ns.key("n"), len(calls), px=60_000), 2, calls))
    assert len(calls) == 3
    assert await owner_of(raw, index) == b"~another0abcd1"


async def test_all_locks_are_taken_or_none(patient: Any, raw: Any, index: str) -> None:
    """Who waits for one holds none that another may be waiting for."""
    runs: list[list[bytes | None]] = []
    held: list[bytes | None] = []

    async def meanwhile() -> None:
        held.append(await owner_of(raw, index, "a"))
        if len(held) == 2:
            await raw.hdel(index, "~lock:b")

    async def fn(snap: Any, ops: Any) -> None:
        runs.append([await owner_of(raw, index, slot) for slot in "ab"])
        if len(runs) == 1:
            await raw.set(ns.key("a"), "1", px=60_000)
            await lock_of_another(raw, index, "b")
        ops.set("b", "0")

    ns = await patient(meanwhile)
    await ns.with_cas(["a", "b"], fn)
    assert held == [None, None]
    first, (a, b) = runs
    assert first == [None, None]
    assert a == b
    assert a not in (None, b"~another0abcd1")
    assert [await owner_of(raw, index, slot) for slot in "ab"] == [None, None]
    await ns.touch(scan=True)  # names the slot that was written from outside


async def test_the_lock_is_given_back_when_the_closure_raises(ns: AsyncNamespace, raw: Any, index: str) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        if runs:
            assert await owner_of(raw, index) is not None
            raise ZeroDivisionError
        await lose(ns, raw, runs)

    with pytest.raises(ZeroDivisionError):
        await ns.with_cas("n", fn)
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_the_lock_is_given_back_when_the_program_ends(ns: AsyncNamespace, raw: Any, index: str) -> None:
    """By what is no error of the closure: SystemExit, KeyboardInterrupt, a time limit of the framework."""
    runs: list[int] = []

    class Limit(BaseException):
        pass

    async def fn(snap: Any, ops: Any) -> None:
        if runs:
            assert await owner_of(raw, index) is not None
            raise Limit
        await lose(ns, raw, runs)

    with pytest.raises(Limit):
        await ns.with_cas("n", fn)
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_the_lock_is_given_back_by_who_gives_up(ns: AsyncNamespace, raw: Any, index: str) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        await lose(ns, raw, runs)

    with pytest.raises(CasContentionError):
        await ns.with_cas("n", fn)
    assert len(runs) == 4
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_the_lock_is_given_back_by_who_has_nothing_to_write(ns: AsyncNamespace, raw: Any, index: str) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> str | None:
        if not runs:
            await lose(ns, raw, runs)
        return await snap.get("n")

    assert await ns.with_cas("n", fn) == "1"
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_the_lock_is_given_back_by_who_may_not_write(ns: AsyncNamespace, raw: Any, index: str) -> None:
    """A slot among the operations holds something else."""
    runs: list[int] = []
    await ns.hset("h", "f", "1")

    async def fn(snap: Any, ops: Any) -> None:
        if not runs:
            await lose(ns, raw, runs)
        ops.set("h", "1")

    with pytest.raises(WrongTypeError):
        await ns.with_cas("n", fn)
    assert len(runs) == 1
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_the_lock_is_given_back_by_who_finds_a_fence(ns: AsyncNamespace, raw: Any, index: str) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        await lose(ns, raw, runs)
        if len(runs) == 2:
            await raw.hset(index, "~fence", f"{((await raw.time())[0] + 100) * 1000}")
        ops.set("n", "1")

    with pytest.raises(NamespacePurgedError):
        await ns.with_cas("n", fn)
    assert len(runs) == 2
    assert await owner_of(raw, index) is None
    await raw.delete(ns.key("n"))


async def test_a_lock_that_has_gone_to_another_is_not_given_back(ns: AsyncNamespace, raw: Any, index: str) -> None:
    """The closure took longer than the lease; its commit may succeed all the same."""
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        if runs:
            await lock_of_another(raw, index)
        else:
            await lose(ns, raw, runs)
        ops.set("n", "0")

    await ns.with_cas("n", fn)
    assert runs == [1]
    assert await owner_of(raw, index) == b"~another0abcd1"


async def test_a_lock_that_nobody_gave_back_leaves_the_index(
    ns: AsyncNamespace, raw: Any, index: str, pass_time: Any, draw: Any
) -> None:
    """Once it has run out: of slots that come and go, one per slot would be left."""
    draw("tidies")
    await lock_of_another(raw, index, "gone", seconds=50)
    await ns.set("n", "1")
    assert await owner_of(raw, index, "gone") is not None
    await pass_time(51)
    await ns.set("n", "1")
    assert await raw.hexists(index, "~lock:gone") == 0


async def test_a_lock_of_a_clock_that_was_ahead_is_nobodys(ns: AsyncNamespace, raw: Any, index: str) -> None:
    """No lock is taken for as long as that."""
    await lock_of_another(raw, index, seconds=86_400)

    async def fn(snap: Any, ops: Any) -> str:
        ops.set("n", "0")
        return "done"

    assert await ns.with_cas("n", fn, max_retries=0) == "done"
