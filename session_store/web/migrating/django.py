"""Django: `SESSION_ENGINE = "session_store.web.migrating.django"` while sessions are moved from one of Django's engines.

`SESSION_STORE` is what it is to be afterwards. `SESSION_MIGRATION` has the `engine` that was in SESSION_ENGINE before ("..db",
"..cache", "..cached_db" or "..file"), the `share` that this process moves, and what else a `Migration` takes. The cookie keeps
its name. Where a cache holds pickles, as Django's own for Redis and django-redis do, `"pickle": True` says that you know: who can
write to that cache can run code in your processes, as before.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import import_module
from typing import Any

import django
from django import conf
from django.apps import apps
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from session_store.web import django as ours
from session_store.web._core.cookies import CookiePolicy
from session_store.web._core.tokens import read_token
from session_store.web._django.content import refusals
from session_store.web._django.settings import sessions
from session_store.web.migrating._django import OldEngine
from session_store.web.migrating._sync.migration import Migration

__all__ = ["OldEngine", "SessionStore", "migration"]


@cache
def migration() -> Migration:
    """The migration of this process, as SESSION_MIGRATION says. `python -m session_store.web.migrating` takes it, too."""
    if not apps.ready:
        django.setup()
    given: dict[str, Any] = dict(conf.settings.SESSION_MIGRATION)
    engine, may_unpickle = given.pop("engine"), given.pop("pickle", False)
    old = import_module(engine).SessionStore
    if hasattr(old, "cache_key_prefix") and not may_unpickle:
        raise ImproperlyConfigured(
            "the cache of this engine holds pickles, and who can write to it can run code here: "
            "'pickle': True in SESSION_MIGRATION says that you know"
        )
    name, cookie_path = conf.settings.SESSION_COOKIE_NAME, conf.settings.SESSION_COOKIE_PATH
    cookie = CookiePolicy(name=name, secure=conf.settings.SESSION_COOKIE_SECURE, path=cookie_path)
    return Migration(sessions(), OldEngine(old), cookie=cookie, **given)


def _forget(*, setting: str, **_: Any) -> None:
    """Begins anew where a test has other settings."""
    if setting.startswith("SESSION_"):
        migration.cache_clear()


setting_changed.connect(_forget)


class SessionStore(ours.SessionStore):
    """The session of a request: of ours, or, where that is due, of the engine that was there before."""

    def __new__(cls, session_key: str | None = None) -> Any:
        """Moves the session of an old key, if it is this process' to move."""
        token, is_ours = session_key, read_token(session_key) is not None
        if not is_ours and (session_key is None or not OldEngine.form.fullmatch(session_key)):
            token, is_ours = None, migration().begins()
        elif not is_ours:
            outcome, found = migration().take(str(session_key))
            token, is_ours = None if found is None else found.text, outcome not in ("left", "failed")
        if not is_ours:
            old: Any = migration().old
            return _following(old.store)(session_key)
        made = super().__new__(cls)
        made._taken = token  # of this class
        return made

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(self._taken)
        self._is_told = self._taken in (None, session_key)  # else the browser has the old key yet

    def load(self) -> Any:
        """What is stored; the old key is on its way out when the browser shows the new one."""
        session = super().load()
        if self._is_told:
            migration().settle(session)
        elif session.id is not None and not session.is_superseded:
            session.renew(now=True)
            self.modified = True  # so that the cookie is sent
        return session


@cache
def _following(old: Any) -> Any:
    """The old engine's class, which looks after sessions that are moved while it has them."""
    # Its name is part of what Django signs the sessions of a database with.
    return type(old.__name__, (_Following, old), {"__qualname__": old.__qualname__, "__module__": old.__module__})


class _Following:
    _began_with: str | None = None
    _before: dict[str, Any] | None = None

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)  # type: ignore[call-arg]  # the engine's
        self._began_with = session_key

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()  # type: ignore[misc]
        self._before = deepcopy(data)
        return data

    async def aload(self) -> dict[str, Any]:
        data: dict[str, Any] = await super().aload()  # type: ignore[misc]
        self._before = deepcopy(data)
        return data

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's
        try:
            super().save(must_create)  # type: ignore[misc]
        except UpdateError:  # it was ended, or moved
            if must_create or not self._follow():
                raise
        else:
            if not must_create:
                self._follow()

    def _follow(self) -> bool:
        """Whether the session was moved meanwhile: then it has what was to be saved, and the browser gets its key."""
        if self._began_with is None or self._before is None:
            return False
        this: Any = self
        sent = None if this.session_key == self._began_with else this.session_key
        session = migration().follow(self._began_with, self._before, dict(this._session), sent_id=sent)  # noqa: SLF001  # Django's
        if session is None:
            return False
        with refusals(UpdateError):
            session.finish(200)
        this._session_key = session.token  # noqa: SLF001  # Django's
        return True

    def flush(self) -> None:
        """A logout, also of what was moved meanwhile."""
        super().flush()  # type: ignore[misc]
        if self._began_with is not None:
            migration().end(self._began_with)
            self._began_with = None
