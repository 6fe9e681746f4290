"""The sessions of Django's engines, as they are read to be moved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from session_store.web.migrating._core.formats import OldSession


class OldEngine:
    """The sessions of one of Django's engines, read as Django itself reads them. `store`: the engine's class."""

    form = re.compile(r"[A-Za-z0-9_-]{8,256}")

    def __init__(self, store: Any) -> None:
        self.store = store

    def read(self, old_id: str) -> OldSession | None:
        """The session of a key; None where there is none."""
        store = self.store(old_id)
        data = store.load()
        if store.session_key is None:
            return None
        expiry = data.get("_session_expiry")
        left = float(store.get_expiry_age(expiry=expiry))
        at_most = left if isinstance(expiry, str) else None  # a date
        for found in (_row_left(store, old_id), _cache_left(store)):
            left = left if found is None else min(left, found)
        return OldSession(data, left, at_most) if left > 0 else None

    def remove(self, old_id: str) -> None:
        """Ends it."""
        self.store(old_id).delete(old_id)

    def ids(self) -> Iterator[str]:
        """All keys; of a cache only where it is on Redis."""
        if hasattr(self.store, "get_model_class"):
            yield from self.store.get_model_class().objects.values_list("session_key", flat=True).iterator()
            return
        store = self.store("x" * 32)
        cache_of: Any = getattr(store, "_cache", None)
        start = getattr(store, "cache_key_prefix", "")
        if hasattr(cache_of, "iter_keys"):  # django-redis
            keys: Iterator[str] = cache_of.iter_keys(f"{start}*")
        elif hasattr(cache_of, "_cache") and hasattr(cache_of._cache, "get_client"):  # noqa: SLF001  # Django's own; no other way
            client, pattern = cache_of._cache.get_client(), cache_of.make_key(f"{start}*")  # noqa: SLF001
            keys = (key.decode() for key in client.scan_iter(match=pattern, count=500))
        else:
            raise ImproperlyConfigured("this cache does not list its keys: sessions are moved as their browsers come")
        yield from (key.rpartition(start)[2] for key in keys)


def _row_left(store: Any, old_id: str) -> float | None:
    """Seconds that the database's row is valid."""
    if not hasattr(store, "get_model_class"):
        return None
    from django.utils import timezone

    until = store.get_model_class().objects.filter(session_key=old_id).values_list("expire_date", flat=True).first()
    return None if until is None else float((until - timezone.now()).total_seconds())


def _cache_left(store: Any) -> float | None:
    """Seconds that a cache on Redis keeps it, where it tells."""
    cache_of, key = getattr(store, "_cache", None), getattr(store, "cache_key", None)
    if cache_of is None or hasattr(store, "get_model_class"):
        return None
    if hasattr(cache_of, "ttl"):  # django-redis
        seconds = cache_of.ttl(key)
        return None if seconds is None else float(seconds)
    if hasattr(cache_of, "_cache") and hasattr(cache_of._cache, "get_client"):  # noqa: SLF001  # Django's own; no other way
        ttl_ms = cache_of._cache.get_client(key).pttl(cache_of.make_and_validate_key(key))  # noqa: SLF001
        return None if ttl_ms < 0 else float(ttl_ms) / 1000
    return None
