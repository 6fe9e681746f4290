"""At every step of every schedule, not only at its end: every key has a TTL, and the index names what lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testing.interleavings import jobs
from testing.interleavings.looking import Onlooker

from session_store.testing import explore
from session_store.testing.interleavings.moves import FAULTS

WRITES: dict[str, Callable[[Any], Any]] = {
    "set": lambda ns: ns.set("a", "1"),
    "hset": lambda ns: ns.hset("h", "f", "1"),
    "hdel": lambda ns: ns.hdel("h", "g"),
    "hincrby": lambda ns: ns.hincrby("h", "n"),
    "incr": lambda ns: ns.incr("n"),
    "delete": lambda ns: ns.delete("a"),
    "touch": lambda ns: ns.touch(ttl=100),
    "with_cas": jobs.cas_quantity,
}


def fill(ns: Any) -> None:
    ns.set("a", "0")
    ns.hset("h", mapping={"f": "0", "g": "0"})


@pytest.mark.parametrize("write", WRITES)
def test_the_promises_hold_at_every_step(write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a fault."""
    onlooker = Onlooker(monkeypatch)
    tasks = {"writer": WRITES[write], "other": jobs.counter_line}
    assert explore(tasks, setup=fill, check=lambda ns, results: None, faults=FAULTS).complete
    assert onlooker.points > 30
