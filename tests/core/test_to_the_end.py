"""A step that is to be done though its task is being cancelled: within so many seconds, and nobody is told otherwise."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from session_store._async._flavour import to_the_end
from session_store._sync import _flavour as _sync_flavour

LONG = 60  # seconds; no test waits for them


async def test_it_outlasts_every_cancelling() -> None:
    """Who has struck knows it: what was asked for meanwhile is not raised here."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    task = asyncio.ensure_future(to_the_end(step, LONG))
    await begun.wait()
    for _ in range(4):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    assert await task == "done"


async def test_its_error_is_the_steps_own() -> None:
    async def step() -> None:
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await to_the_end(step, LONG)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_it_takes_so_long_and_no_longer(cancelled: bool) -> None:
    """The step is cancelled then, and is not waited for: it may not end for long."""
    ends: list[Any] = []

    async def step() -> None:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            ends.append("cancelled")
            await asyncio.sleep(0)
            ends.append("tidied up")
            raise

    task = asyncio.ensure_future(to_the_end(step, 0.01))
    await asyncio.sleep(0)
    if cancelled:
        task.cancel()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 seconds"):
        await task
    for _ in range(4):
        await asyncio.sleep(0)
    assert ends == ["cancelled", "tidied up"]


async def test_an_error_that_comes_too_late_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio would tell of it when the task is collected: an error hidden behind the one that is on its way."""

    async def step() -> None:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            raise ConnectionError("gone") from None

    with pytest.raises(TimeoutError):
        await to_the_end(step, 0.01)
    for _ in range(4):
        await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


def test_sync_steps_are_bounded_by_the_clients_timeouts() -> None:
    """Nothing is cancelled there."""
    assert _sync_flavour.to_the_end(lambda: "done", 0) == "done"
    with pytest.raises(ConnectionError):
        _sync_flavour.to_the_end(lambda: (_ for _ in ()).throw(ConnectionError("gone")), LONG)
