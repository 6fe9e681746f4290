"""What Django sends of the cookie, less what would take another answer's cookie away."""

from __future__ import annotations

import time
from typing import Any

from django import conf
from django.contrib.sessions import middleware
from django.utils.http import http_date

from session_store.web._django.content import EXPIRY, Content


class SessionMiddleware(middleware.SessionMiddleware):  # type: ignore[misc]  # Django has no annotations
    """In place of Django's, if you like: sends the cookie only with a new token, and takes it away only at a logout.

    So a slow answer never takes a login's cookie away. The cookie lasts as long as the session may, unless `set_expiry` was
    called; pages of whoever is logged in are not kept by caches (`Cache-Control: no-store`, where there is none).
    """

    def process_response(self, request: Any, response: Any) -> Any:
        """As Django's, with less."""
        response = super().process_response(request, response)
        session = getattr(request, "session", None)
        if not isinstance(session, Content):
            return response
        name, has_own_expiry = conf.settings.SESSION_COOKIE_NAME, session.accessed and EXPIRY in session
        cookie, token = response.cookies.get(name), session.session_key
        is_news = session.modified if token is None else token != request.COOKIES.get(name)
        if cookie is not None and not is_news and not has_own_expiry:
            del response.cookies[name]
            cookie = None
        elif cookie is not None and cookie["max-age"] and session.time_left is not None and not has_own_expiry:
            seconds = max(0, int(session.time_left))
            cookie["max-age"], cookie["expires"] = seconds, http_date(time.time() + seconds)
        is_private = cookie is not None or (session.accessed and session.owner is not None)
        if is_private and not response.has_header("Cache-Control"):
            response.headers["Cache-Control"] = "no-store"
        return response
