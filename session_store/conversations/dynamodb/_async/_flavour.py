"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

IS_ASYNC = True
WANTED = 'an aiobotocore client: async with get_session().create_client("dynamodb") as client'


async def at_once(first: Callable[[], Awaitable[A]], second: Callable[[], Awaitable[B]]) -> tuple[A, B]:
    """What two calls give that are under way together; both have ended before an error is raised."""
    one, other = await asyncio.gather(first(), second(), return_exceptions=True)
    for each in (one, other):
        if isinstance(each, BaseException):
            raise each
    return one, other  # type: ignore[return-value]  # no errors by now
