"""Processes that serve one session [9, 14, 20, 35]."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from support.servers import Server
from support.together import at_once

from session_store import JsonCodec, SessionStore
from session_store.web import SessionConflictError, SessionPolicy, Sessions

pytestmark = pytest.mark.long

PROCESSES = 8
WORKER = """
import json, sys
import redis
from session_store import JsonCodec, SessionStore
from session_store.web import SessionPolicy, Sessions

port, prefix, cookie, work = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode(), sys.argv[4]
with redis.Redis(port=port) as client:
    store = SessionStore(client, prefix=prefix, default_ttl=600, codec=JsonCodec())
    sessions = Sessions(store, policy=SessionPolicy(idle=600, lifetime=6_000, max_per_owner=3))
    done = 0
    opened = [sessions.load([cookie]) for _ in range(25)]
    print("ready", flush=True)
    sys.stdin.readline()
    if work == "count":
        for _ in range(100):
            sessions.load([cookie]).transaction(lambda data: data.update(n=data.get("n", 0) + 1))
            done += 1
    elif work == "save":
        for number, session in enumerate(opened):
            session[f"{sys.argv[5]}-{number}"] = 1
            session.finish(200)
            done += 1
    elif work == "rotate":
        try:
            opened[0].login("ann")
            done = 1
        except Exception as error:
            assert type(error).__name__ == "SessionSupersededError", error
    elif work == "new":
        session = sessions.load([])
        session.login("bob")
        session.finish(200)
        done = 1
    print(json.dumps(done), flush=True)
"""


@pytest.fixture
def sessions(server: Server, prefix: str) -> Any:
    with redis.Redis(port=server.port) as client:
        store = SessionStore(client, prefix=prefix, default_ttl=600, codec=JsonCodec())
        yield Sessions(store, policy=SessionPolicy(idle=600, lifetime=6_000, max_per_owner=3))


@pytest.fixture
def cookie(sessions: Sessions) -> str:
    session = sessions.load([])
    session["a"] = 1
    return dict(session.finish(200))["Set-Cookie"].partition(";")[0]


def test_transactions_lose_nothing(server: Server, prefix: str, cookie: str, sessions: Sessions) -> None:
    """[9]"""
    assert at_once(WORKER, server.port, prefix, cookie, "count", processes=PROCESSES) == [100] * PROCESSES
    assert sessions.load([cookie.encode()])["n"] == 100 * PROCESSES


def test_a_logout_among_200_slow_writers(server: Server, prefix: str, cookie: str, sessions: Sessions) -> None:
    """[14] Each had loaded the session before. Nothing of it is there afterwards, and nobody got an error."""
    leaver = sessions.load([cookie.encode()])
    namespace = sessions.store.namespace(leaver.id or "")
    assert (
        at_once(WORKER, server.port, prefix, cookie, "save", processes=PROCESSES, meanwhile=leaver.logout)
        == [25] * PROCESSES
    )
    assert namespace.slots() == []
    assert sessions.load([cookie.encode()]) == {}


def test_one_of_many_logins_with_one_token_wins(server: Server, prefix: str, cookie: str, sessions: Sessions) -> None:
    """[20]"""
    assert sum(at_once(WORKER, server.port, prefix, cookie, "rotate", processes=PROCESSES)) == 1
    assert sessions.count("ann") == 1


def test_an_owner_has_as_many_sessions_as_allowed(server: Server, prefix: str, cookie: str, sessions: Sessions) -> None:
    """[35] After many logins at once: neither more nor fewer."""
    assert at_once(WORKER, server.port, prefix, cookie, "new", processes=PROCESSES) == [1] * PROCESSES
    assert sessions.count("bob") == 3


@pytest.mark.parametrize(("faster", "is_done"), [(20, True), (21, False)])
def test_a_transaction_among_faster_saves(
    server: Server, cookie: str, sessions: Sessions, faster: int, is_done: bool
) -> None:
    """Saves of other keys make attempts lose as well, and wait for nobody: so there are more of these than elsewhere."""
    session = sessions.load([cookie.encode()])
    key = sessions.store.namespace(session.id or "").key("session")
    attempts = []

    def add(data: dict[str, Any]) -> None:
        data["a"] += 1
        attempts.append(data["a"])
        if len(attempts) <= faster:
            other.hset(key, ".other", len(attempts))

    with redis.Redis(port=server.port) as other:
        if is_done:
            session.transaction(add)
        else:
            with pytest.raises(SessionConflictError, match="each attempt") as caught:
                session.transaction(add)
            assert caught.value.keys == ()
    assert len(attempts) == 21
    assert sessions.load([cookie.encode()]) == {"a": 1 + is_done, "other": faster}
