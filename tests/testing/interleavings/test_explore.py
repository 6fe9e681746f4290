"""Which schedules `explore` runs, what its tasks are given, and what its result says."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from testing.interleavings import jobs

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    CasPolicy,
    InMemoryClient,
    JsonCodec,
    SessionStore,
)
from session_store.testing import InterleavingError, Interleavings, explore
from session_store.testing.interleavings.moves import FAULTS

pytestmark = pytest.mark.long

TESTS = Path(__file__).parents[2]


def test_two_commits_have_four_schedules() -> None:
    """One after the other in both orders, and both beginning before either ends: small enough to count by hand."""
    result = explore({"one": jobs.cas_quantity, "two": jobs.cas_quantity}, setup=jobs.fill_basket)
    assert (result.schedules, result.complete, result.sampled) == (4, True, 0)
    assert result.skipped > 0
    assert str(result).startswith("4 schedules (all there are), ")


def test_one_task_has_one_schedule() -> None:
    """There is nothing to interleave."""
    assert explore({"only": jobs.cas_quantity}).schedules == 1


def test_a_task_that_sends_nothing_has_a_schedule() -> None:
    """It is done before anything is chosen. In another schedule it may send something, so this one says nothing of it."""
    tasks = {"idle": lambda ns: 1, "other": lambda ns: ns.set("a", "1")}
    assert explore(tasks, schedule=["other"]).schedules == 1


def test_setup_comes_before_every_schedule_and_check_after_it() -> None:
    """On a fresh server each time, and undisturbed: they are no part of the schedule."""
    log: list[str] = []

    def setup(ns: Any) -> None:
        log.append(f"setup {ns.slots()}")
        ns.set("a", "1")

    def check(ns: Any, results: dict[str, Any]) -> None:
        log.append(f"check {ns.slots()} {results}")

    tasks = {"one": lambda ns: ns.set("b", ns.get("a")), "two": lambda ns: ns.set("a", "2")}
    result = explore(tasks, setup=setup, check=check)
    assert result.schedules == 2
    assert [line for line in log if line.startswith("check")] == ["check ['a', 'b'] {'one': True, 'two': True}"] * 2
    assert {line for line in log if line.startswith("setup")} == {"setup []"}


def test_async_tasks_setup_and_check() -> None:
    """Coroutine functions, also as partials and objects, are given the async flavour; the others the sync one."""

    async def setup(ns: Any) -> None:
        await ns.hset("basket", "tea", "1")

    async def check(ns: Any, results: dict[str, Any]) -> None:
        assert await ns.hget("basket", "tea") == "5"
        assert sorted(results.values()) == [2, 3, 4, 5]

    async def add(slot: str, ns: Any) -> int:
        return await ns.hincrby(slot, "tea")

    class Job:
        async def __call__(self, ns: Any) -> int:
            return await ns.hincrby("basket", "tea")

    tasks = {
        "function": jobs.async_hincrby_quantity,
        "partial": functools.partial(add, "basket"),
        "object": Job(),
        "plain": jobs.hincrby_quantity,
    }
    assert explore(tasks, setup=setup, check=check).schedules == 24


def test_what_a_handle_makes_is_what_tasks_are_given() -> None:
    """A store of one's own with its codec and prefix, in either flavour."""

    def handle(client: Any) -> Any:
        flavour = AsyncSessionStore if isinstance(client, AsyncInMemoryClient) else SessionStore
        policy = CasPolicy(backoff_base=0, backoff_cap=0)
        return flavour(client, prefix="shop", default_ttl=60, codec=JsonCodec(), cas_policy=policy).namespace("ann")

    def job(ns: Any) -> str:
        ns.set("form", {"seats": [1]})
        return ns.key("form")

    async def async_job(ns: Any) -> None:
        await ns.set("form", {"seats": [1]})

    def check(ns: Any, results: dict[str, Any]) -> None:
        assert results["one"] == "shop:ann:form"
        assert ns.get("form") == {"seats": [1]}

    assert explore({"one": job, "two": async_job}, handle=handle, check=check, faults={"touch"}).complete


@pytest.mark.parametrize("job", [jobs.cas_quantity, jobs.async_cas_quantity])
def test_a_store_with_locks_is_explored_without(job: Any) -> None:
    """The tasks contend, however long the store would have them wait for each other: the same schedules as ever."""
    policy = CasPolicy(max_retries=10, backoff_base=0, backoff_cap=0, lock_ttl=1000, lock_timeout=1000)
    handle = functools.partial(jobs.with_policy, policy)
    tasks = dict.fromkeys(("one", "two", "three"), job)
    with_locks = explore(tasks, setup=jobs.fill_basket, handle=handle)
    assert with_locks.complete
    assert with_locks.schedules == explore(tasks, setup=jobs.fill_basket).schedules
    faulty = dict.fromkeys(("one", "two"), job)
    assert explore(faulty, setup=jobs.fill_basket, handle=handle, faults=FAULTS).complete


def test_commits_of_one_async_task_may_queue() -> None:
    """They share a store, as in one process; the other task does not."""

    def handle(client: Any) -> Any:
        return AsyncSessionStore(client, prefix="shop", default_ttl=60, cas_policy=CasPolicy(backoff_base=0)).namespace(
            "ann"
        )

    async def job(ns: Any) -> None:
        await asyncio.gather(jobs.async_cas_quantity(ns), jobs.async_cas_quantity(ns))

    async def check(ns: Any, results: dict[str, Any]) -> None:
        assert await ns.hget("basket", "tea") == "4"

    assert explore({"one": job, "two": job}, handle=handle, check=check).complete


def test_a_handle_may_send_commands_and_be_anything() -> None:
    """These belong to the task: they are interleaved as well."""

    def handle(client: Any) -> Any:
        client.incr("handles")
        return client.sibling()

    def job(client: Any) -> int:
        assert isinstance(client, InMemoryClient)
        return client.incr("jobs")

    tasks = {"one": job, "two": job}
    assert explore(tasks, handle=handle, check=lambda client, results: None).schedules == 4


def test_one_async_task_may_send_from_several_of_its_own() -> None:
    """They send in the order in which they come."""

    async def job(ns: Any) -> list[int]:
        return await asyncio.gather(ns.incr("n"), ns.incr("n"))

    result = explore({"one": job, "two": job}, check=lambda ns, results: None)
    assert result.schedules == 6
    assert result.complete


def test_async_tasks_may_wait_for_each_other() -> None:
    """They share a loop, as in one process: a lock of asyncio's holds, and excludes schedules."""
    locks: list[asyncio.Lock] = []

    def setup(ns: Any) -> None:
        locks[:] = [asyncio.Lock()]

    async def job(ns: Any) -> None:
        async with locks[0]:
            await jobs.async_read_and_write_quantity(ns)

    assert explore({"one": job, "two": job}, setup=setup).complete


def test_the_number_of_faults_is_bounded() -> None:
    """One in a schedule, unless more are allowed."""
    counts = [
        explore({"one": jobs.counter_line}, faults={"lost_reply", "cut_before"}, max_faults=most).schedules
        for most in (0, 1, 2)
    ]
    assert counts == [1, 3, 7]


def test_a_schedule_with_faults_can_be_run_again() -> None:
    """Each kind is written in a way that can be read back."""
    schedule = ["lost_reply of one", "expire of explore:session:basket", "cut_before of one", "purge", "touch"]
    result = explore(
        {"one": jobs.hincrby_quantity}, setup=jobs.fill_basket, schedule=[*schedule, "script_flush", "one"]
    )
    assert result.schedules == 1


def test_beyond_the_budget_schedules_are_drawn() -> None:
    """As many as asked for, from a seed that is named; another seed draws others."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)

    def drawn(seed: int) -> Interleavings:
        return explore(tasks, setup=jobs.fill_basket, budget=10, samples=20, seed=seed)

    result = drawn(1)
    assert (result.schedules, result.complete, result.sampled, result.seed) == (30, False, 20, 1)
    assert "30 schedules (20 of them at random, seed 1)" in str(result)
    assert drawn(1).digest == result.digest != drawn(2).digest


def test_an_exploration_ends_in_time() -> None:
    """What was run until then is the result."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
    result = explore(tasks, setup=jobs.fill_basket, faults=FAULTS, budget=10**6, time_limit=2)
    assert 0 < result.schedules < 50_000
    assert not result.complete


EXPLORE = """
from testing.interleavings import jobs
from session_store.testing import explore
tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
print(explore(tasks, setup=jobs.fill_basket, faults={"lost_reply", "expire"}, budget=150, samples=50, seed=3).digest)
"""


def test_the_same_seed_gives_the_same_schedules() -> None:
    """Twice in a process, in two others, and whatever the state of `random`, which pytest-randomly sets."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
    digests = set()
    for state in (1, 2):
        random.seed(state)
        result = explore(tasks, setup=jobs.fill_basket, faults={"lost_reply", "expire"}, budget=150, samples=50, seed=3)
        assert result.sampled == 50
        digests.add(result.digest)
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", EXPLORE],
            cwd=TESTS,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(process.stdout.strip())
    assert len(digests) == 1


def test_time_stands_still() -> None:
    """No TTL moves while schedules are run, however long that takes."""
    seen = set()
    explore({"one": lambda ns: seen.add(ns.ttl("basket")), "two": jobs.counter_line}, setup=jobs.fill_basket)
    assert seen == {3600}


def test_nothing_of_a_schedule_is_left() -> None:
    """No thread and no loop, whether the exploration went well or not."""

    async def in_a_thread(ns: Any) -> None:
        await ns.hset("basket", "tea", await asyncio.to_thread(str, 1))

    before = set(threading.enumerate())
    explore({"one": jobs.async_hincrby_quantity, "two": jobs.hincrby_quantity, "three": in_a_thread})
    with pytest.raises(InterleavingError):
        explore({"one": jobs.read_and_write_quantity, "two": jobs.read_and_write_quantity}, setup=jobs.fill_basket)
    assert set(threading.enumerate()) <= before


def test_the_digest_is_of_the_schedules() -> None:
    """So that it can be computed again."""
    result = explore({"one": jobs.counter_line})
    assert result.digest == hashlib.sha256(b"one\0").hexdigest()[:16]


def test_a_command_that_is_cancelled_before_it_is_sent() -> None:
    """It is no step: nobody will send it."""

    async def job(client: Any) -> int:
        first = asyncio.create_task(client.sibling().incr("n"))
        for _ in range(50):  # enough to come to its write, and the loop is never idle
            await asyncio.sleep(0)
        first.cancel()
        return await client.incr("n")

    result = explore({"one": job}, handle=lambda client: client, check=lambda client, results: None)
    assert result.schedules == 1
    assert explore({"one": job}, handle=lambda client: client).complete


def test_tasks_may_be_mocks() -> None:
    """They have every attribute that is looked for."""
    task = Mock(side_effect=jobs.counter_line)
    assert explore({"one": task, "two": jobs.counter_line}).complete
    assert task.call_count > 1
