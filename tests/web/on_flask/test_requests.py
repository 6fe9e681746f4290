"""Flask over its session interface. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
import redis
from flask import session
from support.recorder import Recorder
from support.servers import Server
from web.on_flask.shop import COOKIE, Shop, app_client, content, shop, token, twin

from session_store import JsonCodec, SessionStore
from session_store.web import (
    CookiePolicy,
    SessionPolicy,
    Sessions,
)


def test_the_session_is_what_flask_expects(app: Shop) -> None:
    with app.test_request_context():
        assert isinstance(session._get_current_object(), flask.sessions.SessionMixin)  # type: ignore[attr-defined]
        assert session.new and not session.modified and not session.permanent
        session.permanent = True
        assert session["_permanent"] is True and session.modified and session.accessed
        session.modified = True
        session.setdefault("a", []).append(1)
        assert "a" in session and repr(session._get_current_object()) == "<FlaskSession>"  # type: ignore[attr-defined]


def test_requests(app: Shop, client: Any) -> None:
    """[1, 4, 40] A page view sets no cookie; what a redirect has saved is there when the browser follows it."""
    browser = app.test_client()
    response = browser.get("/")
    assert (response.json, response.headers["Vary"], "Set-Cookie" in response.headers) == ({}, "Cookie", False)
    assert "Vary" not in browser.get("/plain").headers
    assert client.keys("*") == []
    response = browser.post("/redirect")
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert cookie == f"{COOKIE}={token(browser)}; Max-Age=6000; Path=/; HttpOnly; Secure; SameSite=Lax"
    assert response.headers["Cache-Control"] == "no-store"
    response = browser.get(response.headers["Location"])
    assert response.json == {"state": "of OAuth"}
    assert "Set-Cookie" not in response.headers and "Cache-Control" not in response.headers


def test_costs(site: Any, server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[1, 3, 45] On a server: nothing without a cookie, or with one that is none; one command for a page view."""
    with redis.Redis(port=server.port) as client:
        browser = shop(site(client, prefix)).test_client()
        recorder = Recorder(monkeypatch)
        assert content(browser) == {}
        assert recorder.writes == []
        browser.post("/set", json={"a": 1})
        assert len(recorder.writes) <= 2  # EVAL, where the server has not had the script yet
        recorder.clear()
        assert content(browser) == {"a": 1}
        assert recorder.writes == [("HGETALL",)]
        good = token(browser)
        recorder.clear()
        for value in (
            *("garbage", "", "=", "; ;", f"{COOKIE}=", f"={good}", "x" * 1_000_000, f"{COOKIE}=\xff", f"{COOKIE}=\0"),
            *(f'{COOKIE}="{good}"', f"{COOKIE}=%41{good}", f"{COOKIE}={good}x", f"\u20ac={good}", f"X{COOKIE}={good}"),
            f"{COOKIE}={good}; " + "x" * 20_000,
        ):
            response = app_client(browser).get("/", environ_overrides={"HTTP_COOKIE": value})
            assert (response.status_code, response.json) == (200, {}), value[:100]
            assert "Set-Cookie" not in response.headers
        assert recorder.writes == []


def test_several_cookies(app: Shop) -> None:
    """[46] One that is somebody's counts, but not within the value of another, and not two."""
    one, two = app.test_client(), app.test_client()
    one.post("/set", json={"a": 1})
    two.post("/set", json={"a": 2})
    mine, theirs = (f"{COOKIE}={token(each)}" for each in (one, two))
    invented = f"{COOKIE}={'A' * 22}.{'B' * 43}"
    for header, found in (
        (f"x=1; {mine}; y=2", {"a": 1}),
        (f"{invented}; {mine};{mine} ", {"a": 1}),
        (f"{mine}; {theirs}", {}),
        (f"x=1 {theirs}; {mine}", {"a": 1}),
        (f"x=1 {theirs}", {}),
        (f"x=1,{theirs}", {}),  # so two headers are joined by servers, and a value of x may say it as well
    ):
        response = app_client(one).get("/", environ_overrides={"HTTP_COOKIE": header})
        assert (response.json, "Set-Cookie" in response.headers) == (found, False), header


def test_visits_that_leave_nothing(app: Shop, client: Any) -> None:
    """[5] Also where the application makes each session permanent."""

    @app.before_request
    def permanent() -> None:
        session.permanent = True

    for _ in range(100):
        assert "Set-Cookie" not in app.test_client().get("/").headers
    assert client.keys("*") == []
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    assert content(browser) == {"a": 1, "_permanent": True}
    with browser.session_transaction() as inside:
        del inside["a"]
    assert content(browser) == {"_permanent": True} and token(browser)


def test_headers_of_the_application_stay(app: Shop) -> None:
    """[50]"""
    browser = app.test_client()
    browser.post("/login/ann")
    headers = browser.get("/cached").headers
    assert (headers["Cache-Control"], headers["Vary"]) == ("private", "Accept, Cookie")
    assert len(headers.getlist("Vary")) == len(headers.getlist("Cache-Control")) == 1


def test_a_stream(app: Shop) -> None:
    """What it changes is saved when it has ended."""
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    with browser.post("/stream") as response:
        assert response.text == "one"
    assert content(browser) == {"a": 1, "streamed": True}


@pytest.mark.parametrize(
    ("config", "given", "expected"),
    [
        ({}, {}, "__Host-session; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ({"SESSION_COOKIE_HTTPONLY": False}, {}, "__Host-session; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ({}, {"secure": False, "same_site": "strict"}, "session; Path=/; HttpOnly; SameSite=Strict"),
        ({"SESSION_COOKIE_DOMAIN": "a.test"}, {}, "session; Domain=a.test; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ({"APPLICATION_ROOT": "/shop"}, {}, "session; Path=/shop; HttpOnly; Secure; SameSite=Lax"),
        (
            {"SESSION_COOKIE_NAME": "sid", "SESSION_COOKIE_PATH": "/x", "SESSION_COOKIE_SAMESITE": "None"},
            {"name": "other"},
            "sid; Path=/x; HttpOnly; Secure; SameSite=None",
        ),
        (
            {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_PARTITIONED": True},
            {"secure": False},
            "session; Path=/; HttpOnly; Secure; SameSite=Lax; Partitioned",
        ),
    ],
)
def test_what_the_cookie_is_like(client: Any, config: Any, given: Any, expected: str) -> None:
    store = SessionStore(client, prefix="shop", default_ttl=600, codec=JsonCodec())
    policy = SessionPolicy(idle=600, lifetime=6_000)
    sessions = Sessions(store, policy=policy, cookie=CookiePolicy(persistent=False, **given))
    app = shop(sessions, config)
    response = app.test_client().post("/set", json={"a": 1})
    value = response.headers["Set-Cookie"].partition(";")[0]
    assert response.headers["Set-Cookie"].replace(value, value.partition("=")[0], 1) == expected
    assert app_client(app.test_client()).get("/", environ_overrides={"HTTP_COOKIE": value}).json == {"a": 1}
    assert sessions.cookie == CookiePolicy(persistent=False, **given)


def test_one_interface_in_two_applications(site: Any) -> None:
    one, two = shop(site()), shop(site(), {"SESSION_COOKIE_NAME": "admin"})
    two.session_interface = one.session_interface
    for app, name in ((one, COOKIE), (two, "admin"), (one, COOKIE)):
        assert app.test_client().post("/set", json={"a": 1}).headers["Set-Cookie"].startswith(f"{name}=")


def test_a_cookie_that_browsers_would_not_take(site: Any) -> None:
    app = shop(site(), {"SESSION_COOKIE_SAMESITE": "sometimes", "TESTING": True})
    with pytest.raises(ValueError, match="same_site must be 'lax', 'strict' or 'none'"):
        app.test_client().get("/")


def test_the_test_client_of_flask_sets_what_is_in_a_session(app: Shop) -> None:
    browser = app.test_client()
    with browser.session_transaction() as inside:
        inside["a"] = 1
        inside.login("ann")  # type: ignore[attr-defined]
    assert content(browser) == {"a": 1} and browser.get("/owner").json == {"owner": "ann"}
    with browser.session_transaction() as inside:
        assert inside.pop("a") == 1
    assert content(browser) == {}


def test_threads(site: Any, server: Server, prefix: str) -> None:
    """[6, 9] On a server: each has a request of its own, and nothing is lost."""
    with redis.Redis(port=server.port) as client:
        app = shop(site(client, prefix))
        browser = app.test_client()
        browser.post("/set", json={"first": 1})
        tabs = [twin(browser) for _ in range(8)]

        def visit(number: int) -> None:
            for turn in range(5):
                assert tabs[number].post("/transaction").status_code == 200
                assert tabs[number].post("/set", json={f"{number}-{turn}": 1}).status_code == 200

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(visit, range(8)))
        found = content(browser)
        assert found.pop("n") == 40 and len(found) == 41
