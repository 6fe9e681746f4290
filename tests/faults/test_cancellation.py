"""Tasks that are cancelled wherever they wait, on a pool of one connection: the pool stays whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio
from support.cancelling import LEFT_BEHIND, cancel_everywhere, every_manner
from support.proxy import PATIENCE
from support.servers import Server

from session_store import AsyncNamespace, AsyncSessionStore, CasContentionError, CasPolicy, ReplicationError

SLOTS = ("a", "b", "c")
TIMES = 20


class Interruption(BaseException):
    """What ends a closure without being an Exception, as CancelledError does when something that it awaits is."""


POOLS = {
    "plain": redis.asyncio.ConnectionPool,
    "blocking": lambda **options: redis.asyncio.BlockingConnectionPool(timeout=1, **options),
}


@pytest.fixture(params=POOLS)
async def ns(request: pytest.FixtureRequest, server: Server, prefix: str) -> AsyncIterator[AsyncNamespace[str]]:
    """A namespace on a pool of one connection, with values that tell their slots."""
    pool = POOLS[request.param](port=server.port, max_connections=1, socket_timeout=10)
    client = redis.asyncio.Redis(connection_pool=pool)
    policy = CasPolicy(backoff_base=0.001, backoff_cap=0.001)
    ns = AsyncSessionStore(client, prefix=prefix, default_ttl=600, cas_policy=policy).namespace("session")
    await fill(ns)
    yield ns
    await client.aclose()
    await pool.disconnect()


async def fill(ns: AsyncNamespace[str]) -> None:
    for slot in SLOTS:
        await ns.set(slot, f"the value of {slot}")


async def read_all(snap: Any, ops: Any) -> list[str | None]:
    return [await snap.get(slot) for slot in SLOTS]


async def write(snap: Any, ops: Any) -> None:
    ops.set("n", "1")


async def read_on(snap: Any, seen: set[str | None]) -> None:
    while True:
        seen.add(await snap.get("b"))


async def check_whole(ns: AsyncNamespace[str], rival: redis.Redis) -> None:
    """The pool has its one connection back, every call gets its own reply, and nothing is half-written."""
    client = ns._commands.client
    assert not client.connection_pool._in_use_connections
    values = [f"the value of {slot}" for slot in SLOTS]
    assert await client.mget(map(ns.key, SLOTS)) == [value.encode() for value in values]
    assert [await ns.get(slot) for slot in SLOTS] == values
    assert await ns.with_cas(["a", "c"], read_all, max_retries=0) == values
    assert rival.get(ns.key("left")) == rival.get(ns.key("right"))
    assert all(rival.pttl(key) > 0 for key in rival.scan_iter(ns.key("*")))


@every_manner
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "connecting"])
async def test_commit_that_wins(ns: AsyncNamespace[str], rival: redis.Redis, manner: str, *, connected: bool) -> None:
    """All of a commit is written, or nothing, and the pool is whole."""

    async def check() -> None:
        await check_whole(ns, rival)
        if not connected:
            await ns._commands.client.connection_pool.disconnect()

    def call(number: int) -> Coroutine[Any, Any, str]:
        async def closure(snap: Any, ops: Any) -> str:
            await asyncio.sleep(0)
            first, second = await asyncio.gather(snap.get("b"), snap.get("c"))
            ops.set("left", f"{first} {number}")
            ops.set("right", f"{first} {number}")
            return second

        return ns.with_cas("a", closure)

    await check()
    assert await cancel_everywhere(call, manner, check) == "the value of c"


@every_manner
async def test_commit_that_loses(ns: AsyncNamespace[str], rival: redis.Redis, manner: str) -> None:
    """The same through lost attempts, and the waits between them."""

    async def closure(snap: Any, ops: Any) -> None:
        rival.set(ns.key("spoilt"), uuid4().hex, ex=60)
        ops.set("left", "never")

    with pytest.raises(CasContentionError):
        await cancel_everywhere(
            lambda _: ns.with_cas("spoilt", closure, max_retries=2), manner, lambda: check_whole(ns, rival)
        )


@every_manner
async def test_closure_that_raises(ns: AsyncNamespace[str], rival: redis.Redis, manner: str) -> None:
    """The same for a closure that raises."""

    async def closure(snap: Any, ops: Any) -> None:
        ops.set("left", "never")
        raise ValueError(await snap.get("b"))

    with pytest.raises(ValueError, match="the value of b"):
        await cancel_everywhere(lambda _: ns.with_cas("a", closure), manner, lambda: check_whole(ns, rival))


@every_manner
@pytest.mark.parametrize("left_behind", [0, 2])
async def test_closure_that_is_interrupted(
    ns: AsyncNamespace[str], rival: redis.Redis, manner: str, left_behind: int
) -> None:
    """The same for one that ends while a task left behind reads and another is next."""
    readers = []

    async def closure(snap: Any, ops: Any) -> None:
        ops.set("left", "never")
        readers.extend(asyncio.create_task(read_on(snap, set()), name=LEFT_BEHIND) for _ in range(left_behind))
        await snap.get("b")
        raise Interruption

    async def check() -> None:
        ends = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), PATIENCE)
        assert {type(end) for end in ends} <= {RuntimeError}
        await check_whole(ns, rival)

    with pytest.raises(Interruption):
        await cancel_everywhere(lambda _: ns.with_cas("a", closure), manner, check)


@every_manner
async def test_each_wait_is_cancelled_in_turn(manner: str) -> None:
    """What the tests here rest upon."""
    reached = []

    async def call(at: int) -> str:
        for step in (1, 2):
            await asyncio.sleep(0.001)
            reached.append((at, step))
        return "over"

    async def check() -> None:
        reached.append("checked")

    assert await cancel_everywhere(call, manner, check) == "over"
    assert reached == ["checked", (2, 1), "checked", (3, 1), (3, 2), "checked"]


@every_manner
@pytest.mark.parametrize("error", [None, TimeoutError()], ids=["returns", "raises another error"])
async def test_a_call_that_hides_its_cancellation_is_noticed(manner: str, error: Exception | None) -> None:
    """The same: who cancels a call would go on without having been told, or with something else to handle."""

    async def call(at: int) -> None:
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            if error is not None:
                raise error from None

    with pytest.raises(AssertionError, match="cancelled at wait 1, the call ended otherwise") as caught:
        await cancel_everywhere(call, manner, partial(asyncio.sleep, 0))
    assert caught.value.__cause__ is error


@every_manner
@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        (lambda ns: ns.get("a"), "the value of a"),
        (lambda ns: ns.set("a", "the value of a"), True),
        (lambda ns: ns.hset("hash", mapping={"f": "1", "g": "2"}), 0),
        (lambda ns: ns.touch(ttl=900), 4),
        (lambda ns: ns.slots(), ["a", "b", "c", "hash"]),
    ],
    ids=["get", "set", "hset", "touch", "slots"],
)
async def test_single_calls(
    ns: AsyncNamespace[str],
    rival: redis.Redis,
    call: Callable[[AsyncNamespace[str]], Coroutine[Any, Any, Any]],
    outcome: object,
    manner: str,
) -> None:
    """The same for calls that make no attempts."""
    await ns.hset("hash", mapping={"f": "1", "g": "2"})
    assert await cancel_everywhere(lambda _: call(ns), manner, lambda: check_whole(ns, rival)) == outcome


@every_manner
async def test_ids(ns: AsyncNamespace[str], rival: redis.Redis, manner: str) -> None:
    """A cancelled `incr` may waste an id, and never has one given out again."""
    given = []

    async def take(_: int = 0) -> None:
        given.append(await ns.incr("ids"))

    async def check() -> None:
        await check_whole(ns, rival)
        await take()

    await take()
    await cancel_everywhere(take, manner, check)
    assert len(set(given)) == len(given)
    assert given == sorted(given)


@every_manner
@pytest.mark.parametrize(
    "call",
    [lambda ns: ns.incr("ids"), lambda ns: ns.with_cas("n", write), lambda ns: ns.purge(fence=0.001)],
    ids=["incr", "with_cas", "purge"],
)
async def test_calls_that_wait_for_replicas(
    ns: AsyncNamespace[str],
    rival: redis.Redis,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[AsyncNamespace[str]], Coroutine[Any, Any, Any]],
    manner: str,
) -> None:
    """The same where none has anything, and the waiting is cancelled too."""
    monkeypatch.setattr("session_store._core.replication._MOST_WAIT_MS", 5)
    store = AsyncSessionStore(ns._commands.client, prefix=prefix, default_ttl=600, min_replicas=1)

    async def check() -> None:
        while rival.hexists(ns.key("x")[:-1] + "~index", "~fence"):  # for a millisecond
            pass
        await fill(ns)
        await check_whole(ns, rival)

    with pytest.raises(ReplicationError):
        await cancel_everywhere(lambda _: call(store.namespace("session")), manner, check)


@every_manner
async def test_purge(ns: AsyncNamespace[str], rival: redis.Redis, manner: str) -> None:
    """A cancelled purge has deleted every slot, or none."""

    async def check() -> None:
        assert len(list(rival.scan_iter(ns.key("*")))) in (0, len(SLOTS) + 1)  # with the index
        await fill(ns)
        await check_whole(ns, rival)

    assert await cancel_everywhere(lambda _: ns.purge(), manner, check) == len(SLOTS)


@pytest.mark.parametrize("lost", [0, 1], ids=["wins", "loses once"])
async def test_task_that_a_closure_leaves_behind(ns: AsyncNamespace[str], rival: redis.Redis, lost: int) -> None:
    """It reads its own replies from `snap` while the closure lasts, and is told when that has ended."""
    seen: set[str | None] = set()

    async def closure(snap: Any, ops: Any) -> str | None:
        left_behind.append(asyncio.ensure_future(read_on(snap, seen)))
        for _ in range(3):  # the task is on its way; which of them reads next is open
            assert await snap.get("c") == "the value of c"
        if len(left_behind) <= lost:
            rival.set(ns.key("spoilt"), uuid4().hex, ex=60)
        ops.set("left", "1")
        ops.set("right", "1")
        return await snap.get("c")

    for _ in range(TIMES):
        left_behind: list[asyncio.Future[None]] = []
        assert await ns.with_cas(["a", "spoilt"], closure) == "the value of c"
        await check_whole(ns, rival)
        ends = await asyncio.wait_for(asyncio.gather(*left_behind, return_exceptions=True), PATIENCE)
        assert [type(end) for end in ends] == [RuntimeError] * (lost + 1)
    assert seen == {"the value of b"}


async def test_task_that_a_closure_cancels(ns: AsyncNamespace[str], rival: redis.Redis) -> None:
    """A task that is cancelled in the middle of a read as the closure ends takes no one's reply along."""

    async def closure(snap: Any, ops: Any) -> str | None:
        task = asyncio.ensure_future(read_on(snap, set()))
        value = await snap.get("c")
        task.cancel()
        ops.set("left", "1")
        ops.set("right", "1")
        return value

    for _ in range(TIMES):
        try:
            assert await ns.with_cas("a", closure) == "the value of c"
        except redis.ConnectionError:
            pass  # the read was cut short, and the connection with it
        await check_whole(ns, rival)
