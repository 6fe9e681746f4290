"""Checks of what an application asks for, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from session_store._core.extension import check_count, check_int, kind_of
from session_store.conversations._core.values import UNSET, NewMessage, ms_of

ROLES = {"user": "u", "assistant": "a", "system": "s", "developer": "d", "tool": "t", "other": "o"}
MOST_AT_ONCE = 1_000  # messages of a page, or of one call
MOST_OF_A_KEY = 200  # bytes
OPEN = frozenset(
    {"u", "a", "st"}
)  # the fields of what is told of a conversation that are kept as they are: no codec is asked


def optional_int(value: int | None, argument: str) -> object:
    """The same, or nothing, as scripts take it."""
    return "" if value is None else check_int(value, argument)


def checked_limit(limit: int) -> int:
    """How many messages a page may have."""
    if check_count(limit, "limit") > MOST_AT_ONCE:
        raise ValueError(f"limit must be at most {MOST_AT_ONCE}, got {limit}")
    return limit


def letters(roles: Iterable[str] | None) -> str | None:
    """The letters of some roles; '' for all of them, None for none."""
    if roles is None:
        return ""
    if isinstance(roles, str):
        raise TypeError("roles must be a collection of roles, not one str")
    return "".join(letter(role) for role in roles) or None


def letter(role: object) -> str:
    """The letter of a role."""
    if not isinstance(role, str):
        raise TypeError(f"role must be a str, got {kind_of(role)}")
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}")
    return ROLES[role]


def bound(value: int | datetime | None, argument: str) -> str:
    """A bound of a page, as the script takes it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"t{checked_time(value, argument)}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{argument} must be the number of a message or a datetime, got {kind_of(value)}")
    return f"s{check_int(value, argument)}"


def checked_time(value: datetime, argument: str) -> int:
    """A time, in milliseconds since the epoch. One without a zone would be another time on another machine."""
    if not isinstance(value, datetime):
        raise TypeError(f"{argument} must be a datetime, got {kind_of(value)}")
    if value.tzinfo is None:
        raise ValueError(f"{argument} must be a datetime with a time zone")
    return ms_of(value)


def checked_messages(messages: Iterable[NewMessage]) -> list[NewMessage]:
    """Messages that can be added."""
    listed = list(messages)
    if len(listed) > MOST_AT_ONCE:
        raise ValueError(f"at most {MOST_AT_ONCE} messages at once, got {len(listed)}")
    keys = set()
    for message in listed:
        if not isinstance(message, NewMessage):
            raise TypeError(f"messages must be NewMessages, got {kind_of(message)}")
        letter(message.role)
        check_int(message.tokens, "tokens")
        if message.key is not None:
            if key_bytes(message.key) in keys:
                raise ValueError("two of the messages have one key")
            keys.add(key_bytes(message.key))
    return listed


def key_bytes(key: str | None) -> bytes:
    """A key as it is stored."""
    if key is None:
        return b""
    if not isinstance(key, str):
        raise TypeError(f"key must be a str, got {kind_of(key)}")
    data = _utf8(key, "key")
    if not 1 <= len(data) <= MOST_OF_A_KEY:
        raise ValueError(f"key must have 1 to {MOST_OF_A_KEY} bytes as UTF-8, got {len(data)}")
    return data


def label(value: object, argument: str) -> str | None:
    """A user, an agent or a status."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, got {kind_of(value)}")
    if not value:
        raise ValueError(f"{argument} must not be empty")
    _utf8(value, argument)
    return value


def checked_tags(tags: Any, argument: str = "tags") -> tuple[str, ...]:
    """A collection of str."""
    if isinstance(tags, str):
        raise TypeError(f"{argument} must be a collection of str, not one str")
    listed = tuple(tags)
    for tag in listed:
        if not isinstance(tag, str):
            raise TypeError(f"{argument} must be a collection of str, got {kind_of(tag)} in it")
    return listed


def told_of(*, user: Any, agent: Any, status: Any, title: Any, tags: Any, metadata: Any) -> dict[str, Any]:
    """What is to be told of a conversation, by field: None for nothing. What is UNSET is left out."""
    texts = {"u": (user, "user"), "a": (agent, "agent"), "st": (status, "status"), "t": (title, "title")}
    told: dict[str, Any] = {
        field: label(value, argument) for field, (value, argument) in texts.items() if value is not UNSET
    }
    if told.get("st", "") is None:
        raise ValueError("status must not be None")
    if tags is not UNSET:
        told["g"] = None if tags is None else list(checked_tags(tags)) or None
    if metadata is not UNSET:
        told["x"] = metadata
    return told


def _utf8(value: str, argument: str) -> bytes:
    """A str as it is stored."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        pass  # raised anew below: this error carries the value
    raise ValueError(f"{argument} must be a str without lone surrogates: they have no UTF-8 form")
