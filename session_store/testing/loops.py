"""Connections of one async client that several event loops use, one after the other or side by side."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import wait
from contextlib import suppress
from typing import Any, NamedTuple

_PATIENCE = 5.0  # seconds that a loop of another thread has to close its connections


class _Share(NamedTuple):
    """What one loop has."""

    pool: Any
    closing: Any  # an async generator

    async def close(self) -> None:
        await self.closing.aclose()
        await self.pool.aclose()  # again: a loop may go on after its generators were closed


async def _close_at_the_end(pool: Any) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await pool.aclose()


class PoolPerLoop:
    """Stands in for the connection pool of an async client, with a pool of its own for every loop that uses it.

    A connection belongs to the loop that opened it: any other loop would wait for its replies forever, and nothing but
    its own loop can close it cleanly. A test has as many loops as it likes: that of its plugin, one per `asyncio.run`,
    one per request of an ASGI test client. Each closes its connections when it ends, by an async generator that waits
    there: `asyncio.run`, runners and test plugins all close the generators of a loop before the loop.

    - `make_pool`: makes a pool of redis-py. Called once for each loop, and once for what is asked outside of any.
    """

    def __init__(self, make_pool: Callable[[], Any]) -> None:
        self._make_pool = make_pool
        self._outside = make_pool()  # knows the settings; never connects
        self._shares: dict[asyncio.AbstractEventLoop, _Share] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here(), name)

    def _here(self) -> Any:
        """The pool of the running loop."""
        loop = asyncio._get_running_loop()  # noqa: SLF001  # documented; the other one raises where there is none
        if loop is None:
            return self._outside
        if loop not in self._shares:
            pool = self._make_pool()
            closing = _close_at_the_end(pool)
            with suppress(StopIteration):  # it awaits nothing before its yield, so one step leads there
                closing.__anext__().send(None)
            self._shares[loop] = _Share(pool, closing)
        return self._shares[loop].pool

    def close(self) -> None:
        """Closes what is open: the connections of loops that outlive the test, or that were not ended properly."""
        shares, self._shares = self._shares, {}
        abandoned = [_end(loop, share) for loop, share in shares.items()]
        if any(abandoned):
            with warnings.catch_warnings():  # about the sockets, which are closed now; the test may not care
                warnings.simplefilter("ignore", ResourceWarning)
                shares.clear()
                gc.collect()


def _end(loop: asyncio.AbstractEventLoop, share: _Share) -> bool:
    """Closes the connections of one loop. Returns whether they can only be dropped."""
    # 1. It was closed: its generators before it, as a rule.
    if loop.is_closed():
        return share.closing.ag_frame is not None  # it never ran to its end
    # 2. It rests, as the loop of a module does between two tests: it can be borrowed.
    if not loop.is_running():
        loop.run_until_complete(share.close())
    # 3. It runs this very code: it closes them as soon as it goes on.
    elif loop is asyncio._get_running_loop():  # noqa: SLF001  # documented; the other one raises where there is none
        loop.create_task(share.close())
    # 4. It runs in another thread.
    else:
        wait([asyncio.run_coroutine_threadsafe(share.close(), loop)], _PATIENCE)
    return False
