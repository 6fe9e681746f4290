"""What the clients in memory add, and where they behave like a server and fakeredis does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    CasContentionError,
    InMemoryClient,
    Namespace,
    SessionStore,
)


@pytest.fixture
def client() -> Any:
    return InMemoryClient()


@pytest.fixture
def ns(client: InMemoryClient) -> Namespace:
    return SessionStore(client, prefix="shop", default_ttl=60).namespace("u")


def counting(calls: list[int], act: Any = lambda: None) -> Any:
    def fn(snap: Any, ops: Any) -> None:
        calls.append(1)
        act()
        ops.hset("basket", "f", str(len(calls)))

    return fn


def test_a_change_simulated_before_makes_the_first_attempt_lose(client: InMemoryClient, ns: Namespace) -> None:
    """As if another writer had changed the key; value and TTL stay."""
    ns.hset("basket", "f", "0", ttl=30)
    client.simulate_concurrent_change(ns.key("basket"))
    assert ns.hget("basket", "f") == "0"
    assert ns.ttl("basket") <= 30
    calls: list[int] = []
    ns.with_cas("basket", counting(calls))
    assert len(calls) == 2
    ns.with_cas("basket", counting(calls))
    assert len(calls) == 3


def test_a_change_simulated_inside_makes_that_attempt_lose(client: InMemoryClient, ns: Namespace) -> None:
    calls: list[int] = []

    def once() -> None:
        if len(calls) == 1:
            client.simulate_concurrent_change(ns.key("basket"))

    ns.with_cas("basket", counting(calls, once))
    assert len(calls) == 2


def test_two_changes_make_two_attempts_lose(client: InMemoryClient, ns: Namespace) -> None:
    calls: list[int] = []
    client.simulate_concurrent_change(ns.key("basket"))
    client.simulate_concurrent_change(ns.key("basket"))
    with pytest.raises(CasContentionError):
        ns.with_cas("basket", counting(calls), max_retries=1)
    ns.with_cas("basket", counting(calls), max_retries=0)
    assert len(calls) == 3


def test_changes_of_several_watched_keys_are_used_up_together(client: InMemoryClient, ns: Namespace) -> None:
    calls: list[int] = []
    client.simulate_concurrent_change(ns.key("basket"))
    client.simulate_concurrent_change(ns.key("total"))
    ns.with_cas(["basket", "total"], counting(calls))
    assert len(calls) == 2


def test_changes_of_several_slots_are_counted_by_slot(client: InMemoryClient, ns: Namespace) -> None:
    """Each lost attempt uses up one change of each slot that it watches; large slots and slots that are not there, too."""
    calls: list[int] = []
    client.set(ns.key("large"), "x" * 70_000, ex=60)
    for name in ("basket", "basket", "basket", "large", "none"):
        client.simulate_concurrent_change(ns.key(name))
    ns.with_cas(["large", "none", "basket"], counting(calls))
    assert len(calls) == 4
    ns.with_cas(["large", "none", "basket"], counting(calls), max_retries=0)


def test_a_closure_that_only_reads_loses_as_well(client: InMemoryClient, ns: Namespace) -> None:
    calls: list[int] = []
    client.simulate_concurrent_change(ns.key("basket"))
    ns.with_cas("basket", lambda snap, ops: calls.append(1))
    assert len(calls) == 2


def test_a_change_is_used_up_by_a_commit_or_a_transaction(client: InMemoryClient, ns: Namespace) -> None:
    """A user's own WATCH, MULTI, EXEC of the key loses by it, and leaves none for the commit after it."""
    client.simulate_concurrent_change(ns.key("basket"))
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch(ns.key("basket"))
        pipeline.multi()
        pipeline.get("a")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    calls: list[int] = []
    ns.with_cas("basket", counting(calls), max_retries=0)
    assert len(calls) == 1


def test_a_change_of_an_unwatched_key_waits_for_its_commit(client: InMemoryClient, ns: Namespace) -> None:
    """Closures that raise and plain transactions without it do not use it up."""
    calls: list[int] = []
    client.simulate_concurrent_change(ns.key("basket"))
    ns.with_cas("other", counting(calls))
    with pytest.raises(ZeroDivisionError):
        ns.with_cas("basket", counting(calls, lambda: 1 / 0))
    client.pipeline(transaction=True).set("x", "1").execute()
    assert len(calls) == 2
    ns.with_cas("basket", counting(calls))
    assert len(calls) == 4


def test_a_transaction_that_fails_to_queue_uses_no_change_up(client: InMemoryClient) -> None:
    client.simulate_concurrent_change("a")
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch("a")
        pipeline.multi()
        pipeline.execute_command("NO-SUCH-COMMAND")
        with pytest.raises(redis.ResponseError):
            pipeline.execute()
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch("a")
        pipeline.multi()
        pipeline.get("a")
        with pytest.raises(redis.WatchError):
            pipeline.execute()


@pytest.mark.parametrize("key", [b"a", None, 1])
def test_a_key_is_a_str(client: InMemoryClient, key: Any) -> None:
    with pytest.raises(TypeError, match=r"as Namespace\.key returns it"):
        client.simulate_concurrent_change(key)


def test_advance_ages_everything(client: InMemoryClient, ns: Namespace) -> None:
    """TTLs, fences, and keys of others; the server's clock runs along."""
    before = client.time()[0]
    ns.set("a", "1")
    client.set("foreign", "1", px=50_000)
    client.advance(20.5)
    assert ns.ttl("a") == pytest.approx(39.5, abs=2)
    assert client.pttl("foreign") == pytest.approx(29_500, abs=2000)
    client.advance(timedelta(seconds=30))
    assert client.keys("*") == [b"shop:u:a", b"shop:u:~index"] or set(client.keys("*")) == {
        b"shop:u:a",
        b"shop:u:~index",
    }
    client.advance(30)
    assert client.dbsize() == 0
    assert client.time()[0] - before >= 80


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1", True])
def test_time_only_advances(client: InMemoryClient, seconds: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="seconds must be"):
        client.advance(seconds)


def test_a_sibling_shares_the_server_and_nothing_else() -> None:
    client = InMemoryClient(decode_responses=True, protocol=3)
    sibling = client.sibling()
    assert type(sibling) is InMemoryClient
    assert sibling.connection_pool is not client.connection_pool
    client.set("a", "1", ex=60)
    assert sibling.get("a") == "1"
    sibling.advance(61)
    assert client.get("a") is None
    assert InMemoryClient().get("a") is None


async def test_both_flavours_can_share_a_server() -> None:
    client = InMemoryClient()
    other = AsyncInMemoryClient(server=client.server)
    sibling = other.sibling()
    ns = SessionStore(client, prefix="shop", default_ttl=60).namespace("u")
    for each in (other, sibling):
        other_ns = AsyncSessionStore(each, prefix="shop", default_ttl=60).namespace("u")
        ns.set("a", "1")
        assert await other_ns.get("a") == "1"
        assert await other_ns.purge() == 1
        assert ns.get("a") is None
        await each.aclose()


def test_a_script_that_makes_a_global_variable_is_an_error(client: InMemoryClient) -> None:
    """As on a server: the next script would see it."""
    with pytest.raises(redis.ResponseError, match="global"):
        client.eval("leak = 1", 0)


def test_a_script_is_compiled_anew_when_it_is_another(client: InMemoryClient) -> None:
    """And each call has its own keys and arguments."""
    script = "return {KEYS[1], ARGV[1]}"
    assert [client.eval(script, 1, "k", number) for number in (1, 2)] == [[b"k", b"1"], [b"k", b"2"]]
    assert client.eval(script + " -- another", 1, "k", 3) == [b"k", b"3"]


async def test_replicas_are_always_there() -> None:
    """So that a store which asks for some can be tested; a plain client is told as many as it asks for, too."""
    client, async_client = InMemoryClient(decode_responses=True), AsyncInMemoryClient(protocol=3)
    ns = SessionStore(client, prefix="p", default_ttl=60, min_replicas=2).namespace("u")
    async_ns = AsyncSessionStore(async_client, prefix="p", default_ttl=60, min_replicas=1).namespace("u")

    async def closure(snap: Any, ops: Any) -> str:
        ops.set("a", "1")
        return "committed"

    assert ns.with_cas("a", lambda snap, ops: ops.set("a", "1")) is None
    assert [ns.incr("n"), ns.incr("n"), ns.purge(fence=60)] == [1, 2, 2]
    assert await async_ns.with_cas("a", closure) == "committed"
    assert [await async_ns.incr("n"), await async_ns.purge(fence=60)] == [1, 2]
    assert client.wait(7, 100) == 7
    await async_client.aclose()
