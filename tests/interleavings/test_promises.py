"""At every step of every schedule, not only at its end: every key has a TTL, and the index names what lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from interleavings import jobs
from support.backends import Found, misplaced

from session_store.testing.interleavings.explorer import default_handle
from session_store.testing.interleavings.moves import FAULTS, Option
from session_store.testing.interleavings.search import DepthFirst
from session_store.testing.interleavings.stage import Play, Stage


def found(stage: Stage) -> Found:
    """All keys, with what they have left and what an index says."""
    db = stage.server.dbs[0]
    keys: Found = {}
    for key in list(db):
        at = db[key].expireat
        left = -1 if at is None else round((at - db.time) * 1000)
        keys[key] = (left, dict(db[key].value) if key.endswith(b":~index") else None)
    return keys


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
def test_the_promises_hold_at_every_step(write: str) -> None:
    """Also with a fault: a process that is killed there leaves it so."""
    tasks = {"writer": WRITES[write], "other": jobs.counter_line}
    stage = Stage(Play(tasks, default_handle, fill, 20, 100))
    steps = 0

    def watched(choose: Callable[[Sequence[Option]], Option | None]) -> Any:
        def look_and_choose(options: Sequence[Option]) -> Option | None:
            nonlocal steps
            steps += 1
            # A slot that expires or is purged leaves the index behind, which is all right: it is named, and is gone.
            assert list(misplaced(found(stage))) == []
            return choose(options)

        return look_and_choose

    try:
        search = DepthFirst()
        while True:
            stage.run(watched(search.choose), FAULTS, 1)
            if not search.advance():
                break
    finally:
        stage.close()
    assert steps > 30
