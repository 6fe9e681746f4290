"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any


class Flights:
    """Work that is under way, by name: who wants the same meanwhile gets what comes of it."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Task[Any]] = {}

    async def share(self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What the work gives or raises. A caller that is cancelled leaves it to the others."""
        flight = asyncio.get_running_loop(), name
        task = self._tasks.get(flight)
        if task is None:
            task = self._tasks[flight] = flight[0].create_task(work())
            task.add_done_callback(lambda task: self._landed(flight, task))
        return await asyncio.shield(task)

    def _landed(self, flight: tuple[asyncio.AbstractEventLoop, str], task: asyncio.Task[Any]) -> None:
        del self._tasks[flight]
        if not task.cancelled():
            task.exception()  # all callers may have been cancelled, and asyncio would tell of an error that nobody has seen


async def settled(result: Any) -> Any:
    """What an application's function gave; if that is to be awaited, what comes of it."""
    return await result if inspect.isawaitable(result) else result


class Background:
    """Calls that nobody waits for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Callable[[str], Coroutine[Any, Any, None]], name: str) -> None:
        """Has a call go on by itself."""
        task = asyncio.get_running_loop().create_task(call(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float | None) -> None:
        """Waits until all have ended, for so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def close(self) -> None:
        """Waits until all have ended."""
        await self.wait(None)
