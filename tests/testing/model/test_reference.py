"""The model itself, where the machine meets it by chance only."""

from __future__ import annotations

from typing import Any

from session_store.testing.model._calls import LONG
from session_store.testing.model._reference import Model


def test_an_attempt_that_saw_slots_of_two_moments_is_lost() -> None:
    """A large slot is read when it is asked for; if it has changed by then, what the closure does counts for nothing."""
    model = Model({"u": "p:u:"}, 60, one_client=False)
    mine, other = model.handle(0, "u"), model.handle(1, "u")
    mine.set("a", LONG)
    seen = []

    def closure(snap: Any, ops: Any) -> str:
        is_first = not seen
        if is_first:
            other.set("a", "x" + LONG)
        seen.append(snap.get("a"))
        if is_first:
            other.set("a", LONG)  # by the commit it holds again what it held
        ops.set("b", "1")
        return "done"

    assert mine.with_cas("a", closure, max_retries=1) == "done"
    assert seen == ["x" + LONG, LONG]
