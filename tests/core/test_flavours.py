"""What differs between the flavours by nature: which closures and which clients each takes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import redis
import redis.asyncio
from support.recorder import Recorder
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncNamespace,
    AsyncSessionStore,
    BytesCodec,
    InMemoryClient,
    JsonCodec,
    Namespace,
    SessionStore,
    TextCodec,
)
from session_store._async import _flavour
from session_store._async.fast_path import unwrapped


async def async_fn(snap: Any, ops: Any) -> int:
    ops.set("a", "1")
    return 1


async def async_generator(snap: Any, ops: Any) -> Any:
    yield 1


def plain(snap: Any, ops: Any) -> int:
    ops.set("a", "1")
    return 1


def generator(snap: Any, ops: Any) -> Iterator[int]:
    yield 1


class Plain:
    def __call__(self, snap: Any, ops: Any) -> int:
        return plain(snap, ops)

    def method(self, snap: Any, ops: Any) -> int:
        return plain(snap, ops)


class Async:
    async def __call__(self, snap: Any, ops: Any) -> int:
        return await async_fn(snap, ops)

    async def method(self, snap: Any, ops: Any) -> int:
        return await async_fn(snap, ops)


@pytest.fixture
def ns() -> Namespace:
    return SessionStore(InMemoryClient(), prefix="shop", default_ttl=60).namespace("u")


@pytest.fixture
def async_ns() -> AsyncNamespace:
    return AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=60).namespace("u")


PLAIN = [
    plain,
    Plain(),
    Plain().method,
    functools.partial(plain),
    lambda snap, ops: plain(snap, ops),
    Mock(return_value=1),
]
ASYNC = [async_fn, Async(), Async().method, functools.partial(async_fn), AsyncMock(return_value=1)]
NEITHER = [generator, async_generator, functools.partial(generator), None, "fn", 7]


@pytest.mark.parametrize("fn", PLAIN, ids=lambda fn: type(fn).__name__)
def test_plain_functions_are_closures_of_the_sync_store(ns: Namespace, fn: Any) -> None:
    assert ns.with_cas("a", fn) == 1


@pytest.mark.parametrize("fn", ASYNC, ids=lambda fn: type(fn).__name__)
async def test_async_functions_are_closures_of_the_async_store(async_ns: AsyncNamespace, fn: Any) -> None:
    assert await async_ns.with_cas("a", fn) == 1


@pytest.mark.parametrize("fn", ASYNC + NEITHER, ids=lambda fn: type(fn).__name__)
def test_the_sync_store_refuses_others(ns: Namespace, monkeypatch: pytest.MonkeyPatch, fn: Any) -> None:
    recorder = Recorder(monkeypatch)
    with pytest.raises(TypeError, match="fn must be a"):
        ns.with_cas("a", fn)
    assert recorder.writes == []


@pytest.mark.parametrize("fn", [*PLAIN[:-1], *NEITHER], ids=lambda fn: type(fn).__name__)
async def test_the_async_store_refuses_others(
    async_ns: AsyncNamespace, monkeypatch: pytest.MonkeyPatch, fn: Any
) -> None:
    recorder = Recorder(monkeypatch)
    with pytest.raises(TypeError, match="fn must be an async function"):
        await async_ns.with_cas("a", fn)
    assert recorder.writes == []


async def test_a_lambda_is_told_what_to_give_instead(async_ns: AsyncNamespace) -> None:
    """It cannot be async, whatever it returns."""
    lambdas: list[Any] = [lambda snap, ops: async_fn(snap, ops), lambda snap, ops: plain(snap, ops)]
    for fn in lambdas:
        with pytest.raises(TypeError, match=r"got a lambda, which cannot be async: give .*functools\.partial"):
            await async_ns.with_cas("a", fn)


@pytest.mark.parametrize(
    ("fn", "got"),
    [(plain, "a function that is not async"), (async_generator, "an async generator: it must not yield"), (7, "int")],
)
async def test_other_closures_are_told_what_they_are(async_ns: AsyncNamespace, fn: Any, got: str) -> None:
    with pytest.raises(TypeError, match=f"fn must be an async function, .*, got {got}$"):
        await async_ns.with_cas("a", fn)


def test_an_async_closure_of_the_sync_store_is_told_where_it_belongs(ns: Namespace) -> None:
    fn: Any = async_fn
    with pytest.raises(TypeError, match=r"neither async \(an AsyncSessionStore takes those\)"):
        ns.with_cas("a", fn)


def test_a_coroutine_in_disguise_commits_nothing(ns: Namespace) -> None:
    """Nothing could tell before it was called; it is closed, so that nobody warns of it."""
    with pytest.raises(TypeError, match="returned an awaitable"):
        ns.with_cas("a", lambda snap, ops: async_fn(snap, ops))
    assert ns.slots() == []


def test_another_awaitable_commits_nothing(ns: Namespace) -> None:
    class Awaitable:
        def __await__(self) -> Any: ...

    def fn(snap: Any, ops: Any) -> Any:
        ops.set("a", "1")
        return Awaitable()

    with pytest.raises(TypeError, match="returned an awaitable"):
        ns.with_cas("a", fn)
    assert ns.slots() == []


def test_clients_of_the_other_flavour_are_told_where_they_belong() -> None:
    for client in (redis.asyncio.Redis(), AsyncInMemoryClient()):
        got = rf"an async {type(client).__name__}, which is for AsyncSessionStore$"
        with pytest.raises(TypeError, match=rf"client must be a redis\.Redis .*, got {got}"):
            SessionStore(client, prefix="shop", default_ttl=60)
    for client in (redis.Redis(), InMemoryClient()):
        got = rf"a sync {type(client).__name__}, which is for SessionStore$"
        with pytest.raises(TypeError, match=rf"client must be a redis\.asyncio\.Redis .*, got {got}"):
            AsyncSessionStore(client, prefix="shop", default_ttl=60)


@pytest.mark.parametrize(("client", "got"), [(redis.Redis, "the class Redis"), (None, "None"), ("redis://", "str")])
def test_what_is_no_client_is_named(client: Any, got: str) -> None:
    for store in (SessionStore, AsyncSessionStore):
        with pytest.raises(TypeError, match=f"client must be .*, got {got}$"):
            store(client, prefix="shop", default_ttl=60)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_of_one_connection_keeps_to_it(server: Server, prefix: str, protocol: int) -> None:
    """Single calls travel over that connection, so the pool makes no other."""
    with redis.Redis(port=server.port, single_connection_client=True, protocol=protocol) as client:
        ns = SessionStore(client, prefix=prefix, default_ttl=60).namespace("user-42")
        assert ns.hset("h", "f", "1") == 1
        assert ns.hgetall("h") == {"f": "1"}
        assert client.connection_pool._in_use_connections == {client.connection}
        assert client.connection_pool._available_connections == []
        ns.purge()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_an_async_client_of_one_connection_keeps_to_it(server: Server, prefix: str, protocol: int) -> None:
    """From the first call on, which takes that connection."""
    client = redis.asyncio.Redis(port=server.port, single_connection_client=True, protocol=protocol)
    ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("user-42")
    assert await ns.hset("h", "f", "1") == 1
    assert await ns.hgetall("h") == {"f": "1"}
    assert client.connection_pool._in_use_connections == {client.connection}
    assert client.connection_pool._available_connections == []
    await ns.purge()
    await client.aclose()


def execute_command(client: Any, *args: Any) -> None:
    """A replacement that has the very name of what it replaces."""


def renamed() -> Any:
    """A function that says it is redis-py's, under whose code stands another name."""
    names: dict[str, Any] = {"__name__": "redis.client"}
    exec("def other(client, *args): ...", names)
    names["other"].__name__ = "execute_command"
    return names["other"]


@pytest.mark.parametrize(
    "replacement",
    [
        execute_command,
        renamed(),
        functools.wraps(redis.Redis.execute_command)(lambda client, *args: None),
        functools.partial(redis.Redis.execute_command),
        Mock(wraps=redis.Redis.execute_command),
    ],
    ids=["replaced", "renamed", "wrapped", "partial", "object"],
)
def test_what_was_put_there_before_is_no_function_of_redis_py(replacement: Any) -> None:
    """Also where tracing was switched on before this library was imported."""
    assert unwrapped(replacement) is None
    assert unwrapped(redis.Redis.execute_command) is redis.Redis.execute_command
    assert unwrapped(redis.asyncio.Redis.execute_command) is redis.asyncio.Redis.execute_command


def holding_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Never(list[Any]):
    """Equal to nothing."""

    __hash__ = list.__hash__

    def __eq__(self, other: object) -> bool:
        return False


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ((1, 2), "got tuple"),
        ({"basket": {"items": ["a", {}, [1], ("secret", 2)]}}, "got tuple at value[key 0][key 0][3]"),
        ({"a": 1, "b": [{"secret": {1, 2}}]}, "got set at value[key 1][0][key 0]"),
        ([1.5, float("nan")], "got a float that is not finite at value[1]"),
        ({"a": "secret\ud800"}, "got a str with lone surrogates at value[key 0]"),
        ({"a": {2: "secret"}}, "got a dict with a key that is not a str of UTF-8 at value[key 0]"),
        ({"secret\ud800": 1}, "got a dict with a key that is not a str of UTF-8"),
        ([object()], "got object at value[0]"),
        (holding_itself(), "got what is nested too deeply, or holds itself"),
        (nested(100_000), "got what is nested too deeply, or holds itself"),
        (Never(), "got what is nested too deeply, or holds itself"),
    ],
)
def test_what_is_no_json_is_found_and_not_shown(value: Any, got: str) -> None:
    """Its type, and the way to it: numbers, and no name of a key."""
    with pytest.raises(TypeError) as caught:
        JsonCodec().encode(value)
    assert str(caught.value) == f"value must be a JSON value (that reads back equal), {got}"
    assert caught.value.__context__ is None


def test_codecs_read_well() -> None:
    store = SessionStore(InMemoryClient(), prefix="shop", default_ttl=60)
    assert repr([TextCodec(), BytesCodec(), JsonCodec()]) == "[TextCodec(), BytesCodec(), JsonCodec()]"
    assert repr(store) == "SessionStore(prefix='shop', default_ttl=60)"


async def test_a_clusters_connection_that_cannot_be_made_goes_back_to_its_node() -> None:
    node = Mock()
    node.acquire_connection.return_value.connect = AsyncMock(side_effect=redis.ConnectionError("refused"))
    with pytest.raises(redis.ConnectionError, match="refused"):
        await _flavour._NodePool(node).get_connection()
    node.release.assert_called_once_with(node.acquire_connection.return_value)


def test_bytes_come_back_as_they_are_and_nothing_else_is_taken() -> None:
    ns = SessionStore(InMemoryClient(), prefix="p", default_ttl=60, codec=BytesCodec()).namespace("u")
    ns.set("a", b"\x00\xff\r\n")
    ns.hset("h", mapping={"f": b""})
    assert ns.load() == {"a": b"\x00\xff\r\n", "h": {"f": b""}}
    for value in ("text", bytearray(b"x"), None, 1):
        with pytest.raises(TypeError, match="value must be bytes"):
            ns.set("a", value)  # type: ignore[arg-type]


def test_a_waiter_whose_loop_is_closed_cannot_be_woken() -> None:
    """So the queue goes on to the next one."""

    async def make() -> _flavour.Waiter:
        return _flavour.Waiter()

    assert asyncio.run(make()).wake() is False


async def test_a_waiter_may_be_woken_twice() -> None:
    waiter = _flavour.Waiter()
    assert [waiter.wake(), waiter.wake()] == [True, True]
    await asyncio.wait_for(waiter.wait(60), 10)


async def test_a_connection_that_was_idle_for_long_is_checked_first(
    server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the client is set to do so."""
    async with redis.asyncio.Redis(port=server.port, health_check_interval=60) as client:
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("u")
        await ns.set("a", "1")
        (connection,) = client.connection_pool._available_connections
        connection.next_health_check = -1
        recorder = Recorder(monkeypatch)
        assert await ns.get("a") == "1"
        assert sorted(command for write in recorder.writes for command in write) == ["GET", "PING"]
        await ns.purge()


async def test_a_coroutine_that_is_closed_gives_its_place_in_the_queue_up() -> None:
    """Python closes one that nobody awaits any more; nothing can be awaited then."""
    ns = AsyncSessionStore(AsyncInMemoryClient(), prefix="p", default_ttl=60).namespace("u")
    inside = asyncio.Event()

    async def hang(snap: Any, ops: Any) -> None:
        inside.set()
        await asyncio.Event().wait()

    call: Any = ns.with_cas("n", hang)
    resume = functools.partial(call.send, None)
    while not inside.is_set():
        waited = resume()
        resume = functools.partial(call.send, None)
        if waited is not None and not inside.is_set():
            waited._asyncio_future_blocking = False  # we wait in its place
            try:
                await asyncio.wait([waited], timeout=10)
            except asyncio.CancelledError as error:  # a timeout of redis-py has struck: it belongs to the coroutine
                resume = functools.partial(call.throw, error)
    assert len(ns._settings.queues._queues) == 1
    call.close()
    assert ns._settings.queues._queues == {}
