"""How often and how fast a lost commit is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from session_store._core.numbers import check_count, check_wait, to_milliseconds

_SHORTEST_POLL, _LONGEST_POLL = 0.001, 0.004  # seconds


@dataclass(frozen=True)
class CasPolicy:
    """How `with_cas` goes on after an attempt that lost. Immutable; share it freely.

    - `max_retries`: attempts after the first; 3 means at most 4 attempts.
    - `backoff_base`: seconds; the wait before the first retry is random between 0 and this ("full jitter"), and its
      upper end doubles from one retry to the next.
    - `backoff_cap`: seconds; no wait is longer.

    - `turn_wait`: seconds that a call waits for its turn at most, in all; then it goes ahead without one. 0: there are no
      turns.
    - `turn_lease`: seconds that a writer can keep others waiting, by being slow or by having been killed.

    Turns keep writers from making each other lose: the calls of one store on the same slot go one after the other, and a
    writer that lost to another process takes the slot's turn, for which other processes wait. Nothing rests on them but
    speed, and that nobody starves. While there is a turn to wait for, there is no backoff.

    >>> CasPolicy(max_retries=10)
    CasPolicy(max_retries=10, backoff_base=0.004, backoff_cap=0.25, turn_wait=5.0, turn_lease=1.0)
    """

    max_retries: int = 3
    backoff_base: float = 0.004
    backoff_cap: float = 0.25
    turn_wait: float = 5.0
    turn_lease: float = 1.0

    def __post_init__(self) -> None:
        check_count(self.max_retries, "max_retries")
        check_wait(self.backoff_base, "backoff_base")
        check_wait(self.backoff_cap, "backoff_cap")
        check_wait(self.turn_wait, "turn_wait")
        to_milliseconds(check_wait(self.turn_lease, "turn_lease"), "turn_lease")

    def delay(self, retry: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait before a retry, counted from 1."""
        doublings = min(retry - 1, 32)  # the cap is long reached; 2.0 ** 1024 would overflow
        return uniform(0, min(self.backoff_cap, self.backoff_base * 2.0**doublings))

    def poll(self, look: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait before the next look whether a turn has been given back, counted from 1."""
        longest = min(_LONGEST_POLL, _SHORTEST_POLL * 2.0 ** min(look, 32))
        return uniform(longest / 2, longest)
