"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

sleep = time.sleep


def run_test(test: Callable[[], None]) -> None:
    """Runs a test."""
    __tracebackhide__ = True
    test()


def gather(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """The results of calls that are under way together, each in a thread."""
    waiting = list(calls)
    with ThreadPoolExecutor(max_workers=len(waiting)) as pool:
        futures = [pool.submit(call) for call in waiting]
        return [future.result() for future in futures]
