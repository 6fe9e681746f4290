"""Cancels a call at each of its waits in turn."""

from __future__ import annotations

import asyncio
import sys
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
        self.may_pass_over = False  # whether it was cancelled where that may be lost

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
            self.may_pass_over = self.may_pass_over or (due and _may_pass_over(self._coroutine))
            if (due and self._manner == "asleep") or (self.waits >= self._at and self._manner == "stubborn"):
                asyncio.current_task().cancel()
            try:
                with_what = yield future
                go_on = self._coroutine.send
            except BaseException as error:
                go_on, with_what = self._coroutine.throw, error
            if due and self._manner == "waking":
                go_on, with_what = self._coroutine.throw, asyncio.CancelledError()

    def is_cancelled(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task that awaited it has ended as a cancelled one. Any other end is an error, raised here, except
        where the cancellation may have been lost: then the call goes on, and its end is for the test to judge."""
        if not task.cancelled() and not self.may_pass_over:
            raise AssertionError(
                f"cancelled at wait {self._at}, the call ended otherwise: {task!r}"
            ) from task.exception()
        return task.cancelled()


def _may_pass_over(coroutine: Any) -> bool:
    """Whether what a coroutine waits for may lose a cancellation, which is nothing that this library could mend.

    - `asyncio.wait_for` before Python 3.12, when the outcome is there already:
      https://github.com/python/cpython/issues/86296
    - redis-py before 8, when it looks whether a connection is clean with a timeout of 0: it takes it for that.
    """
    names = {"can_read_destructive"} | ({"wait_for"} if sys.version_info < (3, 12) else set())
    while coroutine is not None:
        code = getattr(coroutine, "cr_code", None)
        if code is not None and code.co_name in names:
            return True
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return False


def end_of(task: asyncio.Task[Any]) -> tuple[type[BaseException] | None, Any]:
    """How a task ended: the kind of its error, or what it returned."""
    error = task.exception()
    return (None, task.result()) if error is None else (type(error), None)


async def cancel_everywhere(
    call: Callable[[int], Coroutine[Any, Any, Any]],
    manner: str,
    check: Callable[[], Awaitable[object]],
    *,
    lingers: bool = False,
) -> Any:
    """Makes a call again and again, cancelled at its first wait, its second, and so on; the outcome without.

    Each must end as a cancelled one. Where the cancellation was lost, the end must be that of the call without. `lingers`: a
    call that is cancelled while it cleans up leaves the rest of that to a task.
    """
    passed_over: list[asyncio.Task[Any]] = []
    for at in range(1, MOST_WAITS):
        cancelling = Cancelling(call(at), at, manner)
        task = asyncio.ensure_future(cancelling)
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.done()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if left := {other for other in others if other.get_name() == LEFT_BEHIND}:  # whom the pipeline's sender serves
            others = {other for other in others - left if other.get_coro().__name__ != "_send_all"}
        if lingers or manner == "stubborn":  # in that manner every call does
            done, late = await asyncio.wait([*others, task], timeout=PATIENCE)
            assert not late
            assert all(other.cancelled() or other.exception() is None for other in done - {task})
        else:
            assert not others
        await check()
        if cancelling.waits < at:
            assert at > 1  # something has been cancelled
            assert [end_of(each) for each in passed_over] == [end_of(task)] * len(passed_over)
            return await task
        if not cancelling.is_cancelled(task):
            passed_over.append(task)
    raise AssertionError("a call without an end")
