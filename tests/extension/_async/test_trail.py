"""A stranger's layer keeps the promises of the primitive, by once.lua and `AsyncExtension` alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from extension._async.trail import AsyncTrail
from support.proxy import PATIENCE, proxied
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncNamespace,
    AsyncSessionStore,
    JsonCodec,
    NamespacePurgedError,
    WrongTypeError,
)
from session_store.testing import explore


@pytest.fixture(params=["memory", "redis"])
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    client = AsyncInMemoryClient() if request.param == "memory" else redis.asyncio.Redis(port=server.port)
    yield client
    await client.aclose()


@pytest.fixture
def store(client: Any, prefix: str) -> AsyncSessionStore[str]:
    return AsyncSessionStore(client, prefix=prefix, default_ttl=60)


async def test_the_latest_come_first_and_the_oldest_go(store: AsyncSessionStore[str]) -> None:
    trail = AsyncTrail(store.namespace("u"), "seen", most=3)
    assert [await trail.push(page) for page in "abcd"] == [1, 2, 3, 3]
    assert await trail.pages() == ["d", "c", "b"]


async def test_it_is_a_slot_of_its_namespace(store: AsyncSessionStore[str], client: Any) -> None:
    """Every key expires; a touch renews it, a purge deletes it, a fence keeps it away, and `load` passes over it."""
    ns = store.namespace("u")
    trail = AsyncTrail(ns, "seen")
    await ns.set("name", "Ann")
    await trail.push("a")
    assert await ns.slots() == ["name", "seen"]
    assert await ns.load() == {"name": "Ann"}
    assert await ns.touch(ttl=600) == 2
    for key in (ns.key("seen"), ns.key("name"), ns.key("name").replace("name", "~index")):
        assert 500_000 < await client.pttl(key) <= 601_000
    assert await ns.purge(fence=60) == 2
    with pytest.raises(NamespacePurgedError):
        await trail.push("b")
    assert await trail.pages() == []


async def test_it_ends_with_its_namespace(store: AsyncSessionStore[str]) -> None:
    """Whatever TTL it asks for; a handle that wants a namespace which was created has the layer's writes refused, too."""
    ns = store.namespace("u", existing=True)
    with pytest.raises(NamespacePurgedError):
        await AsyncTrail(ns, "seen").push("a")
    assert await ns.create(lifetime=9)
    assert await AsyncTrail(ns, "seen").push("a") == 1
    assert (await ns.ttl("seen") or 60) <= 9


async def test_a_slot_of_another_type_is_refused(store: AsyncSessionStore[str]) -> None:
    ns = store.namespace("u")
    await ns.hset("seen", "f", "1")
    with pytest.raises(WrongTypeError, match="push"):
        await AsyncTrail(ns, "seen").push("a")
    assert await ns.hgetall("seen") == {"f": "1"}


async def test_values_go_through_the_codec(client: Any, prefix: str) -> None:
    ns: AsyncNamespace[Any] = AsyncSessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()).namespace("u")
    await AsyncTrail(ns, "seen").push({"page": 1})  # type: ignore[arg-type]  # a trail of other values
    assert await AsyncTrail(ns, "seen").pages() == [{"page": 1}]


async def test_a_push_whose_reply_is_lost_happens_once(server: Server, prefix: str) -> None:
    with proxied(server.port) as proxy:
        client = redis.asyncio.Redis(port=proxy.port, socket_timeout=PATIENCE)
        trail = AsyncTrail(AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("u"), "seen")
        await trail.push("a")
        proxy.lose_reply("PUSH")
        assert await trail.push("b") == 2
        assert await trail.pages() == ["b", "a"]
        await client.aclose()


async def push_both(ns: AsyncNamespace[str]) -> list[int]:
    return [await AsyncTrail(ns, "seen").push(page) for page in ("a", "b")]


def refuse(ns: Any, results: dict[str, Any]) -> None:
    raise AssertionError


async def look(ns: AsyncNamespace[str]) -> list[str]:
    return await AsyncTrail(ns, "seen").pages()


def test_no_push_is_lost_or_doubled_in_any_order_with_any_fault() -> None:
    def check(ns: Any, results: dict[str, list[int]]) -> None:
        assert sorted(results["one"] + results["two"]) == [1, 2, 3, 4]

    assert explore({"one": push_both, "two": push_both}, check=check, faults={"lost_reply", "cut_before"}).complete


def test_a_schedule_names_what_the_layer_does() -> None:
    """Without a word of the explorer's own about it: the script's name, and the slot."""

    def check(ns: Any, results: dict[str, list[int]]) -> None:
        assert results["one"] == [1, 2]

    with pytest.raises(Exception, match=r"push seen") as caught:
        explore({"one": push_both, "two": push_both}, check=check)
    assert "EVALSHA" not in str(caught.value)
    with pytest.raises(Exception, match=r"items seen -> \['b', 'a'\]") as caught:
        explore({"one": push_both, "two": look}, check=refuse, show_values=True)
    assert "EVALSHA" not in str(caught.value)
