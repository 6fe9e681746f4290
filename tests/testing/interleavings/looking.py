"""Looks at the server's keys at every step of every schedule: a process that is killed there leaves them so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.backends import Found, misplaced

from session_store.testing.interleavings.moves import END, Option
from session_store.testing.interleavings.stage import Stage

_LONGEST_LEASE_MS = 1000


def found(stage: Stage) -> Found:
    """All keys, with what they have left and what an index says."""
    db = stage.server.dbs[0]
    keys: Found = {}
    for key in list(db):
        at = db[key].expireat
        left = -1 if at is None else round((at - db.time) * 1000)
        keys[key] = (left, dict(db[key].value) if key.endswith(b":~index") else None)
    return keys


class Onlooker:
    """What was seen: how many points of schedules, at how many somebody held a lock, and in how many at the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.points = self.locked = self.left = 0
        options_of = Stage._options

        def look(stage: Stage, *args: Any) -> Sequence[Option]:
            options = options_of(stage, *args)
            keys = found(stage)
            # A slot that expires or is purged leaves the index behind, which is all right: it is named, and is gone.
            assert list(misplaced(keys)) == []
            now_ms = stage.server.dbs[0].time * 1000
            locks = [
                int(lock.partition(b":")[0])
                for _, fields in keys.values()
                for name, lock in (fields or {}).items()
                if name.startswith(b"~lock:")
            ]
            self.points += 1
            self.locked += bool(locks)
            self.left += bool(locks) and options[0].move == END
            assert all(now_ms < end <= now_ms + _LONGEST_LEASE_MS for end in locks)
            return options

        monkeypatch.setattr(Stage, "_options", look)
