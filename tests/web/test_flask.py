"""Flask over its session interface. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
import redis
from flask import request, session
from markupsafe import Markup
from support.recorder import Recorder
from support.servers import Server

from session_store import InMemoryClient, JsonCodec, SessionStore
from session_store.web import (
    CookiePolicy,
    SessionConflictError,
    SessionEndedError,
    SessionPolicy,
    Sessions,
    SessionSupersededError,
)
from session_store.web.flask import FlaskSession, SessionInterface

COOKIE = "__Host-session"


@pytest.fixture
def client() -> Iterator[Any]:
    with InMemoryClient() as client:
        yield client


@pytest.fixture
def site(client: Any) -> Callable[..., Sessions]:
    """Makes the sessions of a site, with these settings of its policy."""

    def site(client: Any = client, prefix: str = "shop", **policy: Any) -> Sessions:
        store = SessionStore(client, prefix=prefix, default_ttl=600, codec=JsonCodec())
        return Sessions(store, policy=SessionPolicy(**{"idle": 600, "lifetime": 6_000, **policy}))

    return site


class Shop(flask.Flask):
    """An application, and what is to happen while a request of it is under way."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)


def shop(sessions: Sessions, config: dict[str, Any] | None = None, **options: Any) -> Shop:
    app = Shop(__name__)
    app.config.update(config or {})
    app.session_interface = SessionInterface(sessions, **options)

    @app.get("/")
    def page() -> Any:
        return {key: value for key, value in session.items() if key != "_flashes"}

    @app.get("/plain")
    def plain() -> str:
        return "no session is asked for"

    @app.get("/owner")
    def owner() -> Any:
        return {"owner": session.owner}

    @app.post("/set")
    def put() -> Any:
        session.update(request.get_json())
        app.meanwhile()
        return {}

    @app.post("/read-and-set")
    def more() -> Any:
        for key, value in request.get_json().items():
            session[key] = session.get(key, 0) + value
        app.meanwhile()
        return {}

    @app.post("/transaction")
    def transaction() -> Any:
        session.get("n")
        app.meanwhile()
        return {"n": session.transaction(lambda data: data.update(n=data.get("n", 0) + 1) or data["n"])}

    @app.post("/flash/<text>")
    def flash(text: str) -> Any:
        flask.flash(text, "note")
        app.meanwhile()
        return {}

    @app.get("/flashes")
    def flashes() -> Any:
        found = flask.get_flashed_messages(with_categories=True)
        assert all(isinstance(each, tuple) for each in found)
        return {"flashes": found, "again": flask.get_flashed_messages()}

    @app.post("/redirect")
    def redirect() -> Any:
        session["state"] = "of OAuth"
        return flask.redirect("/")

    @app.post("/status/<int:status>")
    def answer(status: int) -> Any:
        session["status"] = status
        flask.abort(status)

    @app.post("/crash")
    def crash() -> Any:
        session["status"] = "crashed"
        raise LookupError

    @app.post("/login/<owner>")
    def login(owner: str) -> Any:
        session.login(owner, label="a device")
        session["theme"] = "dark"
        return {}

    @app.post("/logout")
    def logout() -> Any:
        session.logout()
        return {}

    @app.post("/clear")
    def clear() -> Any:
        session.clear()
        flask.flash("bye")
        return {}

    @app.get("/cached")
    def cached() -> Any:
        session.get("a")
        return {}, {"Cache-Control": "private", "Vary": "Accept"}

    @app.post("/stream")
    def stream() -> Any:
        @flask.stream_with_context
        def parts() -> Iterator[str]:
            yield "one"
            session["streamed"] = True

        return parts()

    return app


@pytest.fixture
def app(site: Any) -> Shop:
    return shop(site())


def content(browser: Any) -> Any:
    return browser.get("/").json


def token(browser: Any) -> str | None:
    cookie = browser.get_cookie(COOKIE)
    return None if cookie is None else cookie.value


def twin(browser: Any) -> Any:
    """Another tab: a browser with the same cookie."""
    other = browser.application.test_client()
    other.set_cookie(COOKIE, token(browser), secure=True, path="/")
    return other


def during(app: Shop, what: Callable[[], object]) -> None:
    """Has something happen, once, while the next request is under way."""

    def once() -> None:
        del app.meanwhile
        what()

    app.meanwhile = once


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


def app_client(browser: Any) -> Any:
    """One that sends what it is told to."""
    return browser.application.test_client(use_cookies=False)


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


@pytest.mark.parametrize("handles", ["nothing", "status", "error"])
@pytest.mark.parametrize("path", ["/read-and-set", "/transaction"])
def test_a_conflict_is_an_answer(site: Any, handles: str, path: str) -> None:
    """[7] 409, when the session is saved, and where a method of it raises; the application may make the page."""
    app = shop(site(conflicts="raise"))
    app.testing = True
    page = {"status": 409, "error": SessionConflictError}.get(handles)
    if path == "/transaction":
        page = {"status": 409, "error": SessionSupersededError}.get(handles)
    if page is not None:
        app.register_error_handler(page, lambda error: ("a page of ours", 409, {"X-Ours": getattr(error, "keys", "")}))

    @app.after_request
    def cors(response: Any) -> Any:
        response.headers.update({"Access-Control-Allow-Origin": "*", "ETag": "1", "Vary": "Origin"})
        return response

    browser = app.test_client()
    browser.post("/set", json={"n": 1, "b": 1})
    tab = twin(browser)
    if path == "/transaction":
        during(app, lambda: tab.post("/login/ann"))
    else:
        during(app, lambda: tab.post(path, json={"n": 5}))
    response = browser.post(path, json={"n": 1, "b": 1})
    assert (response.status_code, "Set-Cookie" in response.headers) == (409, False)
    assert response.text == (
        "The session was changed by another request. Load the page again." if page is None else "a page of ours"
    )
    assert int(response.headers["Content-Length"]) == len(response.text)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert ("X-Ours" in response.headers, response.headers.get("Cache-Control")) == (
        page is not None,
        "no-store" if page is None else None,
    )
    if path == "/read-and-set":
        assert "ETag" not in response.headers and {"Origin", "Cookie"} <= set(response.vary)
        assert response.headers.get("X-Ours") in (None, "n")
        assert content(tab) == {"n": 6, "b": 1}


def test_an_ended_session_is_an_answer(site: Any) -> None:
    """401 where the policy wants to know, of a save and of a transaction."""
    app = shop(site(on_ended="raise"))
    app.testing = True
    for path in ("/set", "/transaction"):
        browser = app.test_client()
        browser.post("/set", json={"a": 1})
        tab = twin(browser)
        during(app, lambda tab=tab: tab.post("/logout"))
        response = browser.post(path, json={"a": 2})
        assert (response.status_code, response.text) == (401, "The session has ended. Log in again.")
        assert "Set-Cookie" not in response.headers


def test_a_handler_may_catch_what_the_session_raises(app: Shop) -> None:
    seen: list[Any] = []

    @app.post("/catch")
    def catch() -> Any:
        app.meanwhile()
        try:
            session.transaction(lambda data: data.update(a=2))
        except SessionEndedError as error:
            seen.append(error)
        return {}

    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    tab = twin(browser)
    during(app, lambda: tab.post("/logout"))
    assert browser.post("/catch").status_code == 200
    assert "ended since the request began" in str(seen[0])


def test_messages_of_two_tabs(app: Shop) -> None:
    """[8] None is lost, and each is shown once, as Flask has them: tuples."""
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    tab = twin(browser)
    during(app, lambda: tab.post("/flash/two"))
    browser.post("/flash/one")
    browser.post("/flash/three")
    assert browser.get("/flashes").json == {
        "flashes": [["note", "two"], ["note", "one"], ["note", "three"]],
        "again": ["two", "one", "three"],
    }
    assert browser.get("/flashes").json["flashes"] == []
    assert content(browser) == {"a": 1}


def test_messages_with_markup(app: Shop) -> None:
    """Stay markup, whatever else is flashed: what is none is escaped in the page, and what is must not be."""

    @app.post("/flash-markup")
    def markup() -> Any:
        for message in (Markup("<b>"), "<i>", {"rows": (1, 2)}, {" m": "<u>"}, Markup("<p>")):
            flask.flash(message)  # type: ignore[arg-type]
        return {}

    @app.get("/messages")
    def messages() -> str:
        return flask.render_template_string("{% for each in get_flashed_messages() %}{{ each }} {% endfor %}")

    browser = app.test_client()
    browser.post("/flash-markup")
    assert browser.get("/messages").text.replace("&#39;", "'") == (
        "<b> &lt;i&gt; {'rows': (1, 2)} {' m': '&lt;u&gt;'} <p> "
    )


def test_a_save_after_a_logout(app: Shop, client: Any) -> None:
    """[13] Is dropped, and takes no cookie from the browser."""
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    tab = twin(browser)
    during(app, lambda: tab.post("/logout"))
    response = browser.post("/set", json={"a": 2})
    assert (response.status_code, "Set-Cookie" in response.headers) == (200, False)
    assert content(browser) == {} and not [key for key in client.keys("*") if key.endswith(b":session")]


def test_a_login_and_a_logout(app: Shop) -> None:
    """[18, 52] Another token, the old one is dead; the cookie is deleted with its attributes."""
    browser = app.test_client()
    browser.post("/set", json={"basket": 1})
    old, before = twin(browser), token(browser)
    response = browser.post("/login/ann")
    assert (token(browser) != before, response.headers["Cache-Control"]) == (True, "no-store")
    assert content(browser) == {"basket": 1, "theme": "dark"}
    response = browser.get("/owner")
    assert (response.json, response.headers["Cache-Control"], response.headers["Vary"]) == (
        {"owner": "ann"},
        "no-store",
        "Cookie",
    )
    response = old.get("/")
    assert (response.json, "Set-Cookie" in response.headers) == ({}, False)
    assert old.post("/set", json={"a": 1}).status_code == 409
    response = browser.post("/logout")
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert cookie == f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax"
    assert token(browser) is None


def test_logins_that_the_application_does_by_itself(site: Any) -> None:
    """[24, 25] As Flask-Login does them: by keys. The messages of such a request reach whoever comes next."""
    sessions = site(owner_key="_user_id")
    app = shop(sessions)

    @app.post("/login-user/<user>/<int:status>")
    def login_user(user: str, status: int) -> Any:
        session.update(_user_id=user, _fresh=True)
        return {}, status

    @app.post("/logout-user")
    def logout_user() -> Any:
        for key in ("_user_id", "_fresh"):
            session.pop(key)
        session["seen"] = 1
        flask.flash("bye")
        return {}

    browser = app.test_client()
    browser.post("/set", json={"basket": 1})
    before = token(browser)
    browser.post("/login-user/7/401")
    assert (token(browser), content(browser)) == (before, {"basket": 1})
    browser.post("/login-user/7/200")
    assert token(browser) != before and sessions.count("7") == 1
    assert content(browser) == {"basket": 1, "_user_id": "7", "_fresh": True}
    browser.post("/login-user/8/302")
    assert content(browser) == {"_user_id": "8", "_fresh": True}
    assert (sessions.count("7"), sessions.count("8")) == (0, 1)
    last = token(browser)
    browser.post("/logout-user")
    assert token(browser) != last and sessions.count("8") == 0
    assert browser.get("/flashes").json["again"] == ["bye"]
    assert content(browser) == {}


def test_clear_is_a_logout_also_where_a_message_follows(app: Shop) -> None:
    browser = app.test_client()
    browser.post("/login/ann")
    tab = twin(browser)
    browser.post("/clear")
    assert browser.get("/owner").json == tab.get("/owner").json == {"owner": None}
    assert browser.get("/flashes").json["again"] == ["bye"]


def test_clear_before_a_login(app: Shop) -> None:
    """As Flask's tutorial does it."""

    @app.post("/clear-and-login")
    def clear_and_login() -> Any:
        session.clear()
        session.login("ann")
        return {}

    browser = app.test_client()
    for _ in range(2):
        browser.post("/clear-and-login")
        assert browser.get("/owner").json == {"owner": "ann"}


@pytest.mark.parametrize(("path", "saved"), [("/status/404", True), ("/status/500", False), ("/crash", False)])
def test_what_failed_saves_nothing(app: Shop, path: str, saved: bool) -> None:
    """[41]"""
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    browser.post(path)
    assert ("status" in content(browser)) is saved


def test_a_value_that_cannot_be_saved(app: Shop) -> None:
    """Flask saves a second time then, for its page of 500: nothing is saved, and the browser keeps its cookie."""

    @app.post("/bad")
    def bad() -> Any:
        session.update(a=2, when=object())
        return {}

    @app.errorhandler(500)
    def failed(error: Any) -> Any:
        session["failed"] = type(error.original_exception).__name__
        return session["failed"], 500

    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    before = token(browser)
    response = browser.post("/bad")
    assert (response.status_code, response.text, "Set-Cookie" in response.headers) == (500, "TypeError", False)
    assert (token(browser), content(browser)) == (before, {"a": 1})


def test_saving_that_raises_each_time(app: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail(self: Any, status: int) -> Any:
        calls.append(status)
        raise LookupError

    monkeypatch.setattr(FlaskSession, "finish", fail)
    assert app.test_client().get("/").status_code == 500
    assert calls == [200, 500]


def test_what_opens_no_session_is_no_null_session(
    app: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One error, Flask's; not another one because there is nothing to save."""

    def fail(*args: Any) -> None:
        raise LookupError

    monkeypatch.setattr(Sessions, "load", fail)
    response = app.test_client().get("/")
    assert (response.status_code, "Set-Cookie" in response.headers) == (500, False)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def away(*args: Any, **kwargs: Any) -> Any:
    raise redis.ConnectionError("10.0.0.1:6379 is away")


@pytest.mark.parametrize("mode", ["raise", "empty"])
def test_without_redis(site: Any, monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    """503, or an empty session that is not saved; never an error by accident, and no cookie is lost."""
    sessions = site()
    app = shop(sessions, on_unavailable=mode)
    app.testing = True

    @app.errorhandler(503)
    def page(error: Any) -> Any:
        return (
            flask.render_template_string("{{ session.a }}{{ get_flashed_messages() }}: wait"),
            503,
            {"Retry-After": 9},
        )

    @app.get("/empty")
    def empty() -> Any:
        return {"is": bool(session)}

    browser = app.test_client()
    browser.post("/login/ann")
    browser.post("/set", json={"a": 1})
    cookie = token(browser)
    with monkeypatch.context() as patch:
        patch.setattr(type(sessions._site.records), "load", away)
        for call in (
            *(lambda: browser.get("/"), lambda: browser.post("/set", json={"a": 2}), lambda: browser.get("/owner")),
            *(lambda: browser.get("/empty"), lambda: browser.get("/flashes")),
        ):
            response = call()
            assert response.status_code == (503 if mode == "raise" else 200)
            assert "Set-Cookie" not in response.headers
        for path in ("/logout", "/transaction", "/login/bob"):  # nobody is to believe that it was done
            response = browser.post(path)
            assert (response.status_code, response.headers["Retry-After"]) == (503, "9")
            assert response.text == "[]: wait" and "Set-Cookie" not in response.headers
        assert browser.get("/plain").status_code == 200
        response = browser.get("/")
    for method, path in (("save", "/set"), ("end", "/logout")):
        with monkeypatch.context() as patch:
            patch.setattr(type(sessions._site.records), method, away)
            assert browser.post(path, json={"b": 1}).status_code == 503
    assert token(browser) == cookie
    assert content(browser) == {"a": 1, "theme": "dark"}


def test_a_refusal_after_a_login_gives_the_browser_its_token(app: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    with monkeypatch.context() as patch:
        patch.setattr(type(app.session_interface.sessions._site.records), "save", away)  # type: ignore[attr-defined]
        response = browser.post("/login/ann")
    assert (response.status_code, response.headers["Cache-Control"]) == (503, "no-store")
    assert "10.0.0.1" not in response.text
    assert browser.get("/owner").json == {"owner": "ann"}


def test_an_error_is_chained_once(app: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login as somebody else, which is a logout before."""
    browser = app.test_client()
    browser.post("/login/ann")
    monkeypatch.setattr(type(app.session_interface.sessions._site.records), "end", away)  # type: ignore[attr-defined]
    with browser.session_transaction() as inside, pytest.raises(redis.ConnectionError) as caught:
        inside.login("bob")  # type: ignore[attr-defined]
    assert type(caught.value.__cause__) is redis.ConnectionError


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


def test_bad_settings_are_refused(site: Any) -> None:
    with pytest.raises(TypeError, match="sessions must be a Sessions"):
        SessionInterface(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_unavailable must be"):
        SessionInterface(site(), on_unavailable="?")  # type: ignore[arg-type]
