"""What becomes of a session when its response begins: one table, without I/O."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

NOT_SAVED = 500  # statuses from here on: the request has failed, and what it did to the session with it
NO_LOGIN = 400  # statuses from here on: whoever was to be logged in was not


class Step(Enum):
    """What is to be done in Redis."""

    NOTHING = "nothing"
    CREATE = "create"
    SAVE = "save"
    LOGIN = "login"
    LOGOUT = "logout"


class Facts(NamedTuple):
    """What is known of a request."""

    status: int
    exists: bool  # the session, when the request began or by what it did since
    is_empty: bool
    was_cleared: bool  # by the application, at one go
    is_changed: bool
    owner: str | None
    wanted_owner: str | None  # by the key that tells of logins; the owner where there is none


def decide(facts: Facts) -> Step:
    """What is to be done. A session that was emptied has ended; one that somebody is logged in to, if it was cleared."""
    was_cleared = facts.exists and facts.was_cleared
    if facts.status >= NOT_SAVED or not (facts.is_changed or was_cleared):
        return Step.NOTHING
    if facts.exists and facts.is_empty and (was_cleared or facts.owner is None):
        return Step.LOGOUT
    if facts.wanted_owner != facts.owner:
        step = Step.LOGOUT if facts.wanted_owner is None else Step.LOGIN
        return Step.NOTHING if facts.status >= NO_LOGIN else step
    return Step.SAVE if facts.exists else Step.CREATE
