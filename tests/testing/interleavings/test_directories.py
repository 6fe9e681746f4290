"""A directory in every order of calls: it names who lives, and forgets nobody who is about to be written."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import SessionStore
from session_store.testing import explore

LOST = {"lost_reply", "cut_before"}


def handle(client: Any) -> SessionStore[str]:
    return SessionStore(client, prefix="p", default_ttl=600)


def begin(store: SessionStore[str]) -> None:
    """A session begins, or comes back: named first, written then."""
    store.directory("user").add("ann", "s")
    store.namespace("s").set("step", "1")


def look(store: SessionStore[str]) -> list[str]:
    return [entry.name for entry in store.directory("user").list("ann", slot="step")]


def end(store: SessionStore[str]) -> None:
    store.namespace("s").purge()
    store.directory("user").remove("ann", "s")


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 700])
def test_a_session_that_comes_back_is_found(seconds: float) -> None:
    """Whoever lists meanwhile, and however long ago it had been named; it had ended since."""

    def setup(store: SessionStore[str]) -> None:
        begin(store)
        store.namespace("s").purge()
        store._commands.client.advance(seconds)

    def check(store: SessionStore[str], results: dict[str, Any]) -> None:
        assert results["looks"] in ([], ["s"])
        assert look(store) == ["s"]

    tasks = {"begins": begin, "looks": look}
    assert explore(tasks, setup=setup, check=check, handle=handle, faults=LOST).complete


def test_who_logs_out_is_not_found_again() -> None:
    def check(store: SessionStore[str], results: dict[str, Any]) -> None:
        assert look(store) == []

    assert explore({"ends": end, "looks": look}, setup=begin, check=check, handle=handle, faults=LOST).complete


def test_two_who_begin_are_both_found() -> None:
    def other(store: SessionStore[str]) -> None:
        store.directory("user").add("ann", "t")
        store.namespace("t").set("step", "1")

    def check(store: SessionStore[str], results: dict[str, Any]) -> None:
        assert sorted(look(store)) == ["s", "t"]

    tasks = {"one": begin, "other": other, "looks": look}
    assert explore(tasks, check=check, handle=handle).complete
