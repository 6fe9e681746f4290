"""How often and how fast a lost commit is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from session_store._core.arguments import check_count, check_wait, to_milliseconds

_SHORTEST_POLL, _LONG_POLL, _LONGEST_POLL = 0.001, 0.004, 0.1  # seconds; the longest while closures are slow


@dataclass(frozen=True)
class CasPolicy:
    """How `with_cas` goes on after an attempt that lost. Immutable; share it freely.

    - `max_retries`: attempts after the first; 3 means at most 4 attempts.
    - `backoff_base`: seconds; the wait before the first retry is random between 0 and this ("full jitter"), and its
      upper end doubles from one retry to the next.
    - `backoff_cap`: seconds; no wait is longer.

    - `lock_ttl`: seconds that a slot's lock is held at most without being taken again, by a writer that is slow or was
      killed; longer where the store has seen closures take more than half of it.
    - `lock_timeout`: seconds that a call waits for one and the same holder of the lock before it goes ahead without. 0:
      there are no locks.

    Locks keep writers from making each other lose: the calls of one store on the same slot go one after the other, and a
    writer that lost, or whose closures are slow, takes the slot's lock, for which other processes wait. Nothing rests on
    them but speed, and that nobody starves. Where there are locks, there is no backoff.

    >>> CasPolicy(max_retries=10)
    CasPolicy(max_retries=10, backoff_base=0.004, backoff_cap=0.25, lock_ttl=1.0, lock_timeout=5.0)
    """

    max_retries: int = 3
    backoff_base: float = 0.004
    backoff_cap: float = 0.25
    lock_ttl: float = 1.0
    lock_timeout: float = 5.0

    def __post_init__(self) -> None:
        check_count(self.max_retries, "max_retries")
        check_wait(self.backoff_base, "backoff_base")
        check_wait(self.backoff_cap, "backoff_cap")
        to_milliseconds(check_wait(self.lock_ttl, "lock_ttl"), "lock_ttl")
        check_wait(self.lock_timeout, "lock_timeout")

    def delay(self, retry: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait before a retry, counted from 1."""
        doublings = min(retry - 1, 32)  # the cap is long reached; 2.0 ** 1024 would overflow
        return uniform(0, min(self.backoff_cap, self.backoff_base * 2.0**doublings))

    def poll(
        self, look: int, closure_seconds: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> float:
        """Seconds to wait before the next look whether a lock has been given back, counted from 1."""
        longest = min(_LONGEST_POLL, max(_LONG_POLL, closure_seconds / 16))
        pause = min(longest, _SHORTEST_POLL * 2.0 ** min(look, 32))
        return uniform(pause / 2, pause)
