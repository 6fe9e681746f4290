"""What a browser is answered on Flask where something is refused, or fails. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import flask
import pytest
import redis
from flask import session
from web.on_flask.shop import Shop, content, during, shop, token, twin

from session_store.web import (
    SessionConflictError,
    SessionEndedError,
    Sessions,
    SessionSupersededError,
)
from session_store.web.flask import FlaskSession, SessionInterface


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


def test_bad_settings_are_refused(site: Any) -> None:
    with pytest.raises(TypeError, match="sessions must be a Sessions"):
        SessionInterface(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_unavailable must be"):
        SessionInterface(site(), on_unavailable="?")  # type: ignore[arg-type]


def test_a_login_by_the_application_that_was_slower(site: Any) -> None:
    """It is noticed when the response begins, and a 409 by then."""
    app = shop(site(owner_key="user"))
    browser = app.test_client()
    browser.post("/set", json={"a": 1})
    other = twin(browser)
    during(app, lambda: other.post("/set", json={"user": "7"}))
    assert browser.post("/set", json={"user": "8"}).status_code == 409
    assert content(other) == {"a": 1, "user": "7"}
