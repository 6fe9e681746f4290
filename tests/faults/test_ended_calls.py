"""Calls of `with_cas` that end before they commit, in any way: the slot's lock, and the place in the queue, go back at once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from support.cancelling import cancel_everywhere, every_manner
from support.proxy import PATIENCE, Proxy
from support.servers import Server

from session_store import AsyncNamespace, AsyncSessionStore, CasPolicy, Namespace, SessionStore

# With these, who finds a lock that was not given back waits for longer than a test lasts.
STUBBORN = CasPolicy(lock_ttl=4 * PATIENCE, lock_timeout=4 * PATIENCE)
SETTINGS: dict[str, Any] = {"default_ttl": 600, "cas_policy": STUBBORN}


class TimeLimit(Exception):
    """What a worker's time limit raises."""


class Interruption(BaseException):
    """As gevent's Timeout: no Exception."""


every_end = pytest.mark.parametrize("kind", [TimeLimit, Interruption, KeyboardInterrupt, SystemExit])


def locks(rival: redis.Redis, ns: Any) -> list[str]:
    """The locks on the server."""
    return [field for field in rival.hkeys(ns.key("x")[:-1] + "~index") if field.startswith("~lock:")]


@pytest.fixture
def make(server: Server, prefix: str) -> Iterator[Callable[[], Namespace[str]]]:
    """Makes the namespace of a store of its own, which waits for others as another process does."""
    with redis.Redis(port=server.port, socket_timeout=PATIENCE) as client:
        yield lambda: SessionStore(client, prefix=prefix, **SETTINGS).namespace("session")


@pytest.fixture
def strike_later() -> Iterator[Callable[[BaseException], None]]:
    """Has a signal handler raise an exception in a moment, as a worker's time limit does."""
    before = signal.getsignal(signal.SIGALRM)

    def strike_later(error: BaseException) -> None:
        def handler(*_: object) -> None:
            raise error

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    yield strike_later
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def write(snap: Any, ops: Any) -> str:
    ops.set("n", "1")
    return "written"


async def async_write(snap: Any, ops: Any) -> str:
    return write(snap, ops)


@every_end
def test_struck_in_the_closure(make: Any, rival: redis.Redis, strike_later: Any, kind: type[BaseException]) -> None:
    """The lock that a first attempt takes, as long as nobody knows how long closures take, and that of one who lost."""
    for lost in (False, True):
        ns, error = make(), kind()
        runs: list[object] = []

        def closure(snap: Any, ops: Any) -> None:
            runs.append(snap)
            if lost and len(runs) == 1:
                rival.incr(ns.key("n"))
                ops.set("n", "mine")
            else:
                assert locks(rival, ns) == ["~lock:n"]
                strike_later(error)
                time.sleep(PATIENCE)

        with pytest.raises(kind) as caught:
            ns.with_cas("n", closure)
        assert caught.value is error
        assert locks(rival, ns) == []
        assert make().with_cas("n", write) == ns.with_cas("n", write) == "written"


@contextmanager
def holding(ns: Namespace[str]) -> Iterator[None]:
    """A call in a thread, whose closure goes on for as long as this lasts."""
    inside, ends = threading.Event(), threading.Event()

    def closure(snap: Any, ops: Any) -> None:
        inside.set()
        assert ends.wait(PATIENCE)

    thread = threading.Thread(target=ns.with_cas, args=("n", closure))
    thread.start()
    try:
        assert inside.wait(PATIENCE)
        yield
    finally:
        ends.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()


@every_end
@pytest.mark.parametrize("waits", ["in the queue", "for the lock"])
def test_struck_while_it_waits(
    make: Any, rival: redis.Redis, strike_later: Any, kind: type[BaseException], waits: str
) -> None:
    """Behind a call of its own store, or of another one: whoever comes next does not wait for it."""
    ns = make()
    struck, error = (ns if waits == "in the queue" else make()), kind()
    with holding(ns):
        strike_later(error)
        with pytest.raises(kind) as caught:
            struck.with_cas("n", write)
        assert caught.value is error
        assert locks(rival, ns) == ["~lock:n"]  # the holder's
    assert locks(rival, ns) == []
    assert struck.with_cas("n", write) == make().with_cas("n", write) == "written"


@every_manner
@pytest.mark.parametrize("lost", [False, True], ids=["first attempt", "after one that lost"])
async def test_cancelled_anywhere(server: Server, prefix: str, rival: redis.Redis, manner: str, *, lost: bool) -> None:
    """In begin, in the closure, in commit: by the time that the task has ended, the lock is free."""
    client = redis.asyncio.Redis(port=server.port, socket_timeout=PATIENCE)
    key = AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session").key("n")
    held: list[bool] = []

    def call(number: int) -> Any:
        ns = AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")  # which knows of no closures yet
        runs: list[object] = []

        async def closure(snap: Any, ops: Any) -> str:
            runs.append(snap)
            if lost and len(runs) == 1:
                rival.set(key, f"theirs {number}", ex=60)
            held.append(bool(locks(rival, ns)))
            await asyncio.sleep(0)
            return await async_write(snap, ops)

        return ns.with_cas("n", closure)

    async def check() -> None:
        ns = AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")
        assert locks(rival, ns) == []
        assert await asyncio.wait_for(ns.with_cas("n", async_write), PATIENCE) == "written"

    assert await cancel_everywhere(call, manner, check) == "written"
    assert all(held)
    await client.aclose()


@pytest.mark.parametrize("waits", ["in the queue", "for the lock"])
async def test_cancelled_while_it_waits(server: Server, prefix: str, rival: redis.Redis, waits: str) -> None:
    """The same for tasks; and the first of a queue that is cancelled lets the next one go."""
    client = redis.asyncio.Redis(port=server.port, socket_timeout=PATIENCE)
    stores = [AsyncSessionStore(client, prefix=prefix, **SETTINGS) for _ in range(2)]
    mine, others = (store.namespace("session") for store in stores)
    inside = asyncio.Event()

    async def hold(snap: Any, ops: Any) -> None:
        inside.set()
        await asyncio.Event().wait()

    holder = asyncio.create_task(mine.with_cas("n", hold))
    await asyncio.wait_for(inside.wait(), PATIENCE)
    waiting = [
        asyncio.create_task((mine if waits == "in the queue" else others).with_cas("n", async_write)) for _ in "ab"
    ]
    await asyncio.sleep(0.05)  # they wait where they are to
    waiting[0].cancel()
    await asyncio.wait([waiting[0]], timeout=PATIENCE)
    assert waiting[0].cancelled()
    assert locks(rival, mine) == ["~lock:n"]
    holder.cancel()
    assert await asyncio.wait_for(waiting[1], PATIENCE) == "written"
    assert holder.cancelled()
    assert locks(rival, mine) == []
    await client.aclose()


async def test_cancelled_after_each_turn_of_the_loop(server: Server, prefix: str) -> None:
    """A cancellation that comes just as something has happened is not lost: the call would wait for the lock."""
    client = redis.asyncio.Redis(port=server.port, socket_timeout=PATIENCE)
    inside = asyncio.Event()

    def ns() -> AsyncNamespace[str]:
        return AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")

    async def hold(snap: Any, ops: Any) -> None:
        inside.set()
        await asyncio.Event().wait()

    holder = asyncio.create_task(ns().with_cas("n", hold))
    await asyncio.wait_for(inside.wait(), PATIENCE)
    for turns in range(50):
        waiting = asyncio.create_task(ns().with_cas("n", async_write))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=PATIENCE)
        assert waiting.cancelled(), turns
    holder.cancel()
    await asyncio.wait([holder])
    await client.aclose()


@every_end
@pytest.mark.parametrize("command", ["BEGIN", "COMMIT"])
def test_struck_on_the_way(
    proxy: Proxy,
    make: Any,
    prefix: str,
    rival: redis.Redis,
    strike_later: Any,
    kind: type[BaseException],
    command: str,
) -> None:
    """The server has taken the lock, and the call that asked for it is struck before it hears of that."""
    make().with_cas("n", write)  # the server knows the scripts
    proxy.lose_reply(command, cut=False)
    with redis.Redis(port=proxy.port, socket_timeout=PATIENCE) as client:
        ns, error = SessionStore(client, prefix=prefix, **SETTINGS).namespace("session"), kind()
        strike_later(error)
        with pytest.raises(kind) as caught:
            ns.with_cas("n", write)
        assert caught.value is error
        assert locks(rival, ns) == []
        assert make().with_cas("n", write) == "written"


async def test_callers_that_give_up(server: Server, prefix: str) -> None:
    """Of many who wait for a slot and give up after a moment some are served each time: nobody who has gone is waited for."""
    async with redis.asyncio.Redis(port=server.port, socket_timeout=PATIENCE) as client:
        namespaces = [AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session") for _ in range(4)]
        served = []

        async def slow(snap: Any, ops: Any) -> None:
            await asyncio.sleep(0.005)
            ops.set("n", str(int(await snap.get("n") or 0) + 1))

        async def caller(ns: AsyncNamespace[str]) -> None:
            try:
                await asyncio.wait_for(ns.with_cas("n", slow), 0.25)
            except asyncio.TimeoutError:
                return
            served.append(ns)

        for rounds in range(1, 6):
            await asyncio.gather(*(caller(ns) for ns in namespaces for _ in range(10)))
            assert len(served) >= rounds
        assert int(await namespaces[0].get("n")) >= len(served)  # who gave up may have committed
        await asyncio.wait_for(namespaces[0].with_cas("n", async_write), PATIENCE)
