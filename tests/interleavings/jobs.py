"""Jobs that two visitors or workers do at once: as they are often written, and as they hold."""

from __future__ import annotations

import json
from typing import Any

import redis

from session_store import NamespacePurgedError

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
