"""Requests of one session in every order of their commands, with lost replies [6, 55]."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from session_store import JsonCodec, SessionStore
from session_store.testing import explore
from session_store.web import SessionEndedError, SessionPolicy, Sessions, SessionSupersededError, WebSession
from session_store.web._core.tokens import WebToken
from session_store.web._sync import session as requests
from session_store.web._sync import stored

pytestmark = pytest.mark.long

FAULTS = {"lost_reply", "cut_before"}
NEW, LOGGED_IN, ROTATED = (f"{'A' * 22}.{letter * 43}" for letter in "NLR")
rotated_to = [LOGGED_IN]  # what the next rotation gives


def site(client: Any) -> Sessions:
    store = SessionStore(client, prefix="p", default_ttl=600, codec=JsonCodec())
    return Sessions(store, policy=SessionPolicy(idle=600, lifetime=6_000))


@pytest.fixture(autouse=True)
def known_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that are the same in each run: of a session that begins, and of one that is rotated."""
    monkeypatch.setattr(stored, "new_token", lambda: WebToken(NEW))
    monkeypatch.setattr(requests, "new_token", lambda session_id: WebToken(rotated_to[0]))


def visit(sessions: Sessions) -> None:
    """Somebody is logged in, and has a basket."""
    rotated_to[0] = LOGGED_IN
    session = sessions.load([])
    session.update(basket=1, draft=1)
    session.login("ann")
    session.finish(200)
    rotated_to[0] = ROTATED


def request(handler: Callable[[WebSession], object]) -> Callable[[Sessions], str]:
    """One that a browser sends with the cookie that it has had since its login; what becomes of it."""

    def run(sessions: Sessions) -> str:
        session = sessions.load([f"__Host-session={LOGGED_IN}".encode()])
        if session.owner is None:
            return "is logged out"
        try:
            handler(session)
            session.finish(200)
        except (SessionEndedError, SessionSupersededError):
            return "is refused"
        return "is done"

    return run


def count(session: WebSession) -> None:
    session.transaction(lambda data: data.update(n=data.get("n", 0) + 1))


TASKS: dict[str, Callable[[Sessions], object]] = {
    "save": request(lambda session: session.update(basket=2)),
    "other key": request(lambda session: session.update(draft=2)),
    "count": request(count),
    "rotate": request(lambda session: session.rotate(grace=0)),
    "logout": request(lambda session: session.logout()),
    "end all": lambda sessions: sessions.end_all("ann"),
}


def content(sessions: Sessions) -> dict[str, Any] | None:
    """What is there in the end, whoever may have the token; None where there is no session."""
    found = sessions._site.records.load("A" * 22).fields
    if "~secret" not in found:
        return None
    return {name: data for name, data in found.items() if name.startswith(".")}


@pytest.mark.parametrize("names", list(combinations(TASKS, 2)), ids=" and ".join)
def test_two_requests_that_meet(names: tuple[str, ...]) -> None:
    """Who was told that something is done has it done; who has ended a session has it ended; nothing comes back."""

    def check(sessions: Sessions, results: dict[str, Any]) -> None:
        found = content(sessions)
        if results.get("logout") == "is done" or "end all" in results:
            assert found is None
            assert sessions.store.namespace("A" * 22).slots() == []
            assert sessions.of("ann") == []
            return
        assert found is not None
        done = {name for name, result in results.items() if result == "is done"}
        assert (found[".basket"], found[".draft"]) == (
            b"2" if "save" in done else b"1",
            b"2" if "other key" in done else b"1",
        )
        assert found.get(".n") == (b"1" if "count" in done else None)
        assert done == set(names) or "rotate" in names

    tasks = {name: TASKS[name] for name in names}
    assert explore(tasks, setup=visit, check=check, handle=site, faults=FAULTS, time_limit=500).complete


def test_a_login_and_a_logout_everywhere() -> None:
    """The login comes after it, or fails; no session is left that its owner does not see."""

    def begin(sessions: Sessions) -> None:
        session = sessions.load([])
        session["basket"] = 1
        session.finish(200)

    def login(sessions: Sessions) -> str:
        session = sessions.load([f"__Host-session={NEW}".encode()])
        try:
            session.login("ann")
        except SessionEndedError:
            return "is refused"
        return "is done"

    def check(sessions: Sessions, results: dict[str, Any]) -> None:
        owner = "~owner" in sessions._site.records.load("A" * 22).fields
        assert [info.id for info in sessions.of("ann")] == (["A" * 22] if owner else [])
        assert not owner or results["login"] == "is done"

    tasks = {"login": login, "end all": TASKS["end all"]}
    assert explore(tasks, setup=begin, check=check, handle=site, faults=FAULTS, time_limit=500).complete


def test_of_two_logins_one_wins() -> None:
    def check(sessions: Sessions, results: dict[str, Any]) -> None:
        assert sorted(results.values()) in (["is done", "is refused"], ["is done", "is logged out"])

    login = request(lambda session: session.login("ann"))
    assert explore({"one": login, "two": login}, setup=visit, check=check, handle=site, faults=FAULTS).complete


def test_two_who_count_lose_nothing() -> None:
    def check(sessions: Sessions, results: dict[str, Any]) -> None:
        assert (content(sessions) or {})[".n"] == b"2"

    tasks = dict.fromkeys(("one", "two"), TASKS["count"])
    assert explore(tasks, setup=visit, check=check, handle=site, faults=FAULTS, time_limit=500).complete
