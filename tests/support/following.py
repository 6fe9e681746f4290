"""Followers of channels, and what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import redis

from session_store.channels import Event
from support.proxy import PATIENCE


class Following:
    """A task that follows: `events` so far. `end`: waits for its end, and raises what ended it."""

    def __init__(self, events: AsyncIterator[Event[Any]], each: Callable[[Event[Any]], Any] = bool) -> None:
        self.events: list[Event[Any]] = []
        self._more = asyncio.Event()
        self.task = asyncio.ensure_future(self._run(events, each))
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # else asyncio logs it

    async def _run(self, events: Any, each: Callable[[Event[Any]], Any]) -> None:
        try:
            async for event in events:
                self.events.append(event)
                self._more.set()
                if asyncio.iscoroutine(result := each(event)):
                    await result
        finally:
            self._more.set()
            await events.aclose()

    @property
    def data(self) -> list[Any]:
        return [event.data for event in self.events]

    @property
    def numbers(self) -> list[int]:
        return [int(event.id.partition(".")[2]) for event in self.events]

    async def until(self, count: int) -> None:
        """Waits for so many events; raises what ended it before."""
        async with _limit():
            while len(self.events) < count:
                self._more.clear()
                if self.task.done():
                    self.task.result()
                    raise AssertionError(f"it ended after {len(self.events)} events")
                await self._more.wait()

    async def end(self) -> list[Any]:
        """The data of all events."""
        done, _ = await asyncio.wait([self.task], timeout=PATIENCE)
        assert done, f"it goes on after {len(self.events)} events"
        self.task.result()
        return self.data

    async def leave(self) -> None:
        self.task.cancel()
        done, _ = await asyncio.wait([self.task], timeout=PATIENCE)
        assert done, "it goes on though it was cancelled"


@asynccontextmanager
async def _limit() -> AsyncIterator[None]:
    """Cancels what takes too long; `asyncio.timeout` came with Python 3.11."""
    task: Any = asyncio.current_task()
    handle = asyncio.get_running_loop().call_later(PATIENCE, task.cancel)
    try:
        yield
    finally:
        handle.cancel()


async def until(holds: Callable[[], Any], what: str) -> None:
    """Waits until something holds that another task or process has to do; it may be a coroutine's result."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        result = holds()
        if await result if asyncio.iscoroutine(result) else result:
            return
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.01)


def subscribers(admin: redis.Redis, channel: Any) -> int:
    """How many connections hear the bell of a channel."""
    return int(dict(admin.pubsub_numsub(channel._log.bell))[channel._log.bell.encode()])


async def until_heard(admin: redis.Redis, *channels: Any, by: int = 1) -> None:
    """Waits until so many connections hear their bells."""
    for channel in channels:
        await until(lambda: subscribers(admin, channel) == by, "nobody subscribed, or somebody stays")


def others() -> set[asyncio.Task[Any]]:
    """The tasks of the loop beside this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
