"""Flask-Session's sessions in a Flask application that moves them: both libraries, one worker each, one after the other."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import flask
import pytest
from redis.exceptions import ConnectionError

from session_store import InMemoryClient, JsonCodec, SessionStore
from session_store.web import CookiePolicy, SessionPolicy, Sessions
from session_store.web.migrating import Migration, RedisBlobs, flask_session
from session_store.web.migrating.flask import MigratingInterface

pytest.importorskip("flask_session", reason="Flask-Session is not installed")
from flask_session.redis import RedisSessionInterface  # where it is

BASE = "https://shop.test"


class Workers:
    """An application for each step; `meanwhile` is what happens while a slow request is under way."""

    def __init__(self, cookie: str = "session") -> None:
        self.client = InMemoryClient()
        self.meanwhile: Callable[[], object] = lambda: None
        self._cookie = cookie

    def app(self, step: str) -> flask.Flask:
        app = flask.Flask("shop")
        app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_NAME=self._cookie)
        theirs = RedisSessionInterface(app, client=self.client)
        store = SessionStore(self.client, prefix="p", default_ttl=600, codec=JsonCodec())
        migration = Migration(
            Sessions(store, policy=SessionPolicy(idle=600, lifetime=6_000, owner_key="_user_id")),
            RedisBlobs(self.client, "session:", flask_session()),
            cookie=CookiePolicy(name=self._cookie),
            share=0.0 if step == "A" else 1.0,
        )
        old = None if step == "C" else theirs
        app.session_interface = theirs if step == "old" else MigratingInterface(migration, old=old)

        @app.route("/", methods=["GET", "POST"])
        def page() -> Any:
            return dict(flask.session)

        @app.post("/set")
        def change() -> Any:
            if flask.request.args.get("slow"):
                assert "x" not in flask.session  # it is loaded
                self.meanwhile()
            if flask.request.args.get("login"):
                flask.current_app.session_interface.regenerate(flask.session)
                flask.session["_user_id"] = "ann"
            if flask.request.args.get("logout"):
                flask.session.clear()
            flask.session.update(flask.request.get_json())
            flask.flash("saved")
            return {}

        return app

    def send(self, step: str, cookies: dict[str, str], path: str = "/", data: Any = None) -> Any:
        """A request to a worker of that step; takes what it sets into the cookies."""
        browser = self.app(step).test_client(use_cookies=False)
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = browser.post(path, json=data, base_url=BASE, headers={"Cookie": header})
        assert answer.status_code == 200, answer.data
        for each in answer.headers.getlist("Set-Cookie"):
            name, _, rest = each.partition("=")
            cookies[name] = rest.partition(";")[0]
            if not cookies[name]:
                del cookies[name]
        return answer.json


@pytest.fixture
def workers() -> Workers:
    return Workers()


def test_from_step_to_step(workers: Workers) -> None:
    """One browser: its session and its messages are there at each step, and the cookies change once."""
    cookies: dict[str, str] = {}
    workers.send("old", cookies, "/set?login=1", {"a": 1})
    workers.send("A", cookies, "/set", {"b": 1})
    assert cookies.keys() == {"session"}
    workers.send("B", cookies, "/set", {"c": 1})
    assert cookies.keys() == {"session", "__Host-session"}
    workers.send("A", cookies, "/set", {"d": 1})
    assert cookies.keys() == {"__Host-session"}
    page = workers.send("C", cookies)
    assert page.items() >= {"_user_id": "ann", "a": 1, "b": 1, "c": 1, "d": 1}.items()
    assert [each[0] for each in page["_flashes"]] == ["message"] * 4


def test_a_visitor_who_is_new(workers: Workers) -> None:
    """Is the old library's in step A, where some workers know no other."""
    for step, name in (("A", "session"), ("B", "__Host-session")):
        cookies: dict[str, str] = {}
        workers.send(step, cookies, "/set", {"a": 1})
        assert cookies.keys() == {name}
        assert workers.send(step, cookies)["a"] == 1


@pytest.mark.parametrize("name", ["session", "shop"])
def test_a_slow_request_of_the_old_library(name: str) -> None:
    """Which has loaded before the move, and saves after it: nothing of either is lost, and both have one session.

    Also where both libraries' cookies have one name: whichever answer comes last.
    """
    workers, cookies = Workers(name), dict[str, str]()
    workers.send("old", cookies, "/set", {"a": 1})
    other = dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other, "/set", {"fast": 1})
    workers.send("A", cookies, "/set?slow=1", {"slow": 1})
    for each in (cookies, other):
        page = workers.send("C", each)
        assert page.items() >= {"a": 1, "fast": 1, "slow": 1}.items()
    assert len(workers.client.keys("p:*:session")) == 1
    assert not workers.client.keys("session:*")


def test_a_slow_login_of_the_old_library(workers: Workers) -> None:
    """It has another id by then, and is moved as such."""
    cookies: dict[str, str] = {}
    workers.send("old", cookies, "/set", {"a": 1})
    other = dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other)
    workers.send("A", cookies, "/set?slow=1&login=1", {"b": 1})
    assert workers.send("C", cookies).items() >= {"_user_id": "ann", "a": 1, "b": 1}.items()
    assert workers.send("C", other) == {}  # what is before a login is worth nothing


def test_a_slow_logout_of_the_old_library(workers: Workers) -> None:
    cookies: dict[str, str] = {}
    workers.send("old", cookies, "/set?login=1", {"a": 1})
    other, thief = dict(cookies), dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other)

    app = workers.app("A")

    @app.post("/logout")
    def logout() -> Any:
        assert flask.session["_user_id"] == "ann"
        workers.meanwhile()
        flask.session.clear()
        flask.session.pop("_permanent", None)
        return {}

    answer = app.test_client(use_cookies=False).post(
        "/logout", base_url=BASE, headers={"Cookie": f"session={cookies['session']}"}
    )
    assert answer.status_code == 200
    for each in (other, thief):
        assert workers.send("C", each) == {}


def test_a_login_while_another_answer_is_on_its_way(workers: Workers) -> None:
    """It came with the old cookie, too, and does not take the new one away."""
    cookies: dict[str, str] = {}
    workers.send("old", cookies, "/set", {"a": 1})
    other = dict(cookies)
    workers.meanwhile = lambda: workers.send("B", cookies, "/set?login=1", {"b": 1})
    app = workers.app("B")

    @app.post("/slow")
    def slow() -> Any:
        assert flask.session["a"] == 1
        workers.meanwhile()
        return {}

    answer = app.test_client(use_cookies=False).post(
        "/slow", base_url=BASE, headers={"Cookie": f"session={other['session']}"}
    )
    assert answer.headers.getlist("Set-Cookie") == []
    assert workers.send("C", cookies)["_user_id"] == "ann"


def test_regenerate_gives_another_token(workers: Workers) -> None:
    cookies: dict[str, str] = {}
    workers.send("B", cookies, "/set", {"a": 1})
    before = dict(cookies)
    workers.send("B", cookies, "/set?login=1", {"b": 1})
    assert workers.send("C", before) == {}
    assert workers.send("C", cookies)["a"] == 1


def test_formats() -> None:
    """Both of its formats; a pickle of older versions only where that is asked for."""
    data: dict[str, Any] = {"a": [1, "é"], "_permanent": True}
    import msgspec

    for blob in (msgspec.msgpack.encode(data), msgspec.json.encode(data)):
        assert flask_session()(blob) == data
    blob = pickle.dumps(data)
    with pytest.raises(ValueError, match="neither MessagePack nor JSON"):
        flask_session()(blob)
    assert flask_session(pickle=True)(blob) == data
    for broken in (b"", b"\xc1", pickle.dumps(["list"]), json.dumps([1]).encode()):
        with pytest.raises(ValueError):
            flask_session(pickle=True)(broken)


def test_a_server_that_is_away(workers: Workers) -> None:
    """503, as ever."""
    app = workers.app("B")
    server = workers.client.connection_pool.connection_kwargs["server"]
    server.connected = False
    try:
        answer = app.test_client(use_cookies=False).get("/", base_url=BASE, headers={"Cookie": f"session={'a' * 43}"})
    finally:
        server.connected = True
    assert answer.status_code == 503


def test_the_server_goes_away_before_the_browser_is_told(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is saved; the next request has the session by the old cookie, and tells."""
    cookies: dict[str, str] = {}
    workers.send("old", cookies, "/set", {"a": 1})

    def away(*_: Any) -> Any:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(Migration, "headers", away)
        workers.send("B", cookies, "/set", {"b": 1})
    assert cookies.keys() == {"session"}
    assert workers.send("B", cookies).items() >= {"a": 1, "b": 1}.items()
    assert "__Host-session" in cookies
