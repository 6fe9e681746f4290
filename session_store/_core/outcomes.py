"""What scripts answer, beside values and counts: the first element of a reply that is a list."""

from __future__ import annotations

from typing import Any, Final

FENCED: Final = b"fenced"  # refused: a fence stands
WRONG_TYPE: Final = b"type"  # refused: the slot of an operation, by its number, holds something else
STALE: Final = b"stale"  # refused: the token is of an earlier call of its producer
BEGAN: Final = b"began"  # the watched slots
LOCKED: Final = b"locked"  # another call holds the lock of a watched slot: its owner
COMMITTED: Final = b"committed"  # an earlier attempt has committed: its number
LOST: Final = b"lost"  # a watched slot was changed: what begin.lua would answer now
LISTED: Final = b"listed"  # the slots that the index names, where the call did not name them all
DONE: Final = b"done"  # followed by what was found


def outcome_of(reply: Any) -> bytes | None:
    """The outcome that a reply tells; None for an answer."""
    return reply[0] if isinstance(reply, list) else None
