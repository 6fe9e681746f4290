"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

sleep = asyncio.sleep


def run_test(test: Callable[[], Awaitable[None]]) -> None:
    """Runs a test in an event loop of its own, so that no plugin is needed."""
    __tracebackhide__ = True

    async def main() -> None:
        __tracebackhide__ = True
        await test()

    asyncio.run(main())


async def gather(calls: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """The results of calls that are under way together, each in a task."""
    return list(await asyncio.gather(*(call() for call in calls)))
