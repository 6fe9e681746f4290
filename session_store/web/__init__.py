"""Sessions of browsers: two tabs lose nothing, a login ends the old token, a logout is final, a page view writes nothing."""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily

if TYPE_CHECKING:
    from session_store.web._async.session import AsyncWebSession
    from session_store.web._async.sessions import AsyncSessions
    from session_store.web._core.cookies import CookiePolicy
    from session_store.web._core.info import SessionInfo
    from session_store.web._core.policy import SessionPolicy
    from session_store.web._sync.session import WebSession
    from session_store.web._sync.sessions import Sessions
    from session_store.web.errors import (
        SessionConflictError,
        SessionEndedError,
        SessionSentError,
        SessionSupersededError,
        SessionTooLargeError,
        TooManySessionsError,
    )

# Each name is loaded when it is first used, as in the package.
_HOMES = {
    "_async.session": ("AsyncWebSession",),
    "_async.sessions": ("AsyncSessions",),
    "_core.cookies": ("CookiePolicy",),
    "_core.info": ("SessionInfo",),
    "_core.policy": ("SessionPolicy",),
    "_sync.session": ("WebSession",),
    "_sync.sessions": ("Sessions",),
    "errors": (
        *("SessionConflictError", "SessionEndedError", "SessionSentError", "SessionSupersededError"),
        *("SessionTooLargeError", "TooManySessionsError"),
    ),
}

__all__ = [
    "AsyncSessions",
    "AsyncWebSession",
    "CookiePolicy",
    "SessionConflictError",
    "SessionEndedError",
    "SessionInfo",
    "SessionPolicy",
    "SessionSentError",
    "SessionSupersededError",
    "SessionTooLargeError",
    "Sessions",
    "TooManySessionsError",
    "WebSession",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
