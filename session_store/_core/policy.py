"""How often and how fast a lost commit is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from session_store._core.numbers import check_count, check_wait


@dataclass(frozen=True)
class CasPolicy:
    """How `with_cas` goes on after an attempt that lost. Immutable; share it freely.

    - `max_retries`: attempts after the first; 3 means at most 4 attempts.
    - `backoff_base`: seconds; the wait before the first retry is random between 0 and this ("full jitter"), and its
      upper end doubles from one retry to the next.
    - `backoff_cap`: seconds; no wait is longer.

    >>> CasPolicy(max_retries=10)
    CasPolicy(max_retries=10, backoff_base=0.004, backoff_cap=0.25)
    """

    max_retries: int = 3
    backoff_base: float = 0.004
    backoff_cap: float = 0.25

    def __post_init__(self) -> None:
        check_count(self.max_retries, "max_retries")
        check_wait(self.backoff_base, "backoff_base")
        check_wait(self.backoff_cap, "backoff_cap")

    def delay(self, retry: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait before a retry, counted from 1."""
        doublings = min(retry - 1, 32)  # the cap is long reached; 2.0 ** 1024 would overflow
        return uniform(0, min(self.backoff_cap, self.backoff_base * 2.0**doublings))
