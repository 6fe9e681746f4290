"""What is in a request's session, by Django's methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.exceptions import SessionInterrupted

from session_store.web._django.settings import sessions
from session_store.web._sync.session import WebSession
from session_store.web.errors import (
    SessionConflictError,
    SessionEndedError,
    SessionSupersededError,
    TooManySessionsError,
)

R = TypeVar("R")
EXPIRY = "_session_expiry"  # Django's name for what `set_expiry` was given


@contextmanager
def refusals(gone: type[Exception]) -> Iterator[None]:
    """What is a 400 by Django's hands, where two requests meet."""
    try:
        yield
    except (SessionEndedError, SessionSupersededError) as error:
        raise gone(str(error)) from error
    except (SessionConflictError, TooManySessionsError) as error:
        raise SessionInterrupted(str(error)) from error


def wanted_owner(session: WebSession) -> str | None:
    """Who is logged in, by the key that Django sets."""
    key = session.policy.owner_key
    wanted = session.owner if key is None else dict.get(session, key)
    return None if wanted is None else str(wanted)


class Content(SessionBase):  # type: ignore[misc]  # Django has no annotations
    """Django's methods over a `WebSession`, which is in `_session_cache`, as Django calls it, when it is loaded."""

    _session_key: str | None  # Django's property

    def __init__(self, session_key: str | None = None) -> None:
        self._said: bool | None = None  # by the application: that it is modified, or that it is not to be saved
        super().__init__(session_key)

    @property
    def _is_loaded(self) -> bool:
        return "_session_cache" in vars(self)

    def _get_session(self, no_load: bool = False) -> WebSession:  # noqa: FBT001, FBT002  # Django's
        self.accessed = True
        if not self._is_loaded:
            self._session_cache = sessions().new() if no_load else self.load()
        session: WebSession = self._session_cache
        return session

    @property
    def _session(self) -> WebSession:
        return self._get_session()

    async def _aget_session(self, no_load: bool = False) -> WebSession:  # noqa: FBT001, FBT002  # Django's
        session: WebSession = await sync_to_async(self._get_session)(no_load)
        return session

    @property
    def modified(self) -> bool:
        """Whether something was changed, nested values too. To set it to False is to say: do not save."""
        if self._said is None and self._is_loaded:
            return bool(self._session_cache.modified)
        return bool(self._said)

    @modified.setter
    def modified(self, value: bool) -> None:
        if value or self.modified:  # Django's `pop` sets it to what it was
            self._said = bool(value)

    def clear(self) -> None:
        """Takes out all that is in it."""
        self._session.clear()
        self.modified = True

    @property
    def id(self) -> str | None:
        """Names the session, and is no secret; None until it is stored."""
        return self._session.id

    @property
    def owner(self) -> str | None:
        """Who is logged in, as it is stored."""
        return self._session.owner

    @property
    def time_left(self) -> float | None:
        """Seconds until it ends at the latest."""
        return self._session.time_left

    def transaction(self, fn: Callable[[dict[str, Any]], R], max_retries: int | None = None) -> R:
        """See `WebSession.transaction`. Raises `SessionInterrupted`, a 400, where the session has ended meanwhile."""
        with refusals(SessionInterrupted):
            result = self._session.transaction(fn, max_retries)
        self._follow()
        return result

    async def atransaction(self, fn: Callable[[dict[str, Any]], R], max_retries: int | None = None) -> R:
        """The same for async views."""
        result: R = await sync_to_async(self.transaction)(fn, max_retries)
        return result

    def namespace(self) -> Any:
        """See `WebSession.namespace`. Raises as `transaction`."""
        with refusals(SessionInterrupted):
            namespace = self._session.namespace()
        self._follow()
        return namespace

    def _begin_anew(self) -> None:
        self._session_cache, self._session_key = sessions().new(), None
        self.modified = True

    def _seconds_until(self, expiry: Any) -> float:
        """By what `set_expiry` was given: of dates both kinds, as USE_TZ may have been another one then."""
        zone = datetime.fromisoformat(expiry).tzinfo if isinstance(expiry, str) else None
        return float(self.get_expiry_age(expiry=expiry, modification=datetime.now(zone)))

    def _follow(self) -> None:
        """Has the browser get the token that the session has by now."""
        token = self._session_cache.token
        if token not in (None, self.session_key):
            self._session_key, self.modified = token, True
