"""Which saves of a writer wait, and of which snapshots one is on its way."""

from __future__ import annotations

import threading

from session_store.snapshots._core.records import Save
from session_store.snapshots._core.values import FailedSave


class Pending:
    """At most one save of each snapshot is on its way, and at most one waits: the newest. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Save] = {}
        self._busy: dict[str, Save] = {}
        self._failed: dict[str, FailedSave] = {}  # the latest of each snapshot

    def offer(self, save: Save) -> bool:
        """Takes a save, in place of one that waits unless that is of a later turn. Whether nobody sends this snapshot's."""
        with self._lock:
            waits = self._waiting.get(save.id)
            if waits is None or waits.tick is None or save.tick is None or save.tick >= waits.tick:
                self._waiting[save.id] = save
            is_idle = save.id not in self._busy
            if is_idle:
                self._busy[save.id] = self._waiting[save.id]
            return is_idle

    def next(self, name: str) -> Save | None:
        """The save to be sent; none, and nobody sends this snapshot's any more."""
        with self._lock:
            save = self._waiting.pop(name, None)
            if save is None:
                del self._busy[name]
            else:
                self._busy[name] = save
            return save

    def fail(self, save: Save, error: Exception) -> FailedSave:
        """Takes note of a save that was not done."""
        failed = FailedSave(save.id, save.tick, error)
        with self._lock:
            self._failed[save.id] = failed
        return failed

    def drained(self) -> list[FailedSave]:
        """What has failed since this was asked last, and what is not done yet."""
        with self._lock:
            failed, self._failed = self._failed, {}
            unknown = TimeoutError("the save was not done in time; it may be done later")
            return [*failed.values(), *(FailedSave(save.id, save.tick, unknown) for save in self._busy.values())]
