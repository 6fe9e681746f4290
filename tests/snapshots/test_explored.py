"""Calls to one snapshot in every order of their commands, with lost replies [S6, S8, S13, S30, S33, S34]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from session_store import NamespacePurgedError, SessionStore
from session_store.snapshots import RevisionConflictError, Snapshots, StaleSnapshotError
from session_store.testing import explore

pytestmark = pytest.mark.long

FAULTS = {"lost_reply", "cut_before"}


def snapshots(client: Any) -> Snapshots[str]:
    return Snapshots(SessionStore(client, prefix="p", default_ttl=600))


def call(work: Callable[[Snapshots[str]], object]) -> Callable[[Snapshots[str]], str]:
    """What becomes of a call."""

    def run(snapshots: Snapshots[str]) -> str:
        try:
            work(snapshots)
        except (NamespacePurgedError, RevisionConflictError, StaleSnapshotError) as error:
            return type(error).__name__
        return "done"

    return run


def value(snapshots: Snapshots[str]) -> str | None:
    loaded = snapshots.load("a")
    return None if loaded is None else loaded.value


def begin(snapshots: Snapshots[str]) -> None:
    snapshots.save("a", "first", tick=1, owner="ann")


def explored(tasks: dict[str, Any], check: Any, setup: Any = begin) -> None:
    def check_all(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        check(snapshots, results)
        store = snapshots.store
        assert all(store.namespace("a").ttl(slot) for slot in store.namespace("a").slots())
        assert [info.id for info in snapshots.list(owner="ann")] == ["a"] * (value(snapshots) is not None)

    assert explore(tasks, setup=setup, check=check_all, handle=snapshots, faults=FAULTS).complete


def test_two_turns() -> None:
    """The later one stays, whichever comes first, and each is done once."""
    tasks = {
        f"turn {tick}": call(lambda snapshots, tick=tick: snapshots.save("a", f"turn {tick}", tick=tick))  # type: ignore[misc]
        for tick in (2, 3)
    }

    def check(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        loaded = snapshots.load("a")
        assert loaded is not None
        assert (loaded.value, loaded.tick, results["turn 3"]) == ("turn 3", 3, "done")
        assert results["turn 2"] in ("done", "StaleSnapshotError")

    explored(tasks, check)


def test_two_that_have_seen_the_same() -> None:
    def merge(name: str) -> Callable[[Snapshots[str]], object]:
        def work(snapshots: Snapshots[str]) -> None:
            seen = snapshots.load("a")
            assert seen is not None
            snapshots.save("a", f"{seen.value}, {name}", expected=seen.revision)

        return work

    def check(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        done = [name for name, result in results.items() if result == "done"]
        assert value(snapshots) in {", ".join(["first", *order]) for order in (done, done[::-1])}

    explored({name: call(merge(name)) for name in ("one", "two")}, check)


def test_two_that_begin() -> None:
    def check(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        assert sorted(results.values()) == ["RevisionConflictError", "done"]
        assert results[value(snapshots) or ""] == "done"

    tasks = {
        name: call(lambda snapshots, name=name: snapshots.save("a", name, expected=0, owner="ann"))  # type: ignore[misc]
        for name in ("one", "two")
    }
    explored(tasks, check, setup=None)


def test_a_save_beside_the_end() -> None:
    """Comes before, or is refused: it does not bring back what was deleted."""

    def check(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        assert value(snapshots) is None
        assert results["delete"] == "done"

    tasks = {
        "save": call(lambda snapshots: snapshots.save("a", "late", tick=2, owner="ann")),
        "delete": call(lambda snapshots: snapshots.delete("a")),
    }
    explored(tasks, check)


def test_a_save_that_knows_of_one_end_beside_another() -> None:
    """Takes away the fence that it has seen; were it sent again, another one would refuse it."""

    def setup(snapshots: Snapshots[str]) -> None:
        begin(snapshots)
        snapshots.delete("a")

    def check(snapshots: Snapshots[str], results: dict[str, Any]) -> None:
        assert results == {"save": "done", "delete": "done"}
        assert value(snapshots) in (None, "anew")

    tasks = {
        "save": call(lambda snapshots: snapshots.save("a", "anew", owner="ann", after_delete=True)),
        "delete": call(lambda snapshots: snapshots.delete("a", fence=90)),
    }
    explored(tasks, check, setup=setup)
