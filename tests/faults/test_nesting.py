"""`with_cas` inside a closure: refused for the same namespace, where the outer commit could never win."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
import redis.asyncio
from support.proxy import PATIENCE
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncNamespace,
    AsyncSessionStore,
    InMemoryClient,
    Namespace,
    NestedCasError,
    SessionStore,
)
from session_store._core import nesting

pytestmark = pytest.mark.long

PLACES = pytest.mark.parametrize("place", ["server", "memory"], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(place: str, server: Server) -> Iterator[Any]:
    """A sync client."""
    with redis.Redis(port=server.port, socket_timeout=10) if place == "server" else InMemoryClient() as client:
        yield client


@pytest.fixture
async def async_client(place: str, server: Server) -> AsyncIterator[Any]:
    """An async client."""
    on_server = place == "server"
    client = redis.asyncio.Redis(port=server.port, socket_timeout=10) if on_server else AsyncInMemoryClient()
    yield client
    await client.aclose()


def of(client: Any, prefix: str, name: str = "session") -> Namespace[str]:
    return SessionStore(client, prefix=prefix, default_ttl=60).namespace(name)


def async_of(client: Any, prefix: str, name: str = "session") -> AsyncNamespace[str]:
    return AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace(name)


def write(snap: Any, ops: Any) -> str:
    ops.set("inner", "written")
    return "inner"


async def async_write(snap: Any, ops: Any) -> str:
    return write(snap, ops)


@PLACES
@pytest.mark.parametrize("slot", ["n", "inner"], ids=["same slot", "another slot"])
@pytest.mark.parametrize("handle", ["same", "another", "another store's"])
def test_same_namespace(client: Any, prefix: str, slot: str, handle: str) -> None:
    """It is refused before anything is sent, whichever handle it is called on; the outer call can go on."""
    store = SessionStore(client, prefix=prefix, default_ttl=60)
    ns = store.namespace("session")
    inside = {"same": ns, "another": store.namespace("session"), "another store's": of(client, prefix)}[handle]

    def closure(snap: Any, ops: Any) -> str:
        with pytest.raises(NestedCasError) as caught:
            inside.with_cas(slot, write)
        ops.set("n", "outer")
        return caught.value.namespace

    assert ns.with_cas("n", closure, max_retries=0) == "session"
    assert ns.get("n") == "outer"
    assert not ns.exists("inner")


@PLACES
@pytest.mark.parametrize("handle", ["same", "another", "another store's"])
@pytest.mark.parametrize("in_task", [False, True], ids=["directly", "in a task"])
async def test_same_namespace_async(async_client: Any, prefix: str, handle: str, *, in_task: bool) -> None:
    """The same for async, in a task that the closure starts as well."""
    store = AsyncSessionStore(async_client, prefix=prefix, default_ttl=60)
    ns = store.namespace("session")
    inside = {"same": ns, "another": store.namespace("session"), "another store's": async_of(async_client, prefix)}

    async def closure(snap: Any, ops: Any) -> str:
        with pytest.raises(NestedCasError) as caught:
            call = inside[handle].with_cas("n", async_write)
            await (asyncio.ensure_future(call) if in_task else call)
        ops.set("n", "outer")
        return caught.value.namespace

    assert await ns.with_cas("n", closure, max_retries=0) == "session"
    assert await ns.get("n") == "outer"
    assert not await ns.exists("inner")


@PLACES
def test_error_that_passes_through(client: Any, prefix: str) -> None:
    """A closure that does not catch it fails: nothing is written, and the next call is not nested."""
    ns = of(client, prefix)

    def closure(snap: Any, ops: Any) -> None:
        ops.set("n", "never")
        ns.with_cas("n", write)

    for _ in range(2):
        with pytest.raises(NestedCasError):
            ns.with_cas("n", closure)
    assert not ns.exists("n")
    assert ns.with_cas("n", write, max_retries=0) == "inner"


@PLACES
def test_other_places(client: Any, prefix: str) -> None:
    """Another namespace and another prefix are free; the way back through them is not."""
    ns = of(client, prefix)

    def innermost(snap: Any, ops: Any) -> str:
        with pytest.raises(NestedCasError):
            ns.with_cas("n", write)
        return write(snap, ops)

    def closure(snap: Any, ops: Any) -> list[str]:
        ops.set("n", "outer")
        return [inside.with_cas("n", innermost) for inside in (of(client, prefix, "b"), of(client, f"{prefix}-b"))]

    assert ns.with_cas("n", closure, max_retries=0) == ["inner", "inner"]
    assert ns.get("n") == "outer"
    assert of(client, prefix, "b").get("inner") == of(client, f"{prefix}-b").get("inner") == "written"


@PLACES
async def test_other_places_async(async_client: Any, prefix: str) -> None:
    """The same for async."""
    ns = async_of(async_client, prefix)
    others = (async_of(async_client, prefix, "b"), async_of(async_client, f"{prefix}-b"))

    async def innermost(snap: Any, ops: Any) -> str:
        with pytest.raises(NestedCasError):
            await ns.with_cas("n", async_write)
        return write(snap, ops)

    async def closure(snap: Any, ops: Any) -> list[str]:
        ops.set("n", "outer")
        return await asyncio.gather(*(inside.with_cas("n", innermost) for inside in others))

    assert await ns.with_cas("n", closure, max_retries=0) == ["inner", "inner"]
    assert await ns.get("n") == "outer"
    assert [await inside.get("inner") for inside in others] == ["written", "written"]


@PLACES
def test_single_calls_in_a_closure(client: Any, prefix: str) -> None:
    """Calls that need no attempts are free inside a closure: an id is taken there."""
    ns = of(client, prefix)
    assert ns.with_cas("n", lambda snap, ops: ns.incr("ids"), max_retries=0) == 1


@PLACES
@pytest.mark.parametrize("end", ["commits", "raises"])
async def test_task_that_outlives_the_closure(async_client: Any, prefix: str, end: str) -> None:
    """It was started inside, and is not nested any more once the closure has ended."""
    ns = async_of(async_client, prefix)
    ended = asyncio.Event()
    tasks = []

    async def later() -> str:
        await ended.wait()
        return await ns.with_cas("n", async_write)

    async def closure(snap: Any, ops: Any) -> None:
        tasks.append(asyncio.ensure_future(later()))
        if end == "raises":
            raise ValueError

    if end == "raises":
        with pytest.raises(ValueError):
            await ns.with_cas("n", closure)
    else:
        await ns.with_cas("n", closure)
    ended.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE) == ["inner"]


@PLACES
async def test_concurrent_calls_are_not_nested(async_client: Any, prefix: str) -> None:
    """Closures of one namespace that only run at the same time are no affair of each other's."""
    ns = async_of(async_client, prefix)
    both_run = asyncio.Event()
    running = []

    async def closure(snap: Any, ops: Any) -> str:
        running.append(ops)
        if len(running) == 2:
            both_run.set()
        await asyncio.wait_for(both_run.wait(), PATIENCE)
        return write(snap, ops)

    calls = [ns.with_cas(slot, closure) for slot in ("a", "b")]
    assert await asyncio.gather(*calls) == ["inner", "inner"]


ROUNDS = 50  # of a heartbeat; what is kept alive in each of them adds up


def closures_held() -> int:
    gc.collect()
    return sum(type(each) is nesting.closure_of for each in gc.get_objects())


def reachable(thing: object) -> list[object]:
    """What an object keeps alive, but for classes."""
    found, waiting = [], [thing]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, type):
            found.append(each)
            waiting += gc.get_referents(each)
    return found


@PLACES
def test_heartbeat(client: Any, prefix: str) -> None:
    """Each round begins in the context of the closure before it, and closures that have ended are not kept alive."""
    ns, context, before = of(client, prefix), copy_context(), closures_held()

    def closure(snap: Any, ops: Any) -> Context:
        ops.set("beat", str(int(snap.get("beat") or 0) + 1))
        return copy_context()

    for _ in range(ROUNDS):
        context = context.run(ns.with_cas, "beat", closure, max_retries=0)
    assert closures_held() - before <= 1
    assert ns.get("beat") == str(ROUNDS)


@PLACES
@pytest.mark.parametrize("begins", ["after the one before", "during the one before"])
async def test_heartbeat_async(async_client: Any, prefix: str, begins: str) -> None:
    """Each closure starts the task of the next one: here the context is a task's own."""
    overlapping, before = begins == "during the one before", closures_held()
    begun, ended = ([asyncio.Event() for _ in range(ROUNDS + 1)] for _ in range(2))
    held = asyncio.get_running_loop().create_future()
    ended[0].set()

    async def beat(number: int) -> None:
        async def closure(snap: Any, ops: Any) -> None:
            begun[number].set()
            await ended[number - 1].wait()
            ops.set("beat", str(number))
            if number < ROUNDS:
                tasks.append(asyncio.ensure_future(beat(number + 1)))
                if overlapping:
                    await begun[number + 1].wait()

        if not overlapping:
            await ended[number - 1].wait()
        await async_of(async_client, prefix, f"n{number % 2}").with_cas("beat", closure, max_retries=0)
        if number == ROUNDS:  # looked at here: once the task has ended, its context is gone
            held.set_result(closures_held() - before)
        ended[number].set()

    tasks = [asyncio.ensure_future(beat(1))]
    assert await asyncio.wait_for(held, PATIENCE) <= 1
    await asyncio.gather(*tasks)


@PLACES
def test_context_of_a_closure_between(client: Any, prefix: str) -> None:
    """It outlives its own closure, and still knows of the one around it, for as long as that runs."""
    ns, between = of(client, prefix), of(client, prefix, "between")

    def innermost(snap: Any, ops: Any) -> None:
        with pytest.raises(NestedCasError):
            ns.with_cas("n", write)
        with pytest.raises(NestedCasError):
            between.with_cas("n", write)

    def closure(snap: Any, ops: Any) -> Context:
        context = between.with_cas("n", lambda snap, ops: copy_context())
        with pytest.raises(NestedCasError):
            context.run(ns.with_cas, "n", write)
        context.run(between.with_cas, "n", innermost)
        return context

    context = ns.with_cas("n", closure, max_retries=0)
    assert context.run(ns.with_cas, "n", write, max_retries=0) == "inner"


@PLACES
async def test_task_of_a_closure_between(async_client: Any, prefix: str) -> None:
    """The same for async."""
    ns, between = async_of(async_client, prefix), async_of(async_client, prefix, "between")
    between_ended, refused, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tasks = []

    async def later() -> str:
        await between_ended.wait()
        with pytest.raises(NestedCasError):
            await ns.with_cas("n", async_write)
        refused.set()
        await ended.wait()
        return await ns.with_cas("n", async_write)

    async def innermost(snap: Any, ops: Any) -> None:
        tasks.append(asyncio.ensure_future(later()))

    async def closure(snap: Any, ops: Any) -> None:
        await between.with_cas("n", innermost)
        between_ended.set()
        await refused.wait()

    await asyncio.wait_for(ns.with_cas("n", closure, max_retries=0), PATIENCE)
    ended.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE) == ["inner"]


def test_context_that_outlives_its_closures(prefix: str) -> None:
    """It keeps neither the client nor a name, which may be a credential, of what has ended."""
    client = InMemoryClient()
    inside = of(client, prefix, "inside")

    def closure(snap: Any, ops: Any) -> Context:
        return inside.with_cas("n", lambda snap, ops: copy_context())

    kept = reachable(of(client, prefix).with_cas("n", closure)[nesting._innermost])
    assert not any(isinstance(each, (str, InMemoryClient)) for each in kept)


def test_closure_that_ends_in_another_context() -> None:
    """A coroutine that nobody awaits any more is closed by whoever is at hand, and that disturbs no closure there."""
    client = object()
    lost = nesting.closure_of(client, "lost")
    copy_context().run(lost.__enter__)
    with nesting.closure_of(client, "outer"):
        lost.__exit__(None, None, None)
        with pytest.raises(NestedCasError):
            nesting.refuse_nesting(client, "outer", "outer")
    nesting.refuse_nesting(client, "outer", "outer")
    nesting.refuse_nesting(client, "lost", "lost")
