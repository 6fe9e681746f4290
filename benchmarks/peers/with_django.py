"""Django's cached sessions over django-redis: the session store that its middleware makes for each request."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import LockError

from benchmarks.peers.face import LAST_WINS, PREFIX, TTL, BlobPeer, Change, GaveUp, Session

LAYOUT = f"{PREFIX}-django"


def _configure(port: int) -> None:
    """As django-redis documents it, with a cache for each server: Django has one configuration per process."""
    server = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{port}/0",
        "KEY_PREFIX": LAYOUT,
    }
    if not settings.configured:
        settings.configure(CACHES={"default": server}, SESSION_COOKIE_AGE=TTL, USE_TZ=True)
    settings.SESSION_CACHE_ALIAS = f"port-{port}"
    caches.settings[settings.SESSION_CACHE_ALIAS] = server


def _cache() -> Any:
    """The cache that the sessions are in; each thread has its own, and all share a pool of connections."""
    return caches[settings.SESSION_CACHE_ALIAS]


class Django(BlobPeer):
    """`renews`: SESSION_SAVE_EVERY_REQUEST, which is off by default."""

    layout = LAYOUT

    def __init__(self, port: int, *, renews: bool = False) -> None:
        self.name = "Django sessions, always saved" if renews else "Django sessions"
        self.note = f"{LAST_WINS}; SESSION_SAVE_EVERY_REQUEST=True" if renews else LAST_WINS
        self._renews = renews
        _configure(port)
        from django.contrib.sessions.backends.cache import SessionStore

        self._store = SessionStore

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        cache = _cache()
        key = cache.client.make_key(self._store.cache_key_prefix + session_id)
        return str(key), cache.client.encode(session)

    def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        session: Any = self._store(session_id)
        session["user"]
        if change is not None:
            change(session)
        if session.modified or self._renews:
            session.save()
        return cast("Mapping[str, Any]", session)

    def close(self) -> None:
        _cache().close()


class DjangoLocked(Django):
    """The remedy that django-redis documents: `cache.lock` around the request."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "Django with cache.lock"
        self.note = "cache.lock(timeout=10); who waits looks every 0.1 s, the default"

    def add(self, session_id: str, article: str) -> None:
        try:
            with _cache().lock(f"lock-{session_id}", timeout=10):
                super().add(session_id, article)
        except LockError as error:
            raise GaveUp from error
