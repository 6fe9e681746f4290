"""What snapshots are to an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Saved:
    """A save that was done.

    - `revision`: what the next save of whoever knows this one gives as `expected`. It never comes back, also where the
      snapshot was deleted and made anew.
    - `tick`: the highest turn that was saved; None where no save has told one.
    - `expires_at`: when it ends if it is neither saved again nor touched.
    """

    revision: int
    tick: int | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """What was saved. `version`: the application's, of what was saved; the value is migrated from there. For the others see `Saved`."""

    value: T = field(repr=False)  # the state of somebody's session
    revision: int
    tick: int | None
    version: int
    saved_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a list tells of a snapshot. `size`: bytes of what was saved, as it is stored. For the others see `Snapshot`."""

    id: str = field(repr=False)  # may be a credential
    revision: int
    tick: int | None
    version: int
    size: int
    saved_at: datetime
    expires_at: datetime


class FailedSave(NamedTuple):
    """A save of a writer that was not done. `error`: why; `TimeoutError` where it is not known yet."""

    id: str
    tick: int | None
    error: Exception

    def __repr__(self) -> str:
        return f"FailedSave(tick={self.tick}, error={type(self.error).__name__}, ...)"
