"""What `explore` promises of its schedules, its result, its error and its arguments."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import pickle
import random
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from interleavings import jobs

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    CasPolicy,
    InMemoryClient,
    JsonCodec,
    SessionStore,
    WrongTypeError,
)
from session_store.testing import InterleavingError, Interleavings, NotDeterministicError, explore
from session_store.testing.interleavings.moves import FAULTS

TESTS = Path(__file__).parents[1]
LOST = {"tasks": {"tab one": jobs.read_and_write_quantity, "tab two": jobs.read_and_write_quantity}}


def failing(**arguments: Any) -> InterleavingError:
    with pytest.raises(InterleavingError) as caught:
        explore(**arguments)
    return caught.value


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
    """It is done before anything is chosen."""
    assert explore({"idle": lambda ns: 1, "other": lambda ns: ns.set("a", "1")}).schedules == 1


def test_the_report_is_a_table() -> None:
    """Step by step who sent what and what came back; what happened, what should have; how to see it again."""
    assert str(failing(**LOST, setup=jobs.fill_basket)) == (
        """\
the tasks, their commands in this order, end as they never do one after the other:

step  tab one            tab two
----  -----------------  -----------------
   1  HGET basket -> v1
   2                     HGET basket -> v1
   3                     hset basket -> 0
   4  hset basket -> 0

                       tab one  tab two  slots
---------------------  -------  -------  ----------------
what happened          None     None     basket: {f1: v2}
tab one, then tab two  None     None     basket: {f1: v3}
tab two, then tab one

v1, f1, ..: values and names of fields; explore(..., show_values=True) shows them.

To run it again: explore(..., schedule=['tab one', 'tab two', 'tab two', 'tab one'])
The shortest of what failed in 4 schedules, seed 0."""
    )


def test_values_are_shown_only_when_asked_for() -> None:
    """Values, fields, results and the texts of errors."""

    def job(ns: Any) -> Any:
        seen = ns.hget("basket", "secret-field")
        ns.hset("basket", "secret-field", f"secret-{len(seen)}-{'x' * 5}")
        ns.set("note", "secret-note")
        if "x" in seen:
            raise LookupError("secret-error")
        return {"secret-key": [seen]}

    arguments = {"tasks": {"one": job, "two": job}, "setup": lambda ns: ns.hset("basket", "secret-field", "secret-1")}
    assert "secret" not in str(failing(**arguments))
    shown = str(failing(**arguments, show_values=True))
    for secret in ("'secret-field'", "'secret-1'", "'secret-note'", "'secret-key'"):
        assert secret in shown


def test_the_error_carries_the_schedule() -> None:
    """As attributes, also after pickling."""
    error = failing(**LOST, setup=jobs.fill_basket)
    assert error.schedule == ["tab one", "tab two", "tab two", "tab one"]
    assert (error.seed, error.schedules) == (0, 4)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.schedule, copy.seed, copy.schedules) == (str(error), error.schedule, 0, 4)
    assert isinstance(error, AssertionError)


def test_the_shortest_failure_is_reported() -> None:
    """Not the first one: a task that sometimes does much more fails in few steps as well."""

    def job(ns: Any) -> None:
        quantity = int(ns.hget("basket", "tea"))
        for _ in range(4 if quantity == 1 else 0):
            ns.exists("basket")
        ns.hset("basket", "tea", str(quantity + 1))

    tasks = {"one": job, "two": lambda ns: ns.hset("basket", "tea", "5")}
    error = failing(tasks=tasks, setup=jobs.fill_basket)
    assert len(error.schedule) == 7
    assert error.schedule.count("two") == 1
    assert error.schedules > 1


def test_a_schedule_can_be_kept_as_a_test() -> None:
    """It fails while the code is broken and holds when it is mended; an early end goes on in turn."""
    arguments: dict[str, Any] = {"setup": jobs.fill_basket, "schedule": ["two", "one"]}
    assert failing(tasks={"one": jobs.read_and_write_quantity, "two": jobs.read_and_write_quantity}, **arguments)
    result = explore({"one": jobs.hincrby_quantity, "two": jobs.hincrby_quantity}, **arguments)
    assert (result.schedules, result.complete) == (1, False)


def test_what_a_schedule_cannot_do_any_more_is_passed_over() -> None:
    """Code that was mended sends other commands; the order of those that are left is the schedule's."""
    seen: list[str] = []

    def job(name: str) -> Any:
        def run(ns: Any) -> None:
            for _ in range(2):
                ns.incr("n")
                seen.append(name)

        return run

    schedule = ["one", "one", "one", "expire of gone", "lost_reply of one", "two", "one", "two"]
    explore({"one": job("one"), "two": job("two")}, schedule=schedule)
    assert seen[:4] == ["one", "one", "two", "two"]


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        (["three"], "schedule must name tasks and faults of them, as InterleavingError.schedule does, got 'three'"),
        (["lost_reply of three"], "got 'lost_reply of three'"),
        (["purge of one"], "got 'purge of one'"),
    ],
)
def test_a_schedule_that_names_nothing_is_refused(schedule: list[str], complaint: str) -> None:
    """Because it was mistyped."""
    with pytest.raises(ValueError, match=re.escape(complaint)):
        explore({"one": jobs.read_and_write_quantity, "two": jobs.read_and_write_quantity}, schedule=schedule)


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


def test_check_fails_by_raising() -> None:
    """Its error is the cause, and its text is in the report."""

    def check(ns: Any, results: dict[str, Any]) -> None:
        assert ns.hget("basket", "tea") == "3", "an item was lost"

    error = failing(**LOST, setup=jobs.fill_basket, check=check)
    assert "AssertionError: an item was lost" in str(error)
    assert isinstance(error.__cause__, AssertionError)
    assert len(error.schedule) == 4


def test_a_task_that_raises_fails_a_function_s_check() -> None:
    """The check would look at results that are not there."""

    def job(ns: Any) -> None:
        if not ns.set("a", "1", nx=True):
            raise LookupError("taken")

    error = failing(tasks={"one": job, "two": job}, check=lambda ns, results: None)
    assert isinstance(error.__cause__, LookupError)
    assert "task 'two' raises LookupError" in str(error)
    assert "taken" not in str(error)  # it may be a value
    assert explore({"one": job, "two": job}).complete  # one of them raises in a serial order as well
    assert explore({"one": job, "two": job}, schedule=["two", "one"]).schedules == 1


def test_a_task_that_always_raises_is_an_error() -> None:
    """A test that is broken itself must not pass because it is broken in every order."""
    error = failing(tasks={"one": lambda ns: ns.no_such_method(), "two": jobs.counter_line})
    assert "task 'one' raised AttributeError in every schedule" in str(error)
    assert isinstance(error.__cause__, AttributeError)


def test_errors_are_compared_as_results_are() -> None:
    """By type and arguments."""

    def job(ns: Any) -> None:
        if ns.exists("a"):
            raise LookupError(ns.get("a"))
        ns.set("a", "1")
        ns.set("a", "2")

    async def async_job(ns: Any) -> None:
        if await ns.exists("a"):
            raise LookupError(await ns.get("a"))
        await ns.set("a", "1")
        await ns.set("a", "2")

    for task in (job, async_job):
        error = failing(tasks={"one": task, "two": task}, show_values=True)
        assert "raises LookupError('1')" in str(error)


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


def test_other_types_of_keys_are_compared() -> None:
    """Lists, sets and what else a task may leave."""

    def job(name: str) -> Any:
        def run(client: redis.Redis) -> None:
            client.rpush("list", name)
            client.sadd("set", name)
            client.zadd("scores", {name: 1})
            if client.llen("list") < 2:
                client.rpush("list", "first")

        return run

    error = failing(tasks={"one": job("one"), "two": job("two")}, handle=lambda client: client, show_values=True)
    lists = re.findall(r"list: (\[.*?\])", str(error))
    assert lists[0] in ("['one', 'two']", "['two', 'one']")
    assert set(lists[1:]) == {"['one', 'first', 'two']", "['two', 'first', 'one']"}


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


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_happens(fault: str) -> None:
    """Each is in some schedule, with its effect; what it leads to is found by a job that does not stand it."""

    def fragile(ns: Any) -> Any:
        before = ns.hget("basket", "tea"), ns.ttl("basket")
        return before == (ns.hget("basket", "tea"), ns.ttl("basket"))

    def transaction(client: Any) -> None:
        jobs.Client(client).add_one()

    def scripted(client: redis.Redis) -> None:
        digest = client.script_load("return 1")
        client.evalsha(digest, 0)

    def cut_down(client: redis.Redis) -> None:
        client.connection_pool.connection_kwargs["retry"]._retries = 0
        client.get("a")

    broken: dict[str, dict[str, Any]] = {
        "lost_reply": {"tasks": {"one": transaction}, "handle": lambda client: client},
        "cut_before": {"tasks": {"one": cut_down}, "handle": lambda client: client},
        "script_flush": {"tasks": {"one": scripted}, "handle": lambda client: client},
    }
    arguments = broken.get(fault, {"tasks": {"one": fragile}, "setup": jobs.fill_basket})
    error = failing(**arguments, faults={fault})
    assert [move.partition(" of ")[0] for move in error.schedule].count(fault) == 1
    assert explore(**arguments).complete


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


def test_what_is_drawn_finds_and_names_the_seed() -> None:
    """A failure that depth first would not have come to."""
    tasks = {"one": jobs.read_and_write_quantity, "two": jobs.read_and_write_quantity}
    error = failing(tasks=tasks, setup=jobs.fill_basket, budget=1, samples=50, seed=7)
    assert error.seed == 7
    assert "seed 7" in str(error)


def test_an_exploration_ends_in_time() -> None:
    """What was run until then is the result."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
    result = explore(tasks, setup=jobs.fill_basket, faults=FAULTS, budget=10**6, time_limit=0.3)
    assert 0 < result.schedules < 5_000
    assert not result.complete


EXPLORE = """
from interleavings import jobs
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


def test_tasks_by_chance_are_refused() -> None:
    """Same commands, same order, and yet something else: nothing could be said of such tasks."""
    chance = random.Random(0)

    def job(ns: Any) -> None:
        ns.get("a" if chance.random() < 0.5 else "b")
        ns.set("c", "1")

    with pytest.raises(NotDeterministicError) as caught:
        explore({"one": job, "two": job})
    assert caught.value.step == 1
    assert "the tasks are not deterministic: after the same 0 steps" in str(caught.value)
    assert "'one' (GET explore:session:" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_time_stands_still() -> None:
    """No TTL moves while schedules are run, however long that takes."""
    seen = set()
    explore({"one": lambda ns: seen.add(ns.ttl("basket")), "two": jobs.counter_line}, setup=jobs.fill_basket)
    assert seen == {3600}


def test_what_setup_raises_passes_through() -> None:
    """It is no task."""
    with pytest.raises(WrongTypeError):
        explore({"one": jobs.counter_line}, setup=lambda ns: (ns.hset("a", "f", "1"), ns.set("a", "1")))


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"tasks": {}}, TypeError, "tasks must be a mapping of names to functions, at least one, got {}"),
        ({"tasks": [print]}, TypeError, "tasks must be a mapping"),
        ({"tasks": {"one": 1}}, TypeError, "tasks must be functions of one argument, got 1 for 'one'"),
        ({"tasks": {"": print}}, ValueError, "tasks must have names that are no faults, got ''"),
        ({"tasks": {"purge": print}}, ValueError, "got 'purge'"),
        ({"tasks": {"expire of a": print}}, ValueError, "got 'expire of a'"),
        ({"faults": {"fire"}}, ValueError, "faults must be some of lost_reply, cut_before, expire, purge, touch"),
        ({"faults": "purge"}, ValueError, "faults must be some of"),
        ({"faults": {"purge"}, "handle": lambda client: client}, ValueError, "need a handle that is a Namespace"),
        ({"check": "strict"}, ValueError, "check must be 'serializable' or a function, got 'strict'"),
        ({"budget": -1}, ValueError, "budget"),
        ({"samples": "many"}, TypeError, "samples"),
        ({"max_faults": -1}, ValueError, "max_faults"),
        ({"max_steps": 1.5}, TypeError, "max_steps"),
        ({"patience": 0}, ValueError, "patience"),
        ({"time_limit": "long"}, TypeError, "time_limit"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], complaint: str) -> None:
    """Before anything is run, with the argument, the rule and the value."""
    with pytest.raises(error, match=re.escape(complaint)):
        explore(**{"tasks": {"one": pytest.fail}, **arguments})


def test_a_function_that_returns_a_coroutine_is_refused() -> None:
    """A lambda around an async function does nothing, which is easily missed."""

    class Later:
        def __await__(self) -> Any:
            raise NotImplementedError

    for arguments in (
        {"tasks": {"one": lambda ns: jobs.async_hincrby_quantity(ns)}},
        {"tasks": {"one": lambda ns: Later()}},
        {"tasks": {"one": jobs.counter_line}, "setup": lambda ns: jobs.async_hincrby_quantity(ns)},
    ):
        with pytest.raises(TypeError, match="returned an awaitable: make it an async function"):
            explore(**arguments)


def test_nothing_of_a_schedule_is_left() -> None:
    """No thread and no loop, whether the exploration went well or not."""

    async def in_a_thread(ns: Any) -> None:
        await ns.hset("basket", "tea", await asyncio.to_thread(str, 1))

    before = set(threading.enumerate())
    explore({"one": jobs.async_hincrby_quantity, "two": jobs.hincrby_quantity, "three": in_a_thread})
    failing(**LOST, setup=jobs.fill_basket)
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
    task = Mock(return_value=None)
    assert explore({"one": task, "two": jobs.counter_line}).complete
    assert task.call_count > 1


def test_results_that_cannot_be_compared_are_different() -> None:
    """Their error is not the explorer's, and no schedule is like a serial order."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None

    assert "one" in str(failing(tasks={"one": lambda ns: Odd()}))
