"""Calls that are refused before anything is sent, in whatever state a namespace is, and the error of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from session_store.errors import InvalidNameError
from session_store.testing.calls import Call


def refused() -> Iterator[tuple[type[Exception], Call]]:
    """Names, durations, values, numbers, and combinations of arguments."""
    with_slot: dict[str, Any] = {"hget": "f", "hmget": ["f"], "hdel": "f", "hexists": "f", "hincrby": "f", "set": "x"}
    with_slot |= dict.fromkeys(("get", "delete", "exists", "ttl", "hgetall", "hkeys", "hlen", "incr"))
    for slot in ("", "~index", "a b", "{a}", "a\n", "\ud800", "é" * 257, None):
        yield from (
            (InvalidNameError, Call(method, (slot, arg) if arg else (slot,))) for method, arg in with_slot.items()
        )
        yield InvalidNameError, Call("hset", (slot, "f", "x"))
        yield InvalidNameError, Call("with_cas", (slot, nothing))
    for name in ("\ud800", 5):
        for method in ("hget", "hdel", "hexists", "hincrby"):
            yield InvalidNameError, Call(method, ("a", name))
        yield InvalidNameError, Call("hset", ("a", name, "x"))
    for ttl in (0, -60, math.nan, math.inf, timedelta(0)):
        yield from ((ValueError, call) for call in with_ttl(ttl))
    for kind in ("60", True):
        yield from ((TypeError, call) for call in with_ttl(kind))
    for value in (None, 5, b"x", "\ud800"):
        yield TypeError, Call("set", ("a", value))
        yield TypeError, Call("hset", ("a",), {"mapping": {"f": "x", "g": value}})
    for amount, error in ((2**63, ValueError), (1.0, TypeError), (True, TypeError)):
        yield error, Call("incr", ("a", amount))
        yield error, Call("hincrby", ("a", "f", amount))
    yield ValueError, Call("incr", ("a", 0))
    yield ValueError, Call("set", ("a", "x"), {"nx": True, "xx": True})
    yield ValueError, Call("hset", ("a",), {"mapping": {}})
    yield ValueError, Call("hdel", ("a",))
    yield TypeError, Call("hset", ("a", "f", "x"), {"mapping": {"f": "x"}})
    yield TypeError, Call("hmget", ("a", "f"))
    yield InvalidNameError, Call("with_cas", ([], nothing))
    yield ValueError, Call("with_cas", ("a", nothing), {"max_retries": -1})
    yield TypeError, Call("with_cas", ("a", coroutine))


def with_ttl(ttl: Any) -> list[Call]:
    """Every call that takes a duration."""
    given = {"ttl": ttl}
    return [
        *(Call("set", ("a", "x"), given), Call("hset", ("a", "f", "x"), given)),
        *(Call("touch", (), given), Call("purge", (), {"fence": ttl})),
    ]


def nothing(snap: Any, ops: Any) -> None:
    """A closure."""


async def coroutine(snap: Any, ops: Any) -> None:
    """A closure of the other flavour."""


REFUSED = list(refused())
