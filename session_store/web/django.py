"""Django: an engine for its sessions, `SESSION_ENGINE = "session_store.web.django"`, and a middleware for their cookie.

`SESSION_STORE = {"client": "shop.redis.client", "prefix": "shop", "lifetime": timedelta(days=90)}`:

- `client`: a client of redis-py, or a function that makes one; or the dotted path of either.
- `lifetime` and other settings of `SessionPolicy`; `idle` is SESSION_COOKIE_AGE. `grace` and `on_ended` are not for Django:
  its middleware sends the cookie whenever it saves, so a token that is not the current one must not save.
- what else is there goes to the store: `prefix`, `codec`, .. The codec is SESSION_SERIALIZER's where none is given.

`session_key` is the token, a secret; `id` names the session and is none. The cookie is Django's: SESSION_COOKIE_NAME and so
on; `CookiePolicy` has no say. `set_expiry` gives a session an `idle` of its own, or, with a date, an end, but none lives
beyond `lifetime`. One that is used lives on, also where it is only read.

Where Redis is away its error passes through: Django answers 500, or what your handler makes of it.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted

from session_store.web._core.policy import with_idle
from session_store.web._core.tokens import new_token
from session_store.web._django.content import EXPIRY, Content, refusals, wanted_owner
from session_store.web._django.middleware import SessionMiddleware
from session_store.web._django.settings import sessions
from session_store.web._sync.session import WebSession
from session_store.web.errors import SessionEndedError

__all__ = ["SessionMiddleware", "SessionStore", "sessions"]


class SessionStore(Content):
    """The session of a request. Beyond Django's methods: `id`, `transaction`, `atransaction`, `namespace`."""

    label: Any = None  # what `sessions().of(owner)` shows of it: to be set beside `auth.login`

    def load(self) -> WebSession:
        """What is stored. An unknown key becomes None; one that was replaced stays, lest the browser's new one be deleted."""
        session = sessions().open(self.session_key)
        if session.id is not None and not self._lives(session):
            session = sessions().new()
        if session.id is None:
            self._session_key = None
        elif not isinstance(dict.get(session, EXPIRY), str):  # a date stays what it is
            session.renew()
        return session

    def _lives(self, session: WebSession) -> bool:
        """Whether it has not expired by what `set_expiry` was given; notes how long it lives, by that, without use."""
        session.policy, expiry = sessions().policy, dict.get(session, EXPIRY)
        seconds = self._seconds_until(expiry) if expiry else None
        if seconds is not None and seconds > 0:
            session.policy = with_idle(session.policy, seconds)
        return seconds is None or seconds > 0

    def exists(self, session_key: str | None) -> bool:
        """Whether it is the token of a session."""
        session = sessions().open(session_key)
        return session.id is not None and not session.is_superseded

    def _get_new_session_key(self) -> str:
        return new_token().text

    async def _aget_new_session_key(self) -> str:
        return new_token().text

    def create(self) -> None:
        """Stores what is in it as a new session."""
        data = self._session_cache.copy() if self._is_loaded else {}
        self._begin_anew()
        self._session_cache.update(data)
        self.save()

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's
        """Stores what has changed, key by key. Raises `UpdateError` where it has ended, or its token was replaced."""
        if must_create:
            if self.exists(self.session_key):
                raise CreateError
            self.create()
            return
        session = self._session
        with refusals(UpdateError):
            if self._lives(session):
                self._store(session)
            else:
                session.logout()
                self._session_key = self.session_key or new_token().text  # of a cookie that is over at once
        self._follow()

    def _store(self, session: WebSession) -> None:
        changed, wanted = session.changed(), wanted_owner(session)
        if wanted != session.owner:
            if session.owner is not None:
                mine = {key: dict.get(session, key) for key in changed if dict.__contains__(session, key)}
                session.logout()
                session.update(mine)
            if wanted is not None:
                session.login(wanted, label=self.label)
                return
        if session.id is None:
            session.begin()
        elif changed:
            session.save()
            if EXPIRY in changed:
                session.renew(now=True)
        elif not session.alive():  # Django sends the cookie now: not a token that was replaced meanwhile
            raise SessionEndedError

    def cycle_key(self) -> None:
        """A new token; the old one is dead. Raises as `transaction`. A session that is not stored gets one anyway."""
        session = self._session
        if session.is_superseded:
            self.create()
        elif session.id is not None:
            with refusals(SessionInterrupted):
                if wanted_owner(session) == session.owner:
                    session.rotate(grace=0)
                else:
                    self._store(session)
            self._follow()

    async def acycle_key(self) -> None:
        """As `cycle_key`."""
        await sync_to_async(self.cycle_key)()

    def delete(self, session_key: str | None = None) -> None:
        """Ends it for good: what slower requests write is refused."""
        self.accessed = True
        session = sessions().open(session_key or self.session_key)
        if session.id is not None and not session.is_superseded:
            session.logout()

    def flush(self) -> None:
        """Ends it for good, and begins anew; what is written next gets another id."""
        self.delete()
        self._begin_anew()

    async def aflush(self) -> None:
        """As `flush`."""
        await sync_to_async(self.flush)()

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing: Redis does."""
