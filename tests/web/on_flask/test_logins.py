"""Logins, logouts, and the messages that they leave, on Flask."""

from __future__ import annotations

from typing import Any

import flask
from flask import session
from markupsafe import Markup
from web.on_flask.shop import COOKIE, Shop, content, during, shop, token, twin


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
