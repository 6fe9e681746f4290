"""How a snapshot lies in Redis: what scripts take and give, and what that is to an application."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from session_store._core.extension import Script, kind_of, moment
from session_store.errors import RevisionConflictError
from session_store.snapshots._core.values import Saved, Snapshot, SnapshotInfo
from session_store.snapshots.errors import StaleSnapshotError

T = TypeVar("T")

SLOT = "snapshot"
BODY = "b"
APART = 262_144  # bytes: what is larger takes a connection of its own, so that it delays nobody
_FOLDER = files("session_store.snapshots") / "lua"
SAVE, DROP = (Script(name, "prelude", "once", "snapshot", folder=_FOLDER) for name in ("save", "drop"))
LOAD, TOLD = (Script(name, "prelude", "snapshot", folder=_FOLDER) for name in ("load", "told"))
_MOST_TOLD = 10_000


class Save(NamedTuple):
    """A save, encoded and checked: what is changed afterwards does not show."""

    id: str
    body: bytes
    tick: int | None
    expected: int | None
    owner: str | None
    ttl_ms: int

    def args(self, version: int, told_ms: int, *, is_listed: bool, lifted: bytes) -> tuple[object, ...]:
        """ARGV of the script."""
        tick, expected = ("" if number is None else number for number in (self.tick, self.expected))
        owner = "" if self.owner is None else f"={self.owner}"
        return (self.ttl_ms, self.body, version, tick, expected, owner, told_ms, int(is_listed), lifted)


class Told:
    """Whose lists this process has told of which snapshots, not long ago. Forgets when there are too many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[tuple[str, str], float] = {}

    def knows(self, name: str, owner: str, now: float) -> bool:
        """Whether it was told in the last seconds."""
        return self._ends.get((name, owner), 0) > now

    def note(self, name: str, owner: str, now: float) -> None:
        """It was told."""
        if len(self._ends) >= _MOST_TOLD:
            self._ends.clear()
        self._ends[name, owner] = now + self._seconds


def checked_owner(owner: str) -> str:
    """Whose a snapshot is: any text that can be stored."""
    if not isinstance(owner, str):
        raise TypeError(f"owner must be a str, got {kind_of(owner)}")
    try:
        owner.encode()
    except UnicodeEncodeError:
        raise ValueError("owner must be a str that has a UTF-8 form") from None
    return owner


def read_saved(answer: bytes, save: Save) -> Saved:
    """What a save has answered; raises what it says where nothing was done."""
    what, _, rest = answer.decode().partition(":")
    if what == "conflict":
        raise RevisionConflictError(save.expected or 0, int(rest))
    if what == "stale":
        raise StaleSnapshotError(save.tick or 0, int(rest))
    revision, tick, now, ttl = rest.split(":")
    return Saved(int(revision), int(tick) if tick else None, moment(int(now) + int(ttl)))


class Found(NamedTuple):
    """A snapshot as scripts tell of it. `body`: None where it was not sent along."""

    now_ms: int
    left_ms: int
    size: int
    revision: int
    tick: int | None
    version: int
    saved_ms: int
    ttl_ms: int
    owner: bytes | None
    body: bytes | None

    def info(self, name: str) -> SnapshotInfo:
        """What a list tells of it."""
        times = moment(self.saved_ms), moment(self.now_ms + self.left_ms)
        return SnapshotInfo(name, self.revision, self.tick, self.version, self.size, *times)

    def snapshot(self, value: T, left_ms: int) -> Snapshot[T]:
        """What was saved, with its value as it is to be used."""
        times = moment(self.saved_ms), moment(self.now_ms + left_ms)
        return Snapshot(value, self.revision, self.tick, self.version, *times)


def read_found(reply: list[Any]) -> Found:
    """What `told` of snapshot.lua gives, and the body behind it."""
    now, left, size, revision, tick, version, saved, ttl, owner, *body = reply
    numbers = (
        int(now),
        left,
        size,
        int(revision),
        None if tick is None else int(tick),
        int(version),
        int(saved),
        int(ttl),
    )
    return Found(*numbers, owner, body[0] if body else None)
