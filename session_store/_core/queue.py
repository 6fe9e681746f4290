"""Locks of slots, on the side of one process: who is next, and for how long. It only decides; nobody waits here.

The calls of one store on a slot go one after the other, by a queue in the process; those of several processes by a lock on
the server (lua/locks.lua), for which the first of each queue waits. Both are advisory: nothing rests on them but speed,
and that nobody starves.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

_SLOW = 0.05  # seconds; a closure that takes longer is worth a lock from its first attempt on
_LONGEST_LEASE = 600  # seconds; lua/locks.lua takes a lock that ends later for one of a wrong clock
_FORGETS = 0.9  # how much of the longest time is remembered from one closure to the next


class Waiter(Protocol):
    """How one who waits is woken."""

    def wake(self) -> bool:
        """Ends its waiting, from any thread; False where nobody can be waiting any more."""


class QueueEntry:
    """One call's place in the queue of a slot."""

    __slots__ = ("is_over", "key", "since", "waiter")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.waiter: Waiter | None = None  # of one that found others in the queue
        self.since: float | None = None  # when it became the first; None while it waits
        self.is_over = False  # given up, or lost to the next one


class Queues:
    """The queues of one store, by key: first come, first served.

    The first of a queue who takes longer than a lease loses its place to the next one, so one that hangs, or two who wait
    for each other, hold nobody up for longer than that. A lease is `lock_ttl` or, where closures take long, twice what
    they took: what the store has seen is kept as `closure_seconds`. A store that has seen none takes them for slow, and
    gives twice `lock_ttl`.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_lock",
        "_lock_ttl",
        "_queues",
        "closure_seconds",
        "is_slow",
        "lease",
        "lease_ms",
    )

    def __init__(self, lock_ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock_ttl = lock_ttl
        self._clock = clock
        self.closure_seconds: float | None = None
        self.is_slow = True  # whether closures take so long that it is worth a lock not to run one in vain
        self._lease(lock_ttl)
        self.clear()
        _all.add(self)

    def clear(self) -> None:
        """Forgets everybody: in a forked process, which has the queues of its parent, but not those who wait in them."""
        self._queues: dict[bytes, OrderedDict[QueueEntry, None]] = {}
        self._lock = threading.Lock()  # held for a few steps, never while anybody waits

    def _lease(self, seconds: float) -> None:
        """Sets how long a call may be the first, and hold a lock on the server: the lease, in seconds, and in milliseconds."""
        self.lease = self._lock_ttl if 2 * seconds < self._lock_ttl else min(2 * seconds, _LONGEST_LEASE)
        self.lease_ms = math.ceil(self.lease * 1000)

    def learn(self, seconds: float) -> None:
        """Takes note of how long a closure took."""
        self.closure_seconds = max(seconds, _FORGETS * (self.closure_seconds or 0))
        self.is_slow = self.closure_seconds > _SLOW
        self._lease(self.closure_seconds)

    def enter(self, key: bytes, make_waiter: Callable[[], Waiter]) -> QueueEntry:
        """Enters the queue of a key at its end; the first one does not have to wait."""
        entry = QueueEntry(key)
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = OrderedDict()
                entry.since = self._clock()
            else:
                entry.waiter = make_waiter()
            queue[entry] = None
        return entry

    def may_go(self, entry: QueueEntry) -> bool:
        """Whether one who waits may go on. The first one may have had its lease: then it loses its place."""
        with self._lock:
            if entry.since is None and not entry.is_over:
                queue = self._queues[entry.key]
                first = next(iter(queue))
                if first.since is not None and self._clock() - first.since >= self.lease:
                    self._take_out(first, queue)
            return entry.is_over or entry.since is not None

    def leave(self, entry: QueueEntry) -> None:
        """Gives up a place, wherever in the queue it is, if it has not been lost."""
        with self._lock:
            queue = self._queues.get(entry.key)
            if queue is not None and entry in queue:
                self._take_out(entry, queue)

    def _take_out(self, entry: QueueEntry, queue: OrderedDict[QueueEntry, None]) -> None:
        entry.is_over = True
        del queue[entry]
        while queue:
            first = next(iter(queue))
            if first.since is not None:
                return
            if first.waiter is not None and first.waiter.wake():
                first.since = self._clock()
                return
            first.is_over = True
            del queue[first]
        del self._queues[entry.key]


_all: WeakSet[Queues] = WeakSet()


def _clear_all() -> None:
    for queues in _all:
        queues.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # where processes fork
    os.register_at_fork(after_in_child=_clear_all)
