"""FastAPI: the session, its owner, and whether they logged in lately, as dependencies. See `session_store.web.asgi`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyCookie

from session_store._core.extension import Duration, to_milliseconds
from session_store.web._async.session import AsyncWebSession
from session_store.web.asgi import SessionMiddleware, load_session

__all__ = ["OwnerDep", "SessionDep", "SessionMiddleware", "fresh"]

# For the documentation of the API alone: the middleware reads the cookie, by the name that its policy has.
_scheme = APIKeyCookie(name="__Host-session", scheme_name="session", auto_error=False)


async def _session(connection: HTTPConnection) -> AsyncWebSession:
    return await load_session(connection)


SessionDep = Annotated[AsyncWebSession, Depends(_session)]


async def _owner(session: SessionDep, _cookie: Annotated[Any, Depends(_scheme)]) -> str:
    session.mark_accessed()
    if session.owner is None:
        raise HTTPException(401, "nobody is logged in")
    return session.owner


OwnerDep = Annotated[str, Depends(_owner)]


def fresh(*, minutes: float = 0, seconds: float = 0) -> Callable[..., Any]:
    """A dependency: the owner, if they have logged in so lately; else 401. For a change of password, a payment.

    >>> from typing import Annotated
    >>> from fastapi import Depends
    >>> FreshOwner = Annotated[str, Depends(fresh(minutes=10))]
    """
    limit: Duration = timedelta(minutes=minutes, seconds=seconds)
    limit_ms = to_milliseconds(limit, "fresh")

    async def owner(session: SessionDep, owner: OwnerDep) -> str:
        if session.login_age is None or session.login_age * 1000 > limit_ms:
            raise HTTPException(401, "log in again")
        return owner

    return owner
