"""Cancels a call at each of its waits in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from support.proxy import PATIENCE

MOST_WAITS = 200  # of one call; far more than any has
LEFT_BEHIND = "left behind by a closure"  # the name of a task

every_manner = pytest.mark.parametrize("manner", ["asleep", "waking", "stubborn"])


class Cancelling:
    """Awaits a coroutine, and cancels it at its n-th wait.

    - asleep: as it begins to wait, so that what it waits for is cancelled too;
    - waking: when what it waited for has happened, but it does not know yet;
    - stubborn: as it begins to wait, and at every wait after that.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: int, manner: str) -> None:
        self._coroutine = coroutine
        self._at = at
        self._manner = manner
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        go_on: Callable[[Any], Any] = self._coroutine.send
        with_what: Any = None
        while True:
            try:
                future = go_on(with_what)
            except StopIteration as stop:
                return stop.value
            self.waits += 1
            due = self.waits == self._at
            if (due and self._manner == "asleep") or (self.waits >= self._at and self._manner == "stubborn"):
                asyncio.current_task().cancel()
            try:
                with_what = yield future
                go_on = self._coroutine.send
            except BaseException as error:
                go_on, with_what = self._coroutine.throw, error
            if due and self._manner == "waking":
                go_on, with_what = self._coroutine.throw, asyncio.CancelledError()


async def cancel_everywhere(
    call: Callable[[int], Coroutine[Any, Any, Any]], manner: str, check: Callable[[], Awaitable[object]]
) -> Any:
    """Makes a call again and again, cancelled at its first wait, its second, and so on; the outcome without."""
    for at in range(1, MOST_WAITS):
        cancelling = Cancelling(call(at), at, manner)
        task = asyncio.ensure_future(cancelling)
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.done()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if left := {other for other in others if other.get_name() == LEFT_BEHIND}:  # whom the pipeline's sender serves
            others = {other for other in others - left if other.get_coro().__name__ != "_send_all"}
        if manner == "stubborn":  # cancelled while it cleans up, a call leaves the rest of that to a task
            await asyncio.wait([*others, task], timeout=PATIENCE)
        else:
            assert not others
        await check()
        if cancelling.waits < at:
            assert at > 1  # something has been cancelled
            return await task
        if not task.cancelled():
            task.exception()  # the call may have been over, or nearly so
    raise AssertionError("a call without an end")
