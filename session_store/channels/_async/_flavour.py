"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Repeating:
    """A call that is made again and again in the background, until it says that it is of no use any more."""

    def __init__(self, call: Callable[[], Coroutine[Any, Any, bool]], seconds: float) -> None:
        self._is_stopped = False
        self._task = asyncio.get_running_loop().create_task(self._run(call, seconds))

    async def _run(self, call: Callable[[], Coroutine[Any, Any, bool]], seconds: float) -> None:
        goes_on = True
        while goes_on and not self._is_stopped:  # before Python 3.12, a call may lose its cancellation
            await asyncio.sleep(seconds)
            goes_on = await call()

    async def stop(self) -> None:
        """Ends it; a call that is under way is cancelled."""
        self._is_stopped = True
        self._task.cancel()
        await asyncio.wait([self._task])


async def together(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """What calls give that may be made at the same time."""
    return list(await asyncio.gather(*(call() for call in calls)))


_leaving: set[asyncio.Task[None]] = set()  # asyncio keeps no task alive


async def to_its_end(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Does a step that is to be done though the task is cancelled, again and again, as anyio's scopes do."""
    task = asyncio.get_running_loop().create_task(step())
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)
    await asyncio.shield(task)
