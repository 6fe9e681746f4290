"""What may be shown of a session to its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from session_store.errors import CodecError
from session_store.web._core.records import LABEL, OWNER, SLOT, Record


@dataclass(frozen=True)
class SessionInfo:
    """A session as its owner may see it. Times are seconds since the epoch, by the server's clock.

    - `id`: what `Sessions.end` takes, and what tells one's own by `session.id`; no secret.
    - `created`, `authenticated`: when it began, and when its owner logged in last.
    - `last_seen`: when it was used, give or take the policy's `renew_after`. `deadline`: when it ends at the latest.
    - `label`: what `login` was given.
    """

    id: str
    created: float
    authenticated: float
    last_seen: float
    deadline: float
    label: Any


def info_of(session_id: str, record: Record, codec: Any, owner: str) -> SessionInfo | None:
    """What is shown of one; None where it has another owner, or cannot be read."""
    fields = record.fields
    if "~secret" not in fields or OWNER not in fields:
        return None
    try:
        if codec.decode(SLOT, fields[OWNER], OWNER) != owner:
            return None
        label = codec.decode(SLOT, fields[LABEL], LABEL) if LABEL in fields else None
    except CodecError:
        return None
    created, authenticated, last_seen, deadline = (
        (record.ms(name) or 0) / 1000 for name in ("created", "auth", "renewed", "deadline")
    )
    return SessionInfo(session_id, created, authenticated, last_seen, deadline, label)
