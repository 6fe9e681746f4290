"""Who is next among the writers of one process. It only decides: those who wait do so elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet


class Waiter(Protocol):
    """A place in a line."""

    def prepare(self) -> None:
        """It is going to wait."""

    def wake(self) -> bool:
        """Ends its waiting, from any thread; False where nobody can be waiting any more."""


class _Line:
    """Those who want to write to one key; the first one does."""

    __slots__ = ("since", "waiters")

    def __init__(self, now: float) -> None:
        self.waiters: deque[Waiter] = deque()
        self.since = now  # when the first one became the first


class Lines:
    """The lines of one store, by key: first come, first served.

    Nobody has to wait: a line orders those who do. The first of a line who takes longer than `lease` seconds loses its
    place to the next one, so two who wait for each other, or for one that never comes back, do not do so for ever.
    """

    __slots__ = ("__weakref__", "_clock", "_lease", "_lines", "_lock")

    def __init__(self, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self.clear()
        _all.add(self)

    def clear(self) -> None:
        """Forgets everybody: in a forked process, which has the lines of its parent, but not those who wait in them."""
        self._lines: dict[bytes, _Line] = {}
        self._lock = threading.Lock()  # held for a few steps, never while anybody waits

    def join(self, key: bytes, waiter: Waiter) -> bool:
        """Whether the one who joins the line of a key is its first."""
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line(self._clock())
            else:
                waiter.prepare()
            line.waiters.append(waiter)
            return len(line.waiters) == 1

    def is_first(self, key: bytes, waiter: Waiter) -> bool:
        """Whether one who has been waiting is the first by now; the one before it may have had its lease."""
        with self._lock:
            line = self._lines[key]
            if line.waiters[0] is not waiter and self._clock() - line.since >= self._lease:
                line.waiters.popleft()
                self._advance(key, line)
            return line.waiters[0] is waiter

    def leave(self, key: bytes, waiter: Waiter) -> None:
        """Takes one out of the line, wherever it stands, if it has not lost its place."""
        with self._lock:
            line = self._lines.get(key)
            if line is None or waiter not in line.waiters:
                return
            was_first = line.waiters[0] is waiter
            line.waiters.remove(waiter)
            if was_first:
                self._advance(key, line)

    def _advance(self, key: bytes, line: _Line) -> None:
        line.since = self._clock()
        while line.waiters and not line.waiters[0].wake():
            line.waiters.popleft()
        if not line.waiters:
            del self._lines[key]


_all: WeakSet[Lines] = WeakSet()


def _clear_all() -> None:
    for lines in _all:
        lines.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # where processes fork
    os.register_at_fork(after_in_child=_clear_all)
