"""What travels is what the page says [56]: commands and round trips, counted where they leave the process."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import redis
from docs.pages import DOCS
from support.recorder import Recorder
from support.servers import Server

from session_store import JsonCodec, SessionStore
from session_store.web import SessionPolicy, Sessions, WebSession


class Visitor:
    """A browser, and what its requests do."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.cookie = b""

    def request(self, handler: Callable[[WebSession], object] = WebSession.items) -> None:
        session = self.sessions.load([self.cookie])
        handler(session)
        headers = dict(session.finish(200))
        self.cookie = headers.get("Set-Cookie", self.cookie.decode()).partition(";")[0].encode()

    def begin(self) -> None:
        self.request(lambda session: session.update(a=1))


def look(visitor: Visitor) -> None:
    visitor.request()


def write(visitor: Visitor) -> None:
    visitor.request(lambda session: session.update(a=session.get("a", 0) + 1))


def count(visitor: Visitor) -> None:
    visitor.request(lambda session: session.transaction(lambda data: data.update(n=1)))


def log_in(visitor: Visitor) -> None:
    visitor.request(lambda session: session.login("ann"))


def log_out(visitor: Visitor) -> None:
    visitor.request(lambda session: session.logout())


def come_late(visitor: Visitor) -> None:
    """The next request is one that renews the session."""
    session_id = visitor.cookie.partition(b"=")[2].partition(b".")[0].decode()
    with redis.Redis(port=visitor.sessions.store._commands.client.connection_pool.connection_kwargs["port"]) as raw:
        raw.hincrby(visitor.sessions.store.namespace(session_id).key("session"), "~renewed", -3_700_000)


ROWS: dict[str, tuple[list[Callable[[Visitor], None]], Callable[[Visitor], None]]] = {
    "no cookie and nothing written; a cookie that is no token": ([], look),
    "a page view": ([Visitor.begin], look),
    "the same, when the session is renewed": ([Visitor.begin, come_late], look),
    "the first write of a visitor": ([], Visitor.begin),
    "read and write": ([Visitor.begin], write),
    "`transaction`": ([Visitor.begin], count),
    "`login` of a visitor with a session": ([Visitor.begin], log_in),
    "`logout`": ([Visitor.begin, log_in], log_out),
}
TABLE = {what: (commands, trips) for what, commands, trips in DOCS["web-reference"].table("what")}


def test_the_table_is_whole() -> None:
    assert TABLE.keys() == ROWS.keys()


@pytest.mark.parametrize("row", ROWS)
def test_what_travels(row: str, server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis.Redis(port=server.port) as client:
        store = SessionStore(client, prefix=prefix, default_ttl=60_000, codec=JsonCodec())
        sessions = Sessions(store, policy=SessionPolicy(idle=60_000, lifetime=600_000, renew_after=3_600))
        before = Visitor(sessions)
        for step in (Visitor.begin, write, count, log_in, come_late, look, log_out):
            step(before)  # by now the server knows all scripts
        visitor = Visitor(sessions)
        prepared, call = ROWS[row]
        for step in prepared:
            step(visitor)
        recorder = Recorder(monkeypatch)
        call(visitor)
        names, trips = TABLE[row]
        assert [name for write in recorder.writes for name in write] == re.findall(r"[A-Z]{3,}", names)
        assert len(recorder.writes) == int(trips)
