"""Writers of one process: threads, tasks and loops that wait for each other, in line, and never for ever."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from support.servers import Server

from session_store import AsyncSessionStore, CasPolicy, SessionStore
from session_store.testing.loops import PoolPerLoop

HASTY = CasPolicy(turn_lease=0.05, turn_wait=0.2)


def increment(snap: Any, ops: Any) -> int:
    total = int(snap.get("n") or 0) + 1
    ops.set("n", str(total))
    return total


@pytest.fixture
def make(server: Server, prefix: str) -> Callable[..., SessionStore]:
    def make(**options: Any) -> SessionStore:
        client = redis.Redis(port=server.port, socket_timeout=10)
        return SessionStore(client, prefix=prefix, default_ttl=600, **options)

    return make


@pytest.fixture
def make_async(server: Server, prefix: str) -> Callable[..., AsyncSessionStore]:
    def make_async(**options: Any) -> AsyncSessionStore:
        client = redis.asyncio.Redis(port=server.port, socket_timeout=10)
        client.connection_pool = PoolPerLoop(
            lambda: redis.asyncio.Redis(port=server.port, socket_timeout=10).connection_pool
        )
        return AsyncSessionStore(client, prefix=prefix, default_ttl=600, **options)

    return make_async


def test_threads_never_make_each_other_lose(make: Callable[..., SessionStore]) -> None:
    """16 threads commit 320 times, with 320 runs of the closure."""
    store, runs = make(), []

    def closure(snap: Any, ops: Any) -> int:
        runs.append(1)
        return increment(snap, ops)

    def work(_: int) -> list[int]:
        return [store.namespace("u").with_cas("n", closure, max_retries=0) for _ in range(20)]

    with ThreadPoolExecutor(16) as pool:
        totals = sorted(total for each in pool.map(work, range(16)) for total in each)
    assert totals == list(range(1, 321))
    assert len(runs) == 320


async def test_tasks_never_make_each_other_lose(make_async: Callable[..., AsyncSessionStore]) -> None:
    """100 tasks, first come, first served."""
    store, order = make_async(), []

    async def work(number: int) -> None:
        async def closure(snap: Any, ops: Any) -> None:
            order.append(number)
            ops.set("n", str(int(await snap.get("n") or 0) + 1))

        await store.namespace("u").with_cas("n", closure, max_retries=0)

    await asyncio.gather(*(work(number) for number in range(100)))
    assert order == list(range(100))
    assert await store.namespace("u").get("n") == "100"


def test_loops_in_threads_stand_in_one_line(make_async: Callable[..., AsyncSessionStore]) -> None:
    """They wake each other across threads."""
    store, runs = make_async(), []

    async def work() -> None:
        async def closure(snap: Any, ops: Any) -> None:
            runs.append(1)
            ops.set("n", str(int(await snap.get("n") or 0) + 1))

        for _ in range(25):
            await asyncio.gather(*(store.namespace("u").with_cas("n", closure, max_retries=0) for _ in range(2)))

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(runs) == 200
    assert asyncio.run(store.namespace("u").get("n")) == "200"


@pytest.mark.parametrize("slots", [("a", "b"), (["a", "x"], ["b", "x"])], ids=["one", "several"])
def test_closures_that_wait_for_each_other_end(make: Callable[..., SessionStore], slots: Any) -> None:
    """Each holds the line that the other one is going to want, in another namespace."""
    store = make(cas_policy=HASTY)
    both_run = threading.Barrier(2)

    def work(outer: str, inner: str) -> str:
        def outer_closure(snap: Any, ops: Any) -> str:
            if not once:
                once.append(1)
                both_run.wait(10)
            ops.set("by", outer)
            return store.namespace(inner).with_cas(slots[inner == "v"], lambda snap, ops: ops.set("by", outer) or outer)

        once: list[int] = []
        return store.namespace(outer).with_cas(slots[outer == "v"], outer_closure, max_retries=20)

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(work, "u", "v"), pool.submit(work, "v", "u")]
        assert [result.result(60) for result in results] == ["u", "v"]


def test_nested_stores_end(make: Callable[..., SessionStore]) -> None:
    """Two stores have a line each; one writes to the slot on which the other one is working."""
    outer, inner = make(cas_policy=HASTY), make(cas_policy=HASTY)
    runs: list[int] = []

    def closure(snap: Any, ops: Any) -> None:
        runs.append(1)
        if len(runs) == 1:
            inner.namespace("u").with_cas("n", increment)
        ops.set("n", str(int(snap.get("n") or 0) + 1))

    outer.namespace("u").with_cas("n", closure)
    assert outer.namespace("u").get("n") == "2"
    assert len(runs) == 2


def test_closure_that_takes_longer_than_the_lease_stops_nobody(make: Callable[..., SessionStore]) -> None:
    """Others overtake it, and it tries again."""
    store = make(cas_policy=CasPolicy(turn_lease=0.05, turn_wait=30))
    overtaken, slow_runs = threading.Event(), []

    def slow(snap: Any, ops: Any) -> int:
        slow_runs.append(1)
        running.set()
        assert overtaken.wait(30)
        return increment(snap, ops)

    running = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.namespace("u").with_cas, "n", slow)
        running.wait(10)
        assert [store.namespace("u").with_cas("n", increment) for _ in range(3)] == [1, 2, 3]
        overtaken.set()
        assert first.result(30) == 4
    assert len(slow_runs) == 2


async def test_cancelled_tasks_leave_the_line(make_async: Callable[..., AsyncSessionStore]) -> None:
    """Whether they wait in it, or are the first."""
    store = make_async(cas_policy=CasPolicy(turn_lease=60, turn_wait=60))
    running, done = asyncio.Event(), []

    async def endless(snap: Any, ops: Any) -> None:
        running.set()
        await asyncio.Event().wait()

    async def closure(snap: Any, ops: Any) -> None:
        done.append(1)

    first = asyncio.create_task(store.namespace("u").with_cas("n", endless))
    await running.wait()
    others = [asyncio.create_task(store.namespace("u").with_cas("n", closure)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in (others[0], others[2], first, others[3]):
        task.cancel()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2 + [
        type(None),
        *[asyncio.CancelledError] * 2,
        type(None),
    ]
    assert done == [1, 1]


def test_loop_that_ends_while_a_task_waits(make_async: Callable[..., AsyncSessionStore]) -> None:
    """Nobody waits for a task that will never run again."""
    store = make_async(cas_policy=CasPolicy(turn_lease=60, turn_wait=60))
    loop = asyncio.new_event_loop()
    left: list[asyncio.Task[None]] = []

    async def closure(snap: Any, ops: Any) -> None:
        ops.set("n", "1")

    async def first() -> None:
        async def leaves_one_waiting(snap: Any, ops: Any) -> None:
            if not left:
                coroutine = store.namespace("u").with_cas("n", closure)
                await asyncio.to_thread(wait_elsewhere, coroutine)

        await store.namespace("u").with_cas("n", leaves_one_waiting)
        await store.namespace("u").with_cas("n", closure)

    def wait_elsewhere(coroutine: Any) -> None:
        async def begin() -> None:
            left.append(asyncio.ensure_future(coroutine))
            await asyncio.sleep(0)

        loop.run_until_complete(begin())
        loop.close()

    asyncio.run(asyncio.wait_for(first(), 30))
    left[0]._log_destroy_pending = False  # which is what this test is about
    left[0].get_coro().close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_process_waits_for_nobody_of_its_parent(make: Callable[..., SessionStore]) -> None:
    store = make(cas_policy=CasPolicy(turn_lease=60, turn_wait=60))

    def closure(snap: Any, ops: Any) -> None:
        child = os.fork()
        if child == 0:
            try:
                make().namespace("v").with_cas("n", increment)
                lines = store._settings.lines
                os._exit(0 if lines.join(store.namespace("u").key("n").encode(), object()) else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0

    store.namespace("u").with_cas("n", closure)
