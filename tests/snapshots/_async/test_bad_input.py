"""What is refused before anything is sent. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from session_store import InvalidNameError
from session_store.snapshots import AsyncSnapshots

NO_COUNTS = (("1", TypeError), (True, TypeError), (1.0, TypeError), (-1, ValueError), (2**53, ValueError))
NO_OWNERS = ((1, TypeError), (b"x", TypeError), ("\ud800", ValueError))
NO_TTLS = ((0, ValueError), (-1, ValueError), (math.nan, ValueError), ("1", TypeError))
NO_IDS = (("", InvalidNameError), ("~x", InvalidNameError), (1, InvalidNameError))
Call = Callable[[Any, Any], Awaitable[Any]]
CALLS: dict[str, tuple[Call, Any]] = {
    "save tick": (lambda every, bad: every.save("a", "x", tick=bad), NO_COUNTS),
    "save expected": (lambda every, bad: every.save("a", "x", expected=bad), NO_COUNTS),
    "save owner": (lambda every, bad: every.save("a", "x", owner=bad), NO_OWNERS),
    "save ttl": (lambda every, bad: every.save("a", "x", ttl=bad), NO_TTLS),
    "save id": (lambda every, bad: every.save(bad, "x"), NO_IDS),
    "load id": (lambda every, bad: every.load(bad), NO_IDS),
    "delete id": (lambda every, bad: every.delete(bad), NO_IDS),
    "delete fence": (lambda every, bad: every.delete("a", fence=bad), NO_TTLS),
    "exists id": (lambda every, bad: every.exists(bad), NO_IDS),
    "restore id": (lambda every, bad: every.restore(bad, print), NO_IDS),
    "list owner": (lambda every, bad: every.list(owner=bad), NO_OWNERS),
    "list limit": (lambda every, bad: every.list(owner="ann", limit=bad), (*NO_COUNTS[:4], (0, ValueError))),
    "list cursor": (lambda every, bad: every.list(owner="ann", cursor=bad), (("x", ValueError), ("", ValueError))),
    "prune keep": (lambda every, bad: every.prune(owner="ann", keep=bad), NO_COUNTS),
    "prune older_than": (lambda every, bad: every.prune(owner="ann", older_than=bad), NO_TTLS),
    "prune nothing": (lambda every, bad: every.prune(owner="ann", keep=bad), ((None, ValueError),)),
}
# What JSON does not carry; its codec says where in the value it is.
NOT_JSON = ({"a": [1, math.nan]}, {"at": datetime(2026, 1, 1)}, {"b": b"x"}, {"s": "\ud800"}, {1: 2})


@pytest.mark.parametrize("backend", ["redis-text"])
@pytest.mark.parametrize(
    ("call", "bad", "error"),
    [(call, bad, error) for call, bads in CALLS.values() for bad, error in bads],
    ids=[f"{name} {bad!r}" for name, (_, bads) in CALLS.items() for bad, _ in bads],
)
async def test_what_is_none(make: Any, recorder: Any, call: Call, bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await call(make(), bad)
    assert recorder.writes == []


@pytest.mark.parametrize("backend", ["memory-json"])
@pytest.mark.parametrize("value", NOT_JSON, ids=repr)
async def test_what_the_codec_does_not_take(snapshots: Any, value: Any) -> None:
    """[S19] And what is there stays."""
    await snapshots.save("a", "x")
    with pytest.raises(TypeError):
        await snapshots.save("a", value, tick=9)
    loaded = await snapshots.load("a")
    assert (loaded.value, loaded.tick) == ("x", None)


@pytest.mark.parametrize("backend", ["memory-json"])
async def test_a_cursor_of_another_list(snapshots: Any) -> None:
    for name in ("a", "b"):
        await snapshots.save(name, "x", owner="ann")
    cursor = (await snapshots.list(owner="ann", limit=1)).cursor
    with pytest.raises(ValueError, match="cursor"):
        await snapshots.list(owner="bob", cursor=cursor)


@pytest.mark.parametrize("backend", ["memory-json"])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(({"ttl": bad}, error) for bad, error in NO_TTLS),
        *(({"version": bad}, error) for bad, error in NO_COUNTS),
        *(({"max_bytes": bad}, error) for bad, error in (*NO_COUNTS, (0, ValueError))),
        ({"migrate": "x"}, TypeError),
    ],
    ids=str,
)
async def test_settings(make: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make(**options)


async def test_what_is_no_store() -> None:
    with pytest.raises(TypeError, match="store must be"):
        AsyncSnapshots(object())  # type: ignore[arg-type]
