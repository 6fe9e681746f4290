"""Flask: `app.session_interface = SessionInterface(sessions)`. `flask.session` is a `WebSession` then, `flash` as ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import flask
import flask.sessions
from redis.exceptions import ConnectionError, TimeoutError
from werkzeug.datastructures import Headers

from session_store.web._core.http import merged
from session_store.web._core.outcome import NOT_SAVED
from session_store.web._flask import REFUSED, FlaskSession, answerable
from session_store.web._sync.sessions import Sessions

__all__ = ["FlaskSession", "SessionInterface"]

# Headers that say something of a page, and nothing of the one that is sent instead.
_OF_A_PAGE = re.compile(
    "content-(?!security)|etag|last-mod|expires|accept-ranges|location|set-cookie|cache-", re.IGNORECASE
)


class SessionInterface(flask.sessions.SessionInterface):
    """Loads the session of each request into `flask.session`, and saves it before the response begins.

    - `sessions`: a `Sessions`.
    - `on_unavailable`: where Redis is away, "raise" answers 503 to a request that asks for its session; "empty" gives it an
      empty one that is not saved, and 503 where a method as `login` or `logout` is called.

    The cookie is that of `sessions.cookie`, but for what the application's configuration sets to something else than Flask's
    defaults: SESSION_COOKIE_NAME, _DOMAIN, _PATH (or APPLICATION_ROOT), _SECURE, _SAMESITE, _PARTITIONED. False or None there
    changes nothing: for development over HTTP take `CookiePolicy(secure=False)`. With a domain or a path, "__Host-session"
    becomes "session". It is HttpOnly, whatever SESSION_COOKIE_HTTPONLY says, and kept as long as the policy says, not
    PERMANENT_SESSION_LIFETIME. The first request is a `ValueError` where a browser would not take it.

    A response with a status of 500 or more saves nothing. Where two requests were in each other's way (see `SessionPolicy`),
    the response is a 409 instead; where the session has ended and the policy wants to know, a 401; where Redis is away, a
    503. `app.errorhandler`, of the status or of the error, makes the page. What a stream changes is saved when it has ended.
    """

    def __init__(self, sessions: Sessions, *, on_unavailable: Literal["raise", "empty"] = "raise") -> None:
        if not isinstance(sessions, Sessions):
            raise TypeError("sessions must be a Sessions")
        if on_unavailable not in ("raise", "empty"):
            raise ValueError("on_unavailable must be 'raise' or 'empty'")
        self.sessions = sessions
        self._may_be_empty = on_unavailable == "empty"
        self._sites: dict[tuple[Any, ...], Sessions] = {}

    def _site(self, app: flask.Flask) -> Sessions:
        """The sessions, with the cookie of the application."""
        name, path = self.get_cookie_name(app), self.get_cookie_path(app)
        wanted: dict[str, Any] = {
            "name": None if name == "session" else name,
            "path": None if path == "/" else path,
            "domain": self.get_cookie_domain(app),
            "secure": self.get_cookie_secure(app),
            "same_site": str(self.get_cookie_samesite(app) or "").lower(),
            "partitioned": app.config.get("SESSION_COOKIE_PARTITIONED"),  # since Flask 3.1
        }
        known = tuple(wanted.values())
        if known not in self._sites:
            cookie, given = self.sessions.cookie, {argument: value for argument, value in wanted.items() if value}
            if cookie.name == "__Host-session":
                given.setdefault("name", None)  # by what the others are
            self._sites[known] = self.sessions.adapted(FlaskSession, replace(cookie, **given))
        return self._sites[known]

    def open_session(self, app: flask.Flask, request: flask.Request) -> FlaskSession:
        """The session of the cookie, which is looked for in the header as it came: WSGI has its bytes as latin-1."""
        site, header = self._site(app), request.environ.get("HTTP_COOKIE", "")
        try:
            return cast("FlaskSession", site.load([header.encode("latin-1", "replace")]))
        except (ConnectionError, TimeoutError) as error:
            return self._away(site, error)

    def _away(self, site: Sessions, error: Exception) -> FlaskSession:
        session = cast("FlaskSession", site.unavailable())
        session.away, session.is_told = answerable(error), self._may_be_empty
        return session

    def is_null_session(self, obj: object) -> bool:
        """Whether there is no session to save: `open_session` has raised, and Flask answers 500."""
        return obj is None or super().is_null_session(obj)

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Saves what has changed. Where it raises, Flask calls it again for its answer of 500, which saves nothing."""
        try:
            headers = session.finish(response.status_code)
        except REFUSED as error:
            _replace(response, app.make_response(app.handle_http_exception(answerable(error))))
            headers = session.finish(NOT_SAVED)  # the cookie of a login that was done before
        if response.is_streamed:
            response.call_on_close(session.finish_late)
        given = [(name.encode(), value.encode()) for name, value in response.headers]
        response.headers = Headers([(name.decode(), value.decode()) for name, value in merged(given, headers)])


def _replace(response: flask.Response, page: flask.Response) -> None:
    """Makes a response another page: Flask sends the one that it has. What it says of the request stays, as CORS does."""
    close: Callable[[], None] = getattr(response.response, "close", lambda: None)
    close()
    both = [*response.headers, *page.headers]
    vary = ", ".join(value for name, value in both if name.lower() == "vary")
    kept = [
        (name, value) for name, value in response.headers if name not in page.headers and not _OF_A_PAGE.match(name)
    ]
    response.response, response.direct_passthrough, response.status = page.response, False, page.status
    response.headers = Headers([*kept, *page.headers])
    if vary:
        response.headers["Vary"] = vary
