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

from session_store import (
    AsyncInMemoryClient,
    AsyncNamespace,
    AsyncSessionStore,
    InMemoryClient,
    JsonCodec,
    Namespace,
    SessionStore,
    TextCodec,
)
from session_store._async import _flavour


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


def test_clients_of_the_other_flavour_are_refused() -> None:
    for client in (redis.asyncio.Redis(), AsyncInMemoryClient()):
        with pytest.raises(TypeError, match=r"client must be a redis\.Redis .*, got "):
            SessionStore(client, prefix="shop", default_ttl=60)
    for client in (redis.Redis(), InMemoryClient()):
        with pytest.raises(TypeError, match=r"client must be a redis\.asyncio\.Redis .*, got "):
            AsyncSessionStore(client, prefix="shop", default_ttl=60)


def test_codecs_read_well() -> None:
    store = SessionStore(InMemoryClient(), prefix="shop", default_ttl=60)
    assert repr([TextCodec(), JsonCodec()]) == "[TextCodec(), JsonCodec()]"
    assert repr(store) == "SessionStore(prefix='shop', default_ttl=60)"


async def test_a_clusters_connection_that_cannot_be_made_goes_back_to_its_node() -> None:
    node = Mock()
    node.acquire_connection.return_value.connect = AsyncMock(side_effect=redis.ConnectionError("refused"))
    with pytest.raises(redis.ConnectionError, match="refused"):
        await _flavour._NodePool(node).get_connection()
    node.release.assert_called_once_with(node.acquire_connection.return_value)


async def test_a_step_that_must_not_stop_half_way_outlasts_every_cancelling() -> None:
    """The task is cancelled all the same, when the step is done."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    done = []

    async def step() -> None:
        begun.set()
        await go_on.wait()
        done.append(True)

    task = asyncio.ensure_future(_flavour.to_the_end(step))
    await begun.wait()
    for _ in range(4):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]
