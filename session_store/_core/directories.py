"""Directories, decided: their keys, their cursors, and what a page of them holds."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from session_store._core.arguments import kind_of, shorten
from session_store._core.names import KeySpace
from session_store._core.scripts import LIBRARY, Script

T = TypeVar("T")

Order = Literal["created", "active"]
GRACE_MS = 60_000  # how long a member may be named before there is anything under its name
LEAST_LOOKED_AT = 64  # members that are read together, since some may have ended
_MOST_REFRESHED_MS = 60_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FOLDER = LIBRARY / "directory"

ADD, PAGE, REMOVE = (Script(name, folder=_FOLDER) for name in ("add", "page", "remove"))


class Entry(NamedTuple):
    """A member of a directory. `created_at`, `active_at`: seconds since the epoch, by the server's clock."""

    name: str
    created_at: float
    active_at: float

    def __repr__(self) -> str:
        return f"Entry(created_at={self.created_at}, active_at={self.active_at}, ...)"  # a name may be a credential


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list. `cursor`: where the next page begins, None behind the last one."""

    items: tuple[T, ...]
    cursor: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Member(NamedTuple):
    """A member as `page.lua` tells of it."""

    name: bytes
    time: bytes  # by which the list is ordered
    entry: Entry


class Listing:
    """Where the members of one value are named, in one order."""

    __slots__ = ("_digest", "_order", "keys")

    def __init__(self, keyspace: KeySpace, name: str, value: str, order: str = "created") -> None:
        if not isinstance(value, str):
            raise TypeError(f"value must be a str, got {kind_of(value)}")
        if order not in ("created", "active"):
            raise ValueError(f"order must be 'created' or 'active', got {shorten(order)}")
        self._order = order
        self._digest = blake2s(value.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        base = keyspace.written(f"~dir.{name}.{self._digest}")
        created, active = (f"{base}{slot}".encode() for slot in ("created", "active"))
        self.keys = (created, active) if order == "created" else (active, created)

    def members(self, reply: list[Any]) -> list[Member]:
        """What a reply of `page.lua` names."""
        found = []
        for name, time, other in zip(reply[1::3], reply[2::3], reply[3::3], strict=True):
            created, active = (time, other) if self._order == "created" else (other, time)
            found.append(Member(name, time, Entry(name.decode(), float(created) / 1000, float(active) / 1000)))
        return found

    def cursor(self, last: Member) -> str:
        """Where to go on behind a member."""
        return urlsafe_b64encode(b"%b:%b:%b" % (self._mark, last.time, last.name)).decode().rstrip("=")

    def behind(self, cursor: str | None) -> tuple[bytes, bytes]:
        """The time and the member to go on behind. Raises `ValueError` for what is no cursor of this list."""
        if cursor is None:
            return b"", b""
        try:
            mark, time, name = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).split(b":", 2)
        except (TypeError, ValueError, binascii.Error):
            mark = time = name = b""
        if mark != self._mark or not re.fullmatch(rb"[0-9.e+]+", time):
            raise ValueError("cursor must be one that a page of this list, in this order, has given")
        return time, name

    @property
    def _mark(self) -> bytes:
        return f"{self._order}.{self._digest[:8]}".encode()


def check_name(name: str) -> str:
    """A directory's name."""
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        got = shorten(name) if isinstance(name, str) else kind_of(name)
        raise ValueError(f"name must be 1 to 64 ASCII letters, digits, dashes and underscores, got {got}")
    return name


def refreshed_ms(ttl_ms: int) -> int:
    """For how long a member is not told anew that it is active: so that busy ones cost few writes."""
    return min(_MOST_REFRESHED_MS, ttl_ms // 4)


def still_dead(reply: list[Any]) -> int:
    """Members that have not been added since then have ended: milliseconds since the epoch, by the time of a reply."""
    return int(reply[0]) - GRACE_MS
