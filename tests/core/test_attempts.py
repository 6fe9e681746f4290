"""The attempts of a call, step by step, without I/O."""

from __future__ import annotations

import pytest

from session_store import InMemoryClient, SessionStore
from session_store._core.attempts import Attempts, Run, Send, Steps
from session_store._core.scripts import BEGIN, COMMIT
from session_store._sync._flavour import Waiter


def begun() -> Steps:
    """A call that has sent its commit, and holds a lock perhaps."""
    ns = SessionStore(InMemoryClient(), prefix="p", default_ttl=60).namespace("u")
    make = ns._operations
    attempts = Attempts(ns._settings, make, keys=(make.index,), most_attempts=2, make_waiter=Waiter)
    steps = attempts.steps()
    begin = next(steps)
    assert isinstance(begin, Send)
    assert begin.script is BEGIN
    assert isinstance(steps.send([b"began", [b"none", b""]]), Run)
    commit = steps.send([make.set("n", "1", None)])
    assert isinstance(commit, Send)
    assert commit.script is COMMIT
    return steps


@pytest.mark.parametrize("settles", [False, True])
def test_who_is_let_go_of_asks_for_nothing_more(settles: bool) -> None:
    """Python ends a coroutine that nobody awaits any more so, while its commit is on its way or being settled."""
    steps = begun()
    if settles:
        assert isinstance(steps.throw(KeyboardInterrupt()), Send)
    steps.close()  # a generator that goes on is a RuntimeError
