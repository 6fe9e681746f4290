"""How long what a thread has lives, and when all of it is renewed."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST = 10_000  # threads that are remembered; one that was forgotten is renewed once more than needed


class Renewals:
    """When the slots of threads end, so that no checkpoint outlives its values.

    What points to others (tips, `checkpoints`) lives for the TTL after a put. What they point to is written for half as long
    again, and renewed when a quarter of the TTL has passed.
    """

    def __init__(self, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl = ttl
        self.long_ttl = ttl * 1.5
        self._clock = clock
        self._renewed: dict[str, float] = {}

    def due(self, name: str) -> bool:
        """Whether a thread is to be renewed before it is written to."""
        last = self._renewed.get(name)
        return last is None or self._clock() - last >= self.ttl / 4

    def done(self, name: str, at: float) -> None:
        """It was renewed, by a call that began at this time."""
        self._renewed.pop(name, None)
        self._renewed[name] = at
        while len(self._renewed) > _MOST:
            self._renewed.pop(next(iter(self._renewed)), None)

    def now(self) -> float:
        return self._clock()
