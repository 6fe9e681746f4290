"""What `explore` says of schedules that fail, what counts as a failure, and what it refuses."""

from __future__ import annotations

import pickle
import random
import re
from typing import Any

import pytest
import redis
from testing.interleavings import jobs

from session_store import (
    WrongTypeError,
)
from session_store.testing import InterleavingError, NotDeterministicError, explore
from session_store.testing.interleavings.moves import FAULTS

LOST = {"tasks": {"tab one": jobs.read_and_write_quantity, "tab two": jobs.read_and_write_quantity}}


def failing(**arguments: Any) -> InterleavingError:
    with pytest.raises(InterleavingError) as caught:
        explore(**arguments)
    return caught.value


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


def test_what_is_drawn_finds_and_names_the_seed() -> None:
    """A failure that depth first would not have come to."""
    tasks = {"one": jobs.read_and_write_quantity, "two": jobs.read_and_write_quantity}
    error = failing(tasks=tasks, setup=jobs.fill_basket, budget=1, samples=50, seed=7)
    assert error.seed == 7
    assert "seed 7" in str(error)


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


def test_results_that_cannot_be_compared_are_told() -> None:
    """They are not equal to those of the same schedule, run again, so that a race cannot be told from none."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None

        def __repr__(self) -> str:
            return "odd"

    def job(ns: Any) -> Odd:
        ns.get("a")
        return Odd()

    with pytest.raises(NotDeterministicError, match="let them return what == can compare") as caught:
        explore({"one": job})
    assert (caught.value.before, caught.value.now) == (["task 'one': v1"], ["task 'one': v1, which is not equal"])
