"""The timeout of a batch of replies (async only)."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from contextlib import suppress
from typing import Any

from redis.exceptions import TimeoutError


class ReplyTimeout:
    """Ends the reading of a batch when no reply has come for so many seconds: one timer, where redis-py has one a reply."""

    __slots__ = ("_batch", "_left", "_seconds", "_stalled", "_task", "_timer")

    def __init__(self, batch: Sized, seconds: float) -> None:
        self._batch = batch
        self._seconds = seconds
        self._task: Any = asyncio.current_task()
        self._stalled = False
        self._set()

    def _set(self) -> None:
        self._left = len(self._batch)
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def _look(self) -> None:
        if len(self._batch) < self._left:
            self._set()
        else:
            self._stalled = True
            self._task.cancel()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._timer.cancel()
        if not self._stalled:
            return
        if kind is None:  # the last reply came just after `_look` cancelled the task: that cancellation is to end here
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        by_others = hasattr(self._task, "uncancel") and self._task.uncancel()
        if kind is asyncio.CancelledError and not by_others:
            raise TimeoutError("Timeout reading from the server")
