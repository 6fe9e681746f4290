"""Snapshots: the state of an agent, saved after each turn, which no late, older or unknowing save can spoil."""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily
from session_store.errors import RevisionConflictError

if TYPE_CHECKING:
    from session_store.snapshots._async.snapshots import AsyncSnapshots
    from session_store.snapshots._async.writer import AsyncSnapshotWriter
    from session_store.snapshots._core.values import FailedSave, Saved, Snapshot, SnapshotInfo
    from session_store.snapshots._sync.snapshots import Snapshots
    from session_store.snapshots._sync.writer import SnapshotWriter
    from session_store.snapshots.errors import SnapshotVersionError, StaleSnapshotError

# Each name is loaded when it is first used, as in the package.
_HOMES = {
    "_async.snapshots": ("AsyncSnapshots",),
    "_async.writer": ("AsyncSnapshotWriter",),
    "_core.values": ("FailedSave", "Saved", "Snapshot", "SnapshotInfo"),
    "_sync.snapshots": ("Snapshots",),
    "_sync.writer": ("SnapshotWriter",),
    "errors": ("SnapshotVersionError", "StaleSnapshotError"),
}

__all__ = [
    "AsyncSnapshotWriter",
    "AsyncSnapshots",
    "FailedSave",
    "RevisionConflictError",
    "Saved",
    "Snapshot",
    "SnapshotInfo",
    "SnapshotVersionError",
    "SnapshotWriter",
    "Snapshots",
    "StaleSnapshotError",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
