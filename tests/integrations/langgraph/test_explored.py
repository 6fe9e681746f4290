"""Every order of the commands of a run, a branch and whoever deletes, with faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.base", reason="LangGraph is not installed here: make integrations")

from integrations.langgraph.graphs import checkpoint, thread

from session_store import BytesCodec, CasPolicy, NamespacePurgedError, SessionStore
from session_store.integrations.langgraph import Checkpointer
from session_store.testing import explore

AT_ONCE = CasPolicy(max_retries=10, backoff_base=0, backoff_cap=0)
VALUES = {"1": {"a": 1, "b": 1}, "2": {"a": 2, "b": 2}, "next": {"a": 3, "b": 2}, "branch": {"a": 4, "b": 1}}


def saver(client: Any) -> Checkpointer:
    return Checkpointer(SessionStore(client, prefix="shop", default_ttl=60, codec=BytesCodec(), cas_policy=AT_ONCE))


def put(name: str, parent: str | None, new: str) -> Callable[[Checkpointer], str]:
    """A task that puts a checkpoint; its values are the versions of its channels."""

    def task(ours: Checkpointer) -> str:
        values = VALUES[name]
        try:
            ours.put(thread("t", parent), {**checkpoint(values, **values), "id": name}, {}, {new: values[new]})
        except NamespacePurgedError:
            return "refused"
        return "stored"

    return task


def begin(ours: Checkpointer) -> None:
    put("1", None, "a")(ours)
    put("2", "1", "a")(ours)


def is_whole(ours: Checkpointer, results: dict[str, Any]) -> None:
    """What there is has all of its values, and of a thread that was deleted there is nothing, whoever was faster."""
    found = {each.checkpoint["id"]: each.checkpoint["channel_values"] for each in ours.list(thread("t"))}
    assert found == {name: VALUES[name] for name in found}
    tip = ours.get_tuple(thread("t"))
    assert (tip is None) == (not found)
    assert bool(found) == (results["janitor"] == "pruned")


def janitor(way: str) -> Callable[[Checkpointer], str]:
    def task(ours: Checkpointer) -> str:
        if way == "pruned":
            ours.prune(["t"])
        else:
            ours.delete_thread("t")
        return way

    return task


@pytest.mark.parametrize("way", ["pruned", "deleted"])
@pytest.mark.parametrize(("name", "parent"), [("next", "2"), ("branch", "1")])
def test_puts_and_deletions_at_once(way: str, name: str, parent: str) -> None:
    result = explore(
        {"writer": put(name, parent, "a"), "janitor": janitor(way)},
        setup=begin,
        handle=saver,
        check=is_whole,
        faults={"lost_reply"},
        time_limit=20,
    )
    assert result.schedules > 10


def test_two_runs_and_a_reader() -> None:
    """The reader never finds a checkpoint that is not whole, and of two that follow, both are kept."""

    def look(ours: Checkpointer) -> bool:
        found = ours.get_tuple(thread("t"))
        assert found is not None
        return found.checkpoint["channel_values"] == VALUES[found.checkpoint["id"]]

    def check(ours: Checkpointer, results: dict[str, Any]) -> None:
        assert results == {"run": "stored", "branch": "stored", "reader": True}
        assert {each.checkpoint["id"] for each in ours.list(thread("t"))} == VALUES.keys()
        tip = ours.get_tuple(thread("t"))
        assert tip is not None and tip.checkpoint["id"] == "next"

    tasks: Any = {"run": put("next", "2", "a"), "branch": put("branch", "1", "a"), "reader": look}
    explore(tasks, setup=begin, handle=saver, check=check, time_limit=20)
