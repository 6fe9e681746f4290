"""Flask: `app.session_interface = MigratingInterface(migration, old=...)`, while sessions are moved from Flask-Session's."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

import flask
import flask.sessions
from redis.exceptions import ConnectionError, TimeoutError
from werkzeug.datastructures import Headers

from session_store.web._core.http import merged
from session_store.web.flask import FlaskSession, SessionInterface
from session_store.web.migrating._sync.migration import Found, Migration

__all__ = ["MigratingInterface"]

_FOUND, _BEFORE = "session_store.migrating", "session_store.before"  # where a request's environ holds what it came with


class MigratingInterface(SessionInterface):
    """In place of `SessionInterface` while sessions are moved: each request is served by the old library, or by ours.

    - `migration`: a `Migration`. `old`: the other library's session interface, as the application had it before; None when
      all has been moved. `on_unavailable`: as of `SessionInterface`.

    Handlers find a dict in `flask.session` either way, and may call `app.session_interface.regenerate(session)` as with
    Flask-Session. `login` and the other methods of ours are for afterwards.
    """

    def __init__(
        self,
        migration: Migration,
        *,
        old: flask.sessions.SessionInterface | None = None,
        on_unavailable: Literal["raise", "empty"] = "raise",
    ) -> None:
        super().__init__(migration.sessions, on_unavailable=on_unavailable)
        self._migration = migration
        self._old = old

    def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
        """The session of the cookie, of ours or of the old library's; it is moved where that is due."""
        site, header = self._site(app), request.environ.get("HTTP_COOKIE", "")
        try:
            found = self._migration.find([header.encode("latin-1", "replace")], site)
        except (ConnectionError, TimeoutError) as error:
            return self._away(site, error)
        request.environ[_FOUND] = found
        if found.session is not None or self._old is None:
            return site.new() if found.session is None else found.session
        session = self._old.open_session(app, request)
        if found.old_id is not None and session is not None:
            request.environ[_BEFORE] = deepcopy(dict(session))
        return session

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Saves what has changed, where it belongs."""
        found: Any = flask.request.environ.get(_FOUND)
        if isinstance(session, FlaskSession):
            super().save_session(app, session, response)
            if found is not None and (found.is_settled or found.token is not None):
                self._tell(app, found, response)
            return
        assert self._old is not None  # whose session it is
        self._old.save_session(app, session, response)
        if _BEFORE in flask.request.environ:
            self._follow(app, found, session, response)

    def _follow(self, app: flask.Flask, found: Found, session: Any, response: flask.Response) -> None:
        """The old library has saved by now: the same for a session that was moved meanwhile, and its cookie."""
        ours = self._migration.follow(
            str(found.old_id),
            flask.request.environ[_BEFORE],
            dict(session),
            sent_id=self._migration.sent_id(response.headers.getlist("Set-Cookie")),
            sessions=self._site(app),
        )
        if ours is None:
            return
        begin = f"{self._migration.cookie.name}="
        kept = [each for each in response.headers if each[0] != "Set-Cookie" or not each[1].startswith(begin)]
        response.headers = Headers(kept)
        told = Found(ours, token=ours.token)
        super().save_session(app, ours, response)
        self._tell(app, told, response)

    def _tell(self, app: flask.Flask, found: Found, response: flask.Response) -> None:
        try:
            headers = self._migration.headers(found, self._site(app).cookie)
        except (ConnectionError, TimeoutError):
            return  # the browser is told with its next request
        given = [(name.encode(), value.encode()) for name, value in response.headers]
        response.headers = Headers([(name.decode(), value.decode()) for name, value in merged(given, headers)])

    def regenerate(self, session: Any) -> None:
        """Another token, and the old one is dead: for what calls Flask-Session's `regenerate` at a login."""
        if isinstance(session, FlaskSession):
            session.rotate(grace=0)
        else:
            self._old.regenerate(session)  # type: ignore[union-attr]  # Flask-Session's, whose session it is
