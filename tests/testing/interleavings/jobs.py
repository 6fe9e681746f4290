"""Jobs that two visitors or workers do at once: as they are often written, and as they hold."""

from __future__ import annotations

import json
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from session_store import AsyncSessionStore, CasPolicy, NamespacePurgedError, SessionStore
from session_store.testing.interleavings.explorer import default_handle

# One JSON blob: read, change, write.


def fill_cart(ns: Any) -> None:
    ns.set("cart", json.dumps({"tea": 1}))


def blob_cart(ns: Any) -> None:
    cart = json.loads(ns.get("cart"))
    cart["tea"] += 1
    ns.set("cart", json.dumps(cart))


def cas_cart(ns: Any) -> None:
    def change(snap: Any, ops: Any) -> None:
        cart = json.loads(snap.get("cart") or "{}")
        cart["tea"] = cart.get("tea", 0) + 1
        ops.set("cart", json.dumps(cart))

    ns.with_cas("cart", change)


# A quantity in a hash.


def fill_basket(ns: Any) -> None:
    ns.hset("basket", "tea", "1")


def read_and_write_quantity(ns: Any) -> None:
    ns.hset("basket", "tea", str(int(ns.hget("basket", "tea") or 0) + 1))


def cas_quantity(ns: Any) -> int:
    def change(snap: Any, ops: Any) -> int:
        quantity = int(snap.hget("basket", "tea") or 0) + 1
        ops.hset("basket", "tea", str(quantity))
        return quantity

    return ns.with_cas("basket", change)


def hincrby_quantity(ns: Any) -> int:
    return ns.hincrby("basket", "tea")


# An id: the highest one and one more, or a counter's next.


def highest_field(ns: Any) -> int:
    number = max((int(name) for name in ns.hkeys("lines")), default=0) + 1
    ns.hset("lines", str(number), "tea")
    return number


def cas_line(ns: Any) -> int:
    def change(snap: Any, ops: Any) -> int:
        number = max((int(name) for name in snap.hkeys("lines")), default=0) + 1
        ops.hset("lines", str(number), "tea")
        return number

    return ns.with_cas("lines", change)


def counter_line(ns: Any) -> int:
    return ns.incr("line")


# Two doctors on call, of whom one must stay: each may leave when the other is there.


def fill_calls(ns: Any) -> None:
    ns.set("ann", "on call")
    ns.set("bob", "on call")


def leave(slot: str, other: str, watched: Any) -> Any:
    def job(ns: Any) -> bool:
        def change(snap: Any, ops: Any) -> bool:
            if not snap.exists(other):
                return False
            ops.delete(slot)
            return True

        return ns.with_cas(watched, change)

    return job


leave_watching_one = {"ann": leave("ann", "bob", "ann"), "bob": leave("bob", "ann", "bob")}
leave_watching_both = {"ann": leave("ann", "bob", ["ann", "bob"]), "bob": leave("bob", "ann", ["ann", "bob"])}


# A logout, and a slow request of the session that it ends.


def log_in(ns: Any) -> None:
    ns.set("user", "ada")


def save_draft(ns: Any) -> str:
    if not ns.exists("user"):
        return "logged out"
    try:
        ns.set("draft", "Dear Sir")
    except NamespacePurgedError:
        return "logged out"
    return "saved"


def cas_draft(ns: Any) -> str:
    def change(snap: Any, ops: Any) -> str:
        if not snap.exists("user"):
            return "logged out"
        ops.set("draft", "Dear Sir")
        return "saved"

    try:
        return ns.with_cas("user", change)
    except NamespacePurgedError:
        return "logged out"


def log_out(ns: Any) -> None:
    ns.purge()


def log_out_for_good(ns: Any) -> None:
    ns.purge(fence=60)


# redis-py's own transaction.


class Client:
    """What a task is given that works without this library."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def add_one(self) -> None:
        def change(pipe: Any) -> None:
            count = int(pipe.get("count") or 0)
            pipe.multi()
            pipe.set("count", count + 1)

        self.client.transaction(change, "count")


# In both flavours: the same job for a coroutine.


async def async_cas_quantity(ns: Any) -> int:
    async def change(snap: Any, ops: Any) -> int:
        quantity = int(await snap.hget("basket", "tea") or 0) + 1
        ops.hset("basket", "tea", str(quantity))
        return quantity

    return await ns.with_cas("basket", change)


async def async_hincrby_quantity(ns: Any) -> int:
    return await ns.hincrby("basket", "tea")


async def async_read_and_write_quantity(ns: Any) -> None:
    quantity = int(await ns.hget("basket", "tea") or 0) + 1
    await ns.hset("basket", "tea", str(quantity))


def counter_in_session(ns: Any) -> str:
    try:
        return str(ns.incr("visits"))
    except NamespacePurgedError:
        return "logged out"


# Slots that are too large to be sent along when an attempt begins: each read of them is a command.


def fill_many(ns: Any) -> None:
    ns.hset("many", mapping={str(number): "1" for number in range(600)})


def equal_many(ns: Any) -> str:
    def change(snap: Any, ops: Any) -> str:
        one, other = snap.hget("many", "0"), snap.hget("many", "1")
        if one != other:
            raise LookupError(f"{one} is not {other}")
        ops.set("seen", str(one))
        return str(one)

    return ns.with_cas("many", change)


def raise_many(ns: Any) -> None:
    ns.with_cas("other", lambda snap, ops: ops.hset("many", mapping={"0": "2", "1": "2"}))


def raise_and_lower_many(ns: Any) -> None:
    ns.hset("many", mapping={"0": "2", "1": "2"})
    ns.hset("many", mapping={"0": "1", "1": "1"})


def raise_whole_many(ns: Any) -> None:
    def change(snap: Any, ops: Any) -> None:
        ops.hset("many", "0", str(int(snap.hget("many", "0")) + 1))

    ns.with_cas("many", change)


# What was changed and changed back, in one commit, so that nobody sees what was between.


def fill_hash(ns: Any) -> None:
    ns.hset("hash", mapping={"a": "bc", "d": "e"})


def rewrite_hash(ns: Any) -> None:
    def change(snap: Any, ops: Any) -> None:
        ops.hdel("hash", "a")
        ops.hset("hash", "a", "bc")

    ns.with_cas("other", change)


def count_hash_at_once(ns: Any) -> int:
    def change(snap: Any, ops: Any) -> int:
        letters = sum(map(len, snap.hkeys("hash")))
        ops.hset("hash", "letters", str(letters))
        return letters

    return ns.with_cas("hash", change, max_retries=0)


# A closure that only reads, and one that writes both of what it reads.


def read_both(ns: Any) -> list[str | None]:
    return ns.with_cas(["ann", "bob"], lambda snap, ops: [snap.get("ann"), snap.get("bob")])


def move_both(ns: Any) -> None:
    def change(snap: Any, ops: Any) -> None:
        ops.set("ann", f"{snap.get('ann')}!")
        ops.set("bob", f"{snap.get('bob')}!")

    ns.with_cas(["bob", "ann"], change)


# Handles.


def with_policy(policy: CasPolicy, client: Any) -> Any:
    """A namespace like the one that tasks are given, of a store with another policy."""
    flavour = AsyncSessionStore if isinstance(client, redis.asyncio.Redis) else SessionStore
    return flavour(client, prefix="explore", default_ttl=3600, cas_policy=policy).namespace("session")


def sent_once(client: Any) -> Any:
    """A namespace on a client that sends nothing again: what has no answer is the library's to settle."""
    kind = AsyncRetry if isinstance(client, redis.asyncio.Redis) else Retry
    client.connection_pool.connection_kwargs["retry"] = kind(NoBackoff(), 0)
    return default_handle(client)
