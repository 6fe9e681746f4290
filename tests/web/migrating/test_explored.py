"""Requests that meet at the moment of a move, in every order of their commands or as many as there is time for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from session_store import JsonCodec, SessionStore
from session_store.testing import explore
from session_store.web import CookiePolicy, SessionEndedError, SessionPolicy, Sessions
from session_store.web._core.tokens import WebToken
from session_store.web.migrating import Migration, RedisBlobs, json_object
from session_store.web.migrating._core.marks import Mark
from session_store.web.migrating._sync import moves

pytestmark = pytest.mark.long

OLD_ID, NONCE = "old-id-of-the-browser", b"n" * 32
TOKEN = Mark({"nonce": NONCE}).token(OLD_ID)
COOKIE = [f"session={OLD_ID}".encode()]
KEY = f"blob:{OLD_ID}"


class Site:
    """What a worker has, and the old library's own way to its server."""

    def __init__(self, client: Any) -> None:
        self.client = client
        store = SessionStore(client, prefix="p", default_ttl=600, codec=JsonCodec())
        policy = SessionPolicy(idle=600, lifetime=6_000, owner_key="user")
        self.sessions = Sessions(store, policy=policy)
        self.migration = Migration(
            self.sessions, RedisBlobs(client, "blob:", json_object), cookie=CookiePolicy(name="session")
        )

    def blob(self) -> dict[str, Any] | None:
        data = self.client.get(KEY)
        return None if data is None else dict(json.loads(data))


@pytest.fixture(autouse=True)
def known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves.secrets, "token_bytes", lambda size: NONCE)


def visit(site: Site) -> None:
    site.client.set(KEY, json.dumps({"user": "ann", "basket": 1}), ex=300)


def tab(key: str) -> Callable[[Site], str | None]:
    """A request to a worker that moves; the token that the browser is told."""

    def run(site: Site) -> str | None:
        found = site.migration.find(COOKIE)
        assert found.session is not None
        if "user" not in found.session:
            return None
        found.session[key] = 1
        try:
            found.session.finish(200)
        except SessionEndedError:
            return None
        return found.token

    return run


def old_request(site: Site) -> str:
    """One that the old library serves: it has loaded before the move, or has not, and saves the whole blob."""
    before = site.blob()
    if before is None:
        return "moved"  # step A would have found the mark
    after = {**before, "old": 1}
    site.client.set(KEY, json.dumps(after), ex=300)
    session = site.migration.follow(OLD_ID, before, after)
    if session is None:
        return "stored"
    session.finish(200)
    return "followed"


def old_logout(site: Site) -> str:
    before = site.blob()
    if before is None:
        return "moved"
    site.client.delete(KEY)
    site.migration.follow(OLD_ID, before, {}, sent_id="")
    return "done"


def content(site: Site, token: WebToken = TOKEN) -> dict[str, Any]:
    return dict(site.sessions.open(token.text))


def test_two_tabs_get_one_session() -> None:
    """The same token in both answers, what both have written, an owner who sees one session, and nothing in the old place."""

    def check(site: Site, results: dict[str, Any]) -> None:
        assert set(results.values()) == {TOKEN.text}
        assert content(site) == {"user": "ann", "basket": 1, "one": 1, "two": 1}
        assert [info.id for info in site.sessions.of("ann")] == [TOKEN.id]
        assert site.blob() is None

    tasks = {"one": tab("one"), "two": tab("two")}
    explore(tasks, setup=visit, check=check, handle=Site, budget=400, samples=100, time_limit=500)


def test_what_an_old_request_saves_during_the_move_is_not_lost() -> None:
    def check(site: Site, results: dict[str, Any]) -> None:
        assert results["tab"] == TOKEN.text
        assert ("old" in content(site)) == (results["old"] != "moved")
        assert content(site)["tab"] == 1

    tasks = {"tab": tab("tab"), "old": old_request}
    explore(tasks, setup=visit, check=check, handle=Site, budget=400, samples=100, time_limit=500)


def test_a_logout_by_the_old_library_is_final() -> None:
    """Also where the move has begun, and is not done yet."""

    def check(site: Site, results: dict[str, Any]) -> None:
        if results["logout"] == "done":
            assert content(site) == {}
            assert site.blob() is None
            assert site.sessions.of("ann") == []
            assert "user" not in (site.migration.find(COOKIE).session or {})

    tasks = {"tab": tab("tab"), "logout": old_logout}
    assert explore(tasks, setup=visit, check=check, handle=Site, time_limit=500).complete


def test_a_logout_everywhere_meanwhile() -> None:
    """Ends it, or came before it: it is in the list of its owner then, who can do it again."""

    def check(site: Site, results: dict[str, Any]) -> None:
        if content(site):
            assert site.sessions.open(TOKEN.text).owner == "ann"
            assert [info.id for info in site.sessions.of("ann")] == [TOKEN.id]
        else:
            assert site.sessions.of("ann") == []

    tasks: dict[str, Callable[[Site], object]] = {"tab": tab("tab"), "all": lambda site: site.sessions.end_all("ann")}
    assert explore(tasks, setup=visit, check=check, handle=Site, time_limit=500).complete
