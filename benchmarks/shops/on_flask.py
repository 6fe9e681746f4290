"""The shop on Flask: with ours, and with Flask-Session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import flask
import redis
from flask_session.redis import RedisSessionInterface

from benchmarks.shops.face import PREFIX, TTL, Slow, WsgiShop, change
from benchmarks.shops.ours import acted_sync, sync_sessions
from session_store.web.flask import SessionInterface


class Ours(WsgiShop):
    """Our session interface."""

    def __init__(self, port: int) -> None:
        client = redis.Redis(port=port)
        self.clients = (client,)
        self.app = app = flask.Flask("shop")
        app.session_interface = SessionInterface(sync_sessions(client))

        @app.route("/<action>", methods=["GET", "POST"])
        @app.route("/<action>/<value>", methods=["GET", "POST"])
        def act(action: str, value: str = "") -> dict[str, Any]:
            acted_sync(flask.session, action, value, flask.request.query_string.decode())
            return dict(flask.session)


class FlaskSession(WsgiShop):
    """As its documentation has it; `regenerate` at a login."""

    def __init__(self, port: int) -> None:
        client = redis.Redis(port=port)
        self.clients = (client,)
        self.app = app = flask.Flask("shop")
        app.permanent_session_lifetime = timedelta(seconds=TTL)
        interface = RedisSessionInterface(app, client, key_prefix=f"{PREFIX}:")
        app.session_interface = interface

        @app.route("/<action>", methods=["GET", "POST"])
        @app.route("/<action>/<value>", methods=["GET", "POST"])
        def act(action: str, value: str = "") -> dict[str, Any]:
            session: Any = flask.session
            Slow.here_sync(flask.request.query_string.decode())
            if action == "login":
                interface.regenerate(session)
                session["user_id"] = value
            elif action == "logout":
                session.clear()
            else:
                change(session, action, value)
            return dict(session)
