"""Tasks that say nothing of races: those whose commands go elsewhere, and those that end otherwise by chance."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import random
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testing.interleavings import jobs

from session_store import InMemoryClient, SessionStore
from session_store.testing import InterleavingError, NotDeterministicError, UnseenTaskError, explore


def twice(job: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    return {"one": job, "two": job}


@pytest.fixture
def elsewhere() -> Any:
    """A task as modules of Flask or Django applications have it: with a global store."""
    ns = SessionStore(InMemoryClient(), prefix="shop", default_ttl=60).namespace("ann")

    def job(_: Any) -> int:
        quantity = int(ns.hget("basket", "tea") or 0) + 1
        ns.hset("basket", "tea", str(quantity))
        return quantity  # another one in every schedule: nobody empties that store

    return job


def check_basket(ns: Any, results: dict[str, Any]) -> None:
    assert ns.hget("basket", "tea") == "2"


@pytest.mark.parametrize("arguments", [{}, {"check": check_basket}, {"schedule": ["one"]}, {"faults": {"purge"}}])
def test_tasks_that_use_another_store_are_told(elsewhere: Any, arguments: dict[str, Any]) -> None:
    """Not "complete", and no race, which is what an empty server would look like to a check."""
    with pytest.raises(UnseenTaskError) as caught:
        explore(twice(elsewhere), **arguments)
    assert caught.value.tasks == ["one", "two"]
    assert "nothing was found out about 'one', 'two': in no schedule did a command come to" in str(caught.value)
    assert "handle=" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"check": check_basket}])
def test_one_task_that_uses_another_store_is_told(elsewhere: Any, arguments: dict[str, Any]) -> None:
    """The others were explored, and yet nothing is known of it beside them."""
    with pytest.raises(UnseenTaskError, match="nothing was found out about 'webhook': "):
        explore({"tab": jobs.hincrby_quantity, "webhook": elsewhere}, **arguments)


@pytest.mark.parametrize("arguments", [{}, {"schedule": ["one"]}])
def test_tasks_that_do_nothing_are_told(arguments: dict[str, Any]) -> None:
    """Also where one schedule is run: there is no other one."""
    with pytest.raises(UnseenTaskError, match="about 'one', 'two'"):
        explore(twice(lambda ns: 1), **arguments)


def test_a_task_that_sends_commands_in_some_schedules_is_seen() -> None:
    """Here only when the other two come in one order; a schedule of the other order can be run alone, too."""
    finished: list[str] = []
    one_has: list[asyncio.Event] = []

    def begin(ns: Any) -> None:
        finished.clear()
        one_has[:] = [asyncio.Event()]

    def add(name: str) -> Callable[[Any], Any]:
        async def task(ns: Any) -> None:
            await ns.hincrby("basket", "tea")
            finished.append(name)
            one_has[0].set()

        return task

    async def look(ns: Any) -> None:
        await one_has[0].wait()
        if finished[0] == "two":
            await ns.get("note")

    tasks = {"one": add("one"), "two": add("two"), "third": look}
    assert explore(tasks, setup=begin).complete
    assert explore(tasks, setup=begin, schedule=["one", "two"]).schedules == 1


def test_nothing_is_said_of_tasks_when_nothing_was_run() -> None:
    """A budget of nothing is what was asked for."""
    assert explore(twice(jobs.hincrby_quantity), budget=0, samples=0).schedules == 0


def new_order(ns: Any) -> None:
    ns.with_cas("orders", lambda snap, ops: ops.hset("orders", secrets.token_hex(4), "tea"))


def seen_now(ns: Any) -> None:
    ns.hset("seen", mapping={"by": "ann", "at": str(time.perf_counter_ns())})


async def async_seen_now(ns: Any) -> None:
    await ns.hset("seen", mapping={"by": "ann", "at": str(time.perf_counter_ns())})


def new_id(ns: Any) -> str:
    ns.get("a")
    return secrets.token_hex(4)


@pytest.mark.parametrize(
    ("job", "shown"),
    [
        (new_order, "orders: {f1: v1, f2: v1}"),
        (seen_now, "seen: {f1: v1}"),  # not what is the same in both
        (async_seen_now, "seen: {f1: v1}"),
        (new_id, "task 'one': v1"),
    ],
)
def test_values_by_chance_are_no_race(job: Any, shown: str) -> None:
    """The schedule that failed ends in another way when it is run again. What differs is said, without values."""
    with pytest.raises(NotDeterministicError) as caught:
        explore(twice(job))
    error = caught.value
    assert error.before[0] == shown
    assert error.now[0] != shown
    assert error.now[0].partition(":")[0] == shown.partition(":")[0]
    assert error.schedule is not None
    assert (set(error.schedule), error.step) == ({"one", "two"}, len(error.schedule) + 1)
    assert f"ended with\n  {shown}" in str(error)
    assert f"explore(..., schedule={error.schedule!r})" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with pytest.raises(NotDeterministicError):
        explore(twice(job), schedule=error.schedule)


def test_one_task_by_chance() -> None:
    """It has one schedule, which is its only serial order as well."""
    with pytest.raises(NotDeterministicError, match=r"ended with\n  id: '[0-9a-f]{8}'\nand, run again"):
        explore({"only": lambda ns: ns.set("id", secrets.token_hex(4))}, show_values=True)


def test_a_race_of_tasks_by_chance_can_still_be_a_race() -> None:
    """A function that checks says what must hold, and what differs beside that is no concern of its."""

    def job(ns: Any) -> None:
        jobs.read_and_write_quantity(ns)
        ns.set("id", secrets.token_hex(4))

    with pytest.raises(InterleavingError) as caught:
        explore(twice(job), check=check_basket)
    assert caught.value.schedule[:3] == ["one", "two", "one"]
    assert explore(twice(jobs.cas_quantity), check=check_basket).complete


def test_a_check_that_fails_by_chance() -> None:
    """It passes when the same schedule is run again."""
    verdicts = iter([False, *[True] * 100])

    def check(ns: Any, results: dict[str, Any]) -> None:
        assert next(verdicts), "secret"

    with pytest.raises(NotDeterministicError) as caught:
        explore(twice(jobs.hincrby_quantity), check=check)
    assert caught.value.before == ["a check that raises AssertionError"]
    assert caught.value.now == ["a check that passes"]


@pytest.mark.parametrize(("names", "odd"), [(["one", "two"], 1), (["one", "two"], 4), (["only"], 1)])
def test_chance_that_shows_in_one_run_only(names: list[str], odd: int) -> None:
    """In the first schedule, in the second, or in a serial order: it is not as it was when it is run again."""
    draws = itertools.count()

    def job(ns: Any) -> None:
        ns.set("a", "odd" if next(draws) == odd else "even")

    with pytest.raises(NotDeterministicError, match="ended with\n  a: v1\nand, run again, with\n  a: v2"):
        explore(dict.fromkeys(names, job))


def test_one_of_two_values_by_chance() -> None:
    """Half of the draws are alike, so the schedule is run more than once again."""
    for seed in range(8):
        chance = random.Random(seed)

        def job(ns: Any, chance: random.Random = chance) -> None:
            jobs.cas_quantity(ns)
            ns.set("coin", chance.choice(["head", "tail"]))

        try:
            explore(twice(job))
        except NotDeterministicError as error:
            assert error.before[0].startswith("coin")


def test_what_outlives_a_schedule_is_told() -> None:
    """A cache of the process, filled in the first schedule."""
    cache: dict[str, int] = {}

    def job(ns: Any) -> None:
        ns.hset("basket", "tea", str(cache.setdefault("tea", len(cache)) + len(cache)))
        cache[str(len(cache))] = 1

    with pytest.raises(NotDeterministicError):
        explore(twice(job))


def test_tasks_that_go_on_differently_when_run_again() -> None:
    """More commands than before, fewer, or another task's."""
    for moves in ([3, 1], [1, 3]):
        lengths = iter(moves[:1] + moves[1:] * 100)
        marks = itertools.count()

        def job(ns: Any, lengths: Iterator[int] = lengths, marks: Iterator[int] = marks) -> None:
            for _ in range(next(lengths)):
                ns.set("a", str(next(marks)))

        with pytest.raises(NotDeterministicError) as caught:
            explore({"one": job}, check=lambda ns, results: 1 / 0)
        assert caught.value.step == 2
        assert caught.value.schedule is None


def test_many_differences_are_cut_short() -> None:
    """The first of them, on lines that can be read."""

    def job(ns: Any) -> list[str]:
        for number in range(8):
            ns.set(f"id-{number}", secrets.token_hex(4))
        return [secrets.token_hex(4) for _ in range(100)]

    with pytest.raises(NotDeterministicError) as caught:
        explore({"only": job})
    for lines in (caught.value.before, caught.value.now):
        assert len(lines) == 6
        assert lines[1].startswith("id-0: v")
        assert lines[-1] == ".."
    assert max(map(len, str(caught.value).splitlines())) < 300


def test_what_is_there_in_one_run_only() -> None:
    """A slot that was written, and then was not."""
    runs = itertools.count()

    def job(ns: Any) -> None:
        ns.set("a" if next(runs) % 2 else "b", "1")

    with pytest.raises(NotDeterministicError) as caught:
        explore({"only": job})
    assert set(zip(caught.value.before, caught.value.now, strict=True)) == {
        ("a: nothing", "a: v1"),
        ("b: v1", "b: nothing"),
    }


def test_injected_ids_and_a_still_clock_are_compared() -> None:
    """As docs/testing.md shows: what a task makes itself begins anew with it, in threads and in an event loop."""

    def order(ns: Any, order_id: str, now: float) -> None:
        quantity = int(ns.get("ordered") or 0)
        ns.hset("orders", order_id, str(now))
        ns.set("ordered", str(quantity + 1))

    async def async_order(ns: Any, order_id: str, now: float) -> None:
        quantity = int(await ns.get("ordered") or 0)
        await ns.hset("orders", order_id, str(now))
        await ns.set("ordered", str(quantity + 1))

    def plain(name: str) -> Any:
        def task(ns: Any) -> None:
            ids = (f"{name}-{number}" for number in itertools.count(1))
            order(ns, next(ids), 1_800_000_000)

        return task

    def in_a_loop(name: str) -> Any:
        async def task(ns: Any) -> None:
            ids = (f"{name}-{number}" for number in itertools.count(1))
            await async_order(ns, next(ids), 1_800_000_000)

        return task

    for flavour in (plain, in_a_loop):
        with pytest.raises(InterleavingError) as caught:
            explore({name: flavour(name) for name in ("ann", "bob")}, show_values=True)
        assert "ordered: '1', orders: {'ann-1': '18000" in str(caught.value)
