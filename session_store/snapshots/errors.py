"""What can go wrong with a snapshot, beyond the errors of the store, which pass through unchanged.

As there: the text and the repr of an error show no id and no content.
"""

from __future__ import annotations

from session_store.errors import SessionStoreError


class StaleSnapshotError(SessionStoreError):
    """A snapshot of a later turn was saved before. Nothing was written. Attributes: `tick`, `stored`."""

    def __init__(self, tick: int, stored: int) -> None:
        super().__init__(tick, stored)
        self.tick = tick
        self.stored = stored

    def __str__(self) -> str:
        return f"a snapshot of turn {self.stored} is there already, and this one is of turn {self.tick}"


class SnapshotVersionError(SessionStoreError):
    """What was saved is of a version that this program cannot read: a newer one, or an older one without `migrate`.

    Attributes: `stored`, `version` (this program's).
    """

    def __init__(self, stored: int, version: int) -> None:
        super().__init__(stored, version)
        self.stored = stored
        self.version = version

    def __str__(self) -> str:
        is_newer = self.stored > self.version
        why = "a newer program has saved it" if is_newer else "an older one has, and no `migrate` was given"
        return f"the snapshot is of version {self.stored}, and this program of {self.version}: {why}"
