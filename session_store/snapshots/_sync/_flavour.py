"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any


class _Left(Exception):  # noqa: N818  # it tells those who wait, and nobody else
    """Whoever did the work was struck by what is meant for that thread alone: an interrupt, a time limit."""


class Flights:
    """Work that is under way, by name: who wants the same meanwhile gets what comes of it."""

    def __init__(self) -> None:
        self._futures: dict[tuple[int, str], Future[Any]] = {}

    def share(self, name: str, work: Callable[[], Any]) -> Any:
        """What the work gives or raises. A caller that is struck while it does the work leaves it to the others."""
        flight = os.getpid(), name  # a forked process has no thread that would end its parent's work
        while True:
            own: Future[Any] = Future()
            other = self._futures.setdefault(flight, own)
            if other is own:
                return self._do(flight, own, work)
            try:
                return other.result()
            except _Left:
                continue

    def _do(self, flight: tuple[int, str], future: Future[Any], work: Callable[[], Any]) -> Any:
        try:
            result = work()
        except BaseException as error:
            del self._futures[flight]
            future.set_exception(error if isinstance(error, Exception) else _Left())
            raise
        del self._futures[flight]
        future.set_result(result)
        return result


def settled(result: Any) -> Any:
    """What an application's function gave."""
    return result


class Background:
    """Calls that nobody waits for, in a few threads; a process that ends waits for them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="session-store-writer")
        self._futures: set[Future[None]] = set()

    def start(self, call: Callable[[str], None], name: str) -> None:
        """Has a call go on by itself."""
        future = self._executor.submit(copy_context().run, call, name)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)

    def wait(self, seconds: float | None) -> None:
        """Waits until all have ended, for so long at most."""
        wait(self._futures.copy(), timeout=seconds)

    def close(self) -> None:
        """Waits until all have ended."""
        self._executor.shutdown()
