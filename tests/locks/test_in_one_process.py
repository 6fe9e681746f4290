"""Writers of one process: threads, tasks and loops that wait for each other, in a queue, and never for ever."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from support.servers import Server

from session_store import AsyncSessionStore, CasPolicy, SessionStore
from session_store.testing.loops import PoolPerLoop

HASTY = CasPolicy(lock_ttl=0.05, lock_timeout=0.2)


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


def test_loops_in_threads_stand_in_one_queue(make_async: Callable[..., AsyncSessionStore]) -> None:
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
    """Each is the first of the queue that the other one is going to want, in another namespace."""
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
    """Two stores have a queue each; one writes to the slot on which the other one is working."""
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
    store = make(cas_policy=CasPolicy(lock_ttl=0.05, lock_timeout=30))
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


async def test_cancelled_tasks_leave_the_queue(make_async: Callable[..., AsyncSessionStore]) -> None:
    """Whether they wait in it, or are the first."""
    store = make_async(cas_policy=CasPolicy(lock_ttl=60, lock_timeout=60))
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
    store = make_async(cas_policy=CasPolicy(lock_ttl=60, lock_timeout=60))
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
    store = make(cas_policy=CasPolicy(lock_ttl=60, lock_timeout=60))

    def closure(snap: Any, ops: Any) -> None:
        child = os.fork()
        if child == 0:
            try:
                make().namespace("v").with_cas("n", increment)
                entry = store._settings.queues.enter(store.namespace("u").key("n").encode(), object)
                os._exit(0 if entry.since is not None else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0

    store.namespace("u").with_cas("n", closure)


async def test_a_backlog_longer_than_any_patience_is_worked_off(make_async: Callable[..., AsyncSessionStore]) -> None:
    """Whoever waits in a queue that moves goes on waiting: nobody runs in vain, on one connection or two."""
    store, runs = make_async(cas_policy=CasPolicy(lock_ttl=0.05, lock_timeout=0.05)), []

    async def work() -> None:
        async def closure(snap: Any, ops: Any) -> None:
            runs.append(1)
            total = int(await snap.get("n") or 0)
            await asyncio.sleep(0.005)
            ops.set("n", str(total + 1))

        await store.namespace("u").with_cas("n", closure)

    await asyncio.gather(*(work() for _ in range(100)))
    assert await store.namespace("u").get("n") == "100"
    assert len(runs) <= 110
    assert len(store._commands.client.connection_pool._available_connections) <= 2


async def test_a_blocked_loop_lets_two_go_at_worst(make_async: Callable[..., AsyncSessionStore]) -> None:
    """A handler that computes for longer than a lease, right after its commit, makes those lose their entries that wait."""
    store, runs = make_async(cas_policy=CasPolicy(lock_ttl=0.02)), []

    async def handler() -> None:
        async def closure(snap: Any, ops: Any) -> None:
            runs.append(1)
            ops.set("n", str(int(await snap.get("n") or 0) + 1))

        await store.namespace("u").with_cas("n", closure)
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            pass

    await asyncio.gather(*(handler() for _ in range(4)))
    assert await store.namespace("u").get("n") == "4"
    assert len(runs) <= 8


def test_leases_that_are_much_too_short_break_nothing(make: Callable[..., SessionStore]) -> None:
    """24 threads lose their entries all the time, and their commits only when somebody was faster."""
    store = make(cas_policy=CasPolicy(lock_ttl=0.002, max_retries=1_000))

    def work(_: int) -> None:
        for _ in range(25):
            store.namespace("u").with_cas("n", increment)

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(work, range(24)))
    assert store.namespace("u").get("n") == str(24 * 25)


async def test_closures_longer_than_a_lease_keep_their_lock(make_async: Callable[..., AsyncSessionStore]) -> None:
    """Six processes, as it were. What a store has seen of its closures makes its leases longer."""
    stores, runs = [make_async(cas_policy=CasPolicy(lock_ttl=0.1)) for _ in range(6)], []

    async def work(store: AsyncSessionStore) -> None:
        async def closure(snap: Any, ops: Any) -> None:
            runs.append(1)
            total = int(await snap.get("n") or 0)
            await asyncio.sleep(0.15)
            ops.set("n", str(total + 1))

        for _ in range(2):
            await store.namespace("u").with_cas("n", closure)

    await asyncio.gather(*map(work, stores))
    assert await stores[0].namespace("u").get("n") == "12"
    assert len(runs) <= 18
