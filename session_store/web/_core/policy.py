"""How long sessions live, and what happens where requests meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from session_store._core.extension import Duration, check_count, check_wait, kind_of, to_milliseconds

T = TypeVar("T")
Merge = Callable[
    [Any, Any, Any], Any
]  # of what was loaded, what is stored, and what this request has; None where nothing is
Conflicts = Literal["last", "raise"] | Mapping[str, Merge]
_MOST_RENEWED_AFTER_MS = 3_600_000
FLASHES = "_flashes"  # Flask's name for it; [category, text], ..


@dataclass(frozen=True)
class SessionPolicy:
    """How long sessions live, and what happens where requests of one session meet. Durations: seconds or timedelta.

    - `idle`: how long a session lives that is not used. A used one lives on, up to
    - `lifetime`: which nothing but a login makes longer.
    - `anonymous_idle`: `idle` before a login, where that is to be shorter.
    - `renew_after`: a page view may write once in this time, to have the session live on. It ends `idle` after its last
      use or up to this much later. None: a tenth of `idle`, an hour at most.
    - `grace`: seconds for which requests that began before a login may still save; after it they are refused.
    - `fence`: how long after a logout writes are refused to whoever writes to the namespace without `existing`.
    - `max_per_owner`, `at_limit`: how many sessions an owner may have; one more is to "end-oldest" or to "refuse".
    - `owner_key`: a key that the application sets when somebody logs in, as Flask-Login sets "_user_id": a change of it is
      a login or a logout.
    - `conflicts`: where a request has read and changed a key, and another has changed it meanwhile: "last" one wins,
      "raise" `SessionConflictError`, or a mapping of keys to `merge(loaded, stored, mine)`, which gives the value to keep;
      for other keys the last one wins. None stands for no value, given and returned.
    - `on_ended`: a save that finds that its session has ended is dropped without a word, as if it had come before
      ("drop"), or is a `SessionEndedError` ("raise").
    - `max_bytes`: of keys and values of one session.

    Raises `TypeError` and `ValueError`.
    """

    idle: Duration
    lifetime: Duration
    anonymous_idle: Duration | None = None
    renew_after: Duration | None = None
    grace: float = 0.0
    fence: Duration = 3_600.0
    max_per_owner: int | None = None
    at_limit: Literal["end-oldest", "refuse"] = "end-oldest"
    owner_key: str | None = None
    conflicts: Conflicts = "last"
    on_ended: Literal["drop", "raise"] = "drop"
    max_bytes: int = 65_536

    def __post_init__(self) -> None:
        idle, lifetime = to_milliseconds(self.idle, "idle"), to_milliseconds(self.lifetime, "lifetime")
        if idle > lifetime:
            raise ValueError("idle must not be longer than lifetime")
        if self.anonymous_idle is not None and to_milliseconds(self.anonymous_idle, "anonymous_idle") > idle:
            raise ValueError("anonymous_idle must not be longer than idle")
        if self.renew_after is not None and to_milliseconds(self.renew_after, "renew_after") > idle:
            raise ValueError("renew_after must not be longer than idle")
        check_wait(self.grace, "grace")
        to_milliseconds(self.fence, "fence")
        if self.max_per_owner is not None and check_count(self.max_per_owner, "max_per_owner") == 0:
            raise ValueError("max_per_owner must be at least 1, or None")
        check_count(self.max_bytes, "max_bytes")
        for argument, value, allowed in (
            ("at_limit", self.at_limit, ("end-oldest", "refuse")),
            ("on_ended", self.on_ended, ("drop", "raise")),
        ):
            if value not in allowed:
                raise ValueError(f"{argument} must be {' or '.join(map(repr, allowed))}, got {kind_of(value)}")
        is_mapping = isinstance(self.conflicts, Mapping) and all(map(callable, self.conflicts.values()))
        if not is_mapping and self.conflicts not in ("last", "raise"):
            raise ValueError("conflicts must be 'last', 'raise', or a mapping of keys to functions")
        if self.owner_key is not None and not isinstance(self.owner_key, str):
            raise TypeError(f"owner_key must be a str or None, got {kind_of(self.owner_key)}")


def idle_ms(policy: SessionPolicy, *, has_owner: bool) -> int:
    """How long a session lives that is not used."""
    idle = policy.idle if has_owner or policy.anonymous_idle is None else policy.anonymous_idle
    return to_milliseconds(idle, "idle")


def renew_after_ms(policy: SessionPolicy, *, has_owner: bool) -> int:
    """How often it is renewed, at most."""
    idle = idle_ms(policy, has_owner=has_owner)
    if policy.renew_after is not None:
        return min(to_milliseconds(policy.renew_after, "renew_after"), idle)
    return min(idle // 10, _MOST_RENEWED_AFTER_MS)


def ttl_ms(policy: SessionPolicy, *, has_owner: bool) -> int:
    """The TTL that a renewal sets: `idle` after the last use, which may be as late as the next renewal."""
    return idle_ms(policy, has_owner=has_owner) + renew_after_ms(policy, has_owner=has_owner)


def with_idle(policy: SessionPolicy, idle: Duration) -> SessionPolicy:
    """The same for a session that has an `idle` of its own; the lifetime is the most that it can have."""
    most = min(to_milliseconds(idle, "idle"), lifetime_ms(policy))
    renew = None if policy.renew_after is None else min(to_milliseconds(policy.renew_after, "renew_after"), most) / 1000
    return replace(policy, idle=most / 1000, anonymous_idle=None, renew_after=renew)


def lifetime_ms(policy: SessionPolicy) -> int:
    """How long a session lives at most."""
    return to_milliseconds(policy.lifetime, "lifetime")


def has_a_say(policy: SessionPolicy, key: str) -> bool:
    """Whether it matters that another request has changed a key meanwhile."""
    return policy.conflicts == "raise" or merge_of(policy, key) is not None


def merge_of(policy: SessionPolicy, key: str) -> Merge | None:
    """How a key is merged that another request has changed as well; None where the last one wins."""
    if isinstance(policy.conflicts, Mapping) and key in policy.conflicts:
        return policy.conflicts[key]
    return merge_flashes if key == FLASHES else None


def merge_flashes(loaded: Any, stored: Any, mine: Any) -> Any:
    """Messages for the next page: those that were taken are gone, those that were added are there, whoever did it."""
    loaded, stored, mine = list(loaded or ()), list(stored or ()), list(mine or ())
    if mine[: len(loaded)] == loaded:
        return stored + mine[len(loaded) :]
    rest = stored[len(loaded) :] if stored[: len(loaded)] == loaded else stored
    return rest + mine or None
