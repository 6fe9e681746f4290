"""One build for all who want the same at once. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from session_store import AsyncInMemoryClient, AsyncSessionStore, InMemoryClient, SessionStore
from session_store.snapshots import AsyncSnapshots, Snapshot, Snapshots


@pytest.fixture
async def snapshots() -> Any:
    client = AsyncInMemoryClient()
    snapshots = AsyncSnapshots(AsyncSessionStore(client, prefix="p", default_ttl=600))
    await snapshots.save("a", "state", tick=3)
    yield snapshots
    await client.aclose()


@pytest.fixture
def threaded() -> Snapshots[str]:
    snapshots = Snapshots(SessionStore(InMemoryClient(), prefix="p", default_ttl=600))
    snapshots.save("a", "state", tick=3)
    return snapshots


class Building:
    """A build that waits until it is let go on."""

    def __init__(self) -> None:
        self.built: list[Any] = []
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, snapshot: Snapshot[str] | None) -> list[Any]:
        self.begun.set()
        await self.may_end.wait()
        self.built.append(None if snapshot is None else (snapshot.value, snapshot.tick))
        return [*self.built]


async def test_tasks_share_a_build(snapshots: AsyncSnapshots[str]) -> None:
    """[S3, S11, S35] Though the first who asked is cancelled. The next one after that builds anew."""
    build = Building()
    tasks = [asyncio.create_task(snapshots.restore("a", build)) for _ in range(10)]
    await build.begun.wait()
    tasks[0].cancel()
    await asyncio.sleep(0)
    build.may_end.set()
    first, *live = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert build.built == [("state", 3)]
    assert all(each is live[0] for each in live)
    assert await snapshots.restore("a", build) is not live[0]
    assert len(build.built) == 2


async def test_other_snapshots_are_built_meanwhile(snapshots: AsyncSnapshots[str]) -> None:
    """One of which nothing was saved is built of None, by a function that need not be async."""
    build = Building()
    task = asyncio.create_task(snapshots.restore("a", build))
    await build.begun.wait()
    assert await snapshots.restore("b", lambda snapshot: ("built of", snapshot)) == ("built of", None)
    build.may_end.set()
    await task


async def test_a_build_that_raises(snapshots: AsyncSnapshots[str]) -> None:
    """[S35] Raises to all who wait, and is not kept."""

    async def build(snapshot: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError("no model")

    outcomes = await asyncio.gather(*(snapshots.restore("a", build) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [LookupError] * 3
    assert await snapshots.restore("a", lambda snapshot: snapshot.value) == "state"


async def test_a_build_that_cancels_itself(snapshots: AsyncSnapshots[str]) -> None:
    """As a time limit of its own may do."""

    async def build(snapshot: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await snapshots.restore("a", build)
    assert await snapshots.restore("a", lambda snapshot: snapshot.value) == "state"


async def test_a_build_that_everybody_has_left(snapshots: AsyncSnapshots[str]) -> None:
    """Goes on; that it raises is nobody's business then."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def build(snapshot: Any) -> None:
        begun.set()
        await may_end.wait()
        raise LookupError("no model")

    task = asyncio.create_task(snapshots.restore("a", build))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    (build_task,) = snapshots._flights._tasks.values()
    may_end.set()
    await asyncio.wait([build_task])
    del task, build_task
    gc.collect()
    await asyncio.sleep(0)
    assert told == []


def test_two_loops_do_not_share() -> None:
    """An object of one loop is nothing for another one."""
    snapshots = AsyncSnapshots(AsyncSessionStore(AsyncInMemoryClient(), prefix="p", default_ttl=600))
    barrier = threading.Barrier(2)

    def run(_: int) -> Any:
        async def build(snapshot: Any) -> asyncio.AbstractEventLoop:
            await asyncio.to_thread(barrier.wait, 30)
            return asyncio.get_running_loop()

        async def main() -> bool:
            return await snapshots.restore("a", build) is asyncio.get_running_loop()

        return asyncio.run(main())

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, range(2))) == [True, True]


def in_threads(snapshots: Snapshots[str], build: Any, count: int) -> tuple[list[threading.Thread], list[Any]]:
    """Threads that want the same, and what becomes of each."""
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(snapshots.restore("a", build))
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, outcomes


def test_threads_share_a_build(threaded: Snapshots[str]) -> None:
    """[S11]"""
    asked, all_have_asked = [], threading.Event()

    class Flights(dict):
        def setdefault(self, *args: Any) -> Any:
            found = super().setdefault(*args)
            asked.append(args)
            if len(asked) == 10:
                all_have_asked.set()
            return found

    threaded._flights._futures = Flights()
    built = []

    def build(snapshot: Any) -> list[str]:
        assert all_have_asked.wait(30)
        built.append(snapshot.value)
        return [snapshot.value]

    threads, outcomes = in_threads(threaded, build, 10)
    for thread in threads:
        thread.join()
    assert built == ["state"]
    assert len(outcomes) == 10
    assert all(each is outcomes[0] for each in outcomes)


def test_a_thread_that_is_struck_while_it_builds(threaded: Snapshots[str]) -> None:
    """By what is meant for it alone, a time limit, say: others build for themselves. An error is everybody's."""
    waiting, calls = threading.Event(), []

    class TimeLimit(BaseException):
        pass

    def build(snapshot: Any) -> str:
        calls.append(snapshot)
        if len(calls) == 1:
            assert waiting.wait(30)
            raise TimeLimit
        return "built"

    first, outcomes = in_threads(threaded, build, 1)
    while not calls:
        pass
    second, others = in_threads(threaded, build, 1)
    waiting.set()
    for thread in (*first, *second):
        thread.join()
    assert isinstance(outcomes[0], TimeLimit)
    assert others == ["built"]

    def fails(snapshot: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        threaded.restore("a", fails)
    assert threaded.restore("a", lambda snapshot: snapshot.value) == "state"


FORKED = """
import os, threading
from session_store import InMemoryClient, SessionStore
from session_store.snapshots import Snapshots

snapshots = Snapshots(SessionStore(InMemoryClient(), prefix="p", default_ttl=600))
begun, may_end = threading.Event(), threading.Event()

def build(snapshot):
    begun.set()
    may_end.wait(30)

threading.Thread(target=snapshots.restore, args=("a", build)).start()
begun.wait(30)
child = os.fork()
if child == 0:
    print(snapshots.restore("a", lambda snapshot: "the child's"), flush=True)
    os._exit(0)
os.waitpid(child, 0)
may_end.set()
"""


def test_a_process_that_is_forked_while_a_thread_builds() -> None:
    """Builds for itself: that thread is not there."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "the child's\n"
