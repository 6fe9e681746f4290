"""Django's settings, as `Sessions` takes them."""

from __future__ import annotations

import json
from dataclasses import fields
from threading import Lock
from typing import Any

from django import conf
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from session_store._core.extension import kind_of
from session_store._sync.store import SessionStore
from session_store.web._core.policy import SessionPolicy, merge_flashes
from session_store.web._sync.sessions import Sessions

_POLICY = {field.name for field in fields(SessionPolicy)}
_NOT_FOR_DJANGO = {"idle", "grace", "on_ended"}
_lock = Lock()
_made: list[Sessions] = []


def sessions() -> Sessions:
    """The sessions of this process, as SESSION_STORE says: `of`, `end`, `end_all`. An owner is `str(user.pk)`."""
    with _lock:
        if not _made:
            _made.append(_make())
        return _made[0]


def _forget(*, setting: str, **_: Any) -> None:
    """Begins anew where a test has other settings."""
    if setting in ("SESSION_STORE", "SESSION_COOKIE_AGE", "SESSION_SERIALIZER"):
        _made.clear()


setting_changed.connect(_forget)


def _make() -> Sessions:
    given: dict[str, Any] = {"owner_key": "_auth_user_id", "conflicts": {"_messages": merge_messages}}
    given |= getattr(conf.settings, "SESSION_STORE", {})
    if missing := {"client", "prefix", "lifetime"} - given.keys():
        raise ImproperlyConfigured(f"SESSION_STORE lacks {', '.join(sorted(missing))}")
    if refused := _NOT_FOR_DJANGO & given.keys():
        raise ImproperlyConfigured(
            f"SESSION_STORE must not have {', '.join(sorted(refused))}: see session_store.web.django"
        )
    policy = {name: value for name, value in given.items() if name in _POLICY}
    store = {"codec": _Serializer(), **{name: value for name, value in given.items() if name not in _POLICY}}
    client = store.pop("client")
    client = import_string(client) if isinstance(client, str) else client
    if isinstance(client, type) or not hasattr(client, "execute_command"):
        client = client()
    idle = conf.settings.SESSION_COOKIE_AGE
    return Sessions(
        SessionStore(client, default_ttl=idle, **store), policy=SessionPolicy(idle=idle, on_ended="raise", **policy)
    )


class _Serializer:
    """The codec of SESSION_SERIALIZER."""

    def __init__(self) -> None:
        self._serializer = import_string(conf.settings.SESSION_SERIALIZER)()

    def encode(self, value: Any, /) -> bytes:
        try:
            return bytes(self._serializer.dumps(value))
        except (TypeError, ValueError):
            pass  # raised anew below: these errors may show the value
        raise TypeError(f"value must be what SESSION_SERIALIZER takes, got {kind_of(value)}")

    def decode(self, data: bytes, /) -> Any:
        try:
            return self._serializer.loads(data)
        except Exception:  # noqa: S110  # as above; a serializer may raise anything
            pass
        raise ValueError("not what SESSION_SERIALIZER writes")


def merge_messages(loaded: Any, stored: Any, mine: Any) -> Any:
    """Those of django.contrib.messages: what two requests add is there, what one has shown is gone."""
    merged = merge_flashes(*(json.loads(each) if each else [] for each in (loaded, stored, mine)))
    return json.dumps(merged, separators=(",", ":")) if merged else None
