"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Repeating:
    """A call that is made again and again in the background, until it says that it is of no use any more."""

    def __init__(self, call: Callable[[], bool], seconds: float) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call, seconds), daemon=True, name="session-store-lease")
        self._thread.start()

    def _run(self, call: Callable[[], bool], seconds: float) -> None:
        goes_on = True
        while goes_on and not self._stopped.wait(seconds):
            goes_on = call()

    def stop(self) -> None:
        """Ends it, when a call that is under way has."""
        self._stopped.set()
        self._thread.join()


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What calls give that may be made at the same time; here one after another."""
    return [call() for call in calls]


def to_its_end(step: Callable[[], None]) -> None:
    """Does a step."""
    step()
