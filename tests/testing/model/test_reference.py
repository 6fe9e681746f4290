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


def test_what_another_program_writes_is_not_what_the_index_remembers() -> None:
    """Where the slot had ended, and something else keeps the index: then it is nobody's that `touch` would renew."""
    model = Model({"u": "p:u:"}, 60, one_client=False)
    ns, outsider = model.handle(0, "u"), model.handle(2, "u")
    ns.set("a", "1", ttl=100)
    ns.set("b", "1", ttl=900)
    model.advance(240)
    outsider.write("a", "string", "2", 940)
    assert (ns.get("a"), ns.slots(), ns.touch()) == ("2", ["b"], 1)
