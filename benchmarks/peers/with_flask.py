"""Flask-Session on Redis: its session interface, opened and saved around each request as Flask does it."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import flask
import redis
from flask_session.redis import RedisSessionInterface

from benchmarks.peers.face import LAST_WINS, PREFIX, TTL, BlobPeer, Change, Session


class _Response:
    """As much of a response as saving a session needs: nothing is made of its headers, which favours the library."""

    def __init__(self) -> None:
        self.vary: set[str] = set()

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Writes no header."""


class FlaskSession(BlobPeer):
    """`renews`: SESSION_REFRESH_EACH_REQUEST, which is on by default and saves the session in every request."""

    layout = f"{PREFIX}-flask"

    def __init__(self, port: int, *, renews: bool = True) -> None:
        self.name = "Flask-Session" if renews else "Flask-Session, no refresh"
        self.note = LAST_WINS if renews else f"{LAST_WINS}; SESSION_REFRESH_EACH_REQUEST=False"
        self._app = flask.Flask("benchmark")
        self._app.config["SESSION_REFRESH_EACH_REQUEST"] = renews
        self._app.permanent_session_lifetime = timedelta(seconds=TTL)
        self._client = redis.Redis(port=port)
        self._cookie = self._app.config["SESSION_COOKIE_NAME"]
        self._interface = RedisSessionInterface(self._app, self._client, key_prefix=f"{self.layout}:")

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        return f"{self.layout}:{session_id}", self._interface.serializer.encode({"_permanent": True, **session})

    def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        request: Any = SimpleNamespace(cookies={self._cookie: session_id})
        session: Any = self._interface.open_session(self._app, request)
        session["user"]
        if change is not None:
            change(session)
        response: Any = _Response()
        self._interface.save_session(self._app, session, response)
        return cast("Mapping[str, Any]", session)

    def close(self) -> None:
        self._client.close()
