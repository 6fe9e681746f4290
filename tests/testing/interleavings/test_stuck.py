"""A task that spins, waits or takes real time is told so, and the exploration ends."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from testing.interleavings import jobs

from session_store.testing import StuckTaskError, explore
from session_store.testing.interleavings.clients import StillServer, Verdict
from session_store.testing.interleavings.commands import Write
from session_store.testing.interleavings.tasks import Rest, ThreadTask

PATIENCE = 0.5  # seconds; a schedule of the jobs below takes milliseconds


def stuck(task: Callable[[Any], Any], **arguments: Any) -> StuckTaskError:
    with pytest.raises(StuckTaskError) as caught:
        explore({"one": task, "two": jobs.hincrby_quantity}, **{"patience": PATIENCE, **arguments})
    return caught.value


def test_a_task_that_spins() -> None:
    """It computes and sends nothing: what it sent before, and where it is. It is ended, as far as that is possible."""

    def spin(ns: Any) -> None:
        ns.get("a")
        ns.hset("basket", "secret-field", "secret")
        while True:
            pass

    error = stuck(spin)
    assert error.task == "one"
    assert error.reason.startswith("spins: it has computed for 0.5 s without a command")
    assert error.place is not None
    assert error.place.endswith("in spin")
    assert error.commands == ["GET a", "hset basket"]
    assert "secret" not in str(error)
    for thread in threading.enumerate():
        if thread.name == "one":
            thread.join(20)
            assert not thread.is_alive()


def test_an_async_task_that_spins() -> None:
    """It holds up the whole loop."""

    async def spin(ns: Any) -> None:
        await ns.get("a")
        while True:
            pass

    error = stuck(spin)
    assert error.reason.startswith("spins")
    assert error.place is not None
    assert error.place.endswith("in spin")


def test_a_task_that_sleeps() -> None:
    """It takes real time."""

    def sleep(ns: Any) -> None:
        ns.get("a")
        threading.Event().wait(PATIENCE * 4)

    error = stuck(sleep)
    assert error.reason == "takes real time, or waits for another task: no command for 0.5 s"
    assert error.commands == ["GET a"]


def test_an_async_task_that_sleeps() -> None:
    """Also on a timer of the loop."""

    async def sleep(ns: Any) -> None:
        await ns.get("a")
        await asyncio.sleep(PATIENCE * 4)

    error = stuck(sleep)
    assert error.reason.startswith("takes real time")
    assert error.place is not None
    assert error.place.endswith("in sleep")


def test_an_async_task_that_waits_for_a_thread() -> None:
    """That is no deadlock: the thread may come back."""

    async def wait(ns: Any) -> None:
        await asyncio.to_thread(threading.Event().wait, PATIENCE * 4)

    assert stuck(wait).reason.startswith("takes real time")


def test_tasks_that_take_a_little_real_time_each() -> None:
    """When they have used up the time, it is said who took it."""

    def dawdle(ns: Any) -> None:
        ns.get("a")
        time.sleep(0.05)
        ns.get("a")

    error = stuck(dawdle, time_limit=1, faults={"expire", "touch", "purge", "lost_reply"})
    assert error.task == "one"
    assert error.reason.startswith("takes real time: ")


def test_tasks_that_wait_for_each_other() -> None:
    """A lock that the other holds while it is stopped at a command: each of two orders alone would end."""
    lock = threading.Lock()

    def job(ns: Any) -> None:
        with lock:
            jobs.read_and_write_quantity(ns)

    with pytest.raises(StuckTaskError) as caught:
        explore({"one": job, "two": job}, patience=PATIENCE)
    assert caught.value.task == "two"
    assert caught.value.reason.startswith("takes real time, or waits for another task")
    assert caught.value.commands == []
    assert "it has sent last: nothing" in str(caught.value)


def test_async_tasks_that_wait_for_each_other_for_ever() -> None:
    """A deadlock within the loop is seen at once, without any patience."""
    locks: list[asyncio.Lock] = []

    async def job(first: int, ns: Any) -> None:
        async with locks[first]:
            await ns.get("a")
            async with locks[1 - first]:
                await ns.set("a", "1")

    def setup(ns: Any) -> None:
        locks[:] = [asyncio.Lock(), asyncio.Lock()]

    async def one(ns: Any) -> None:
        await job(0, ns)

    async def two(ns: Any) -> None:
        await job(1, ns)

    with pytest.raises(StuckTaskError) as caught:
        explore({"one": one, "two": two}, setup=setup, patience=20)
    assert caught.value.reason == "waits for ever: no other task can wake it"


def test_a_task_that_sends_without_end() -> None:
    """A lock in Redis that is tried again and again, while the other task does not come to free it."""

    def spin(ns: Any) -> None:
        while not ns.set("lock", "1", nx=True):
            pass
        ns.delete("lock")

    with pytest.raises(StuckTaskError) as caught:
        explore({"one": spin, "two": spin}, max_steps=50)
    assert caught.value.reason == "goes on after 50 commands of all tasks: it spins"
    assert caught.value.commands == ["set lock"] * 5


def test_the_error_can_be_pickled() -> None:
    """As all errors of the library."""
    error = StuckTaskError("one", "spins", "jobs.py:3 in spin", ["GET a"])
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "task 'one' spins, at jobs.py:3 in spin; it has sent last:\n  GET a"


def test_an_async_setup_that_does_not_end() -> None:
    """It is held to the patience as well."""

    async def setup(ns: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="setup and check must end within the patience of"):
        explore({"one": jobs.counter_line}, setup=setup, patience=PATIENCE)


def test_an_interrupt_ends_the_exploration() -> None:
    """What is no ordinary error is raised as it is."""

    def job(ns: Any) -> None:
        ns.get("a")
        raise KeyboardInterrupt

    async def async_job(ns: Any) -> None:
        await ns.get("a")
        pytest.fail("from within")

    with pytest.raises(KeyboardInterrupt):
        explore({"one": job})
    with pytest.raises(pytest.fail.Exception, match="from within"):
        explore({"one": async_job})


def test_two_threads_of_one_task_are_refused() -> None:
    """Nothing says in which order they would come to their commands."""
    rest = Rest()
    task = ThreadTask("one", print, StillServer(), rest)
    write = Write(b"*1\r\n$4\r\nPING\r\n")
    thread = threading.Thread(target=task.stop, args=(write, bool))
    thread.start()
    assert rest.wait(20)
    with pytest.raises(RuntimeError, match="task 'one' sends from two threads at once, which explore cannot order"):
        task.stop(write, bool)
    task.go(Verdict.SEND)
    thread.join(20)
    assert not thread.is_alive()


def test_a_loop_of_a_task_s_own_is_refused() -> None:
    """A plain function is given a plain client; what it does with another's loop has no place in a schedule."""
    errors: list[str] = []

    async def send(ns: Any) -> None:
        try:
            await ns.get("a")
        except RuntimeError as error:
            errors.append(str(error))

    async def in_a_loop_of_its_own(ns: Any) -> None:
        await asyncio.to_thread(asyncio.run, send(ns))
        await ns.get("a")

    explore({"one": in_a_loop_of_its_own, "two": jobs.counter_line})
    assert set(errors) == {"task 'one' sends from an event loop of its own, which explore cannot order"}


def test_where_the_system_does_not_tell_who_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that the task does not come to its next command, and where it is."""
    ends = threading.Event()

    def spin(ns: Any) -> None:
        while not ends.is_set():
            pass

    monkeypatch.delattr(time, "pthread_getcpuclockid")
    error = stuck(spin)
    ends.set()
    assert error.reason == "takes real time, or waits for another task: no command for 0.5 s"
    assert error.place is not None
    assert error.place.endswith("in spin")


def test_setup_s_own_timeout_passes_through() -> None:
    """It is not the explorer's."""

    async def setup(ns: Any) -> None:
        raise asyncio.TimeoutError("mine")

    with pytest.raises(asyncio.TimeoutError, match="mine"):
        explore({"one": jobs.counter_line}, setup=setup)
