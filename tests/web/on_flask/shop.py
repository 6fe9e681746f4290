"""A shop on Flask, and a browser that visits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
from flask import request, session

from session_store.web import (
    Sessions,
)
from session_store.web.flask import SessionInterface

COOKIE = "__Host-session"


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


def app_client(browser: Any) -> Any:
    """One that sends what it is told to."""
    return browser.application.test_client(use_cookies=False)
