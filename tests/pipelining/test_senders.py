"""What sends a pipeline's batches: a task that may be cancelled, and that does not wait for ever for a reply."""

from __future__ import annotations

import asyncio
import sys
from collections import deque

import pytest
from pipelining.wire import Calls, Wire, outcomes, steps, until
from redis.exceptions import ConnectionError, TimeoutError

from session_store._async.reply_timeout import ReplyTimeout


async def test_a_sender_that_is_cancelled_ends_its_batch() -> None:
    """As all tasks are, when the loop ends. What has gathered is sent by another: tasks may still tidy up."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b")
    await steps()
    wire.answer(b"a")
    await until(lambda: len(wire.sent) == 2)
    tidying = calls.begin("c", "d")
    await steps()
    calls.pipeline._sender.cancel()
    await until(lambda: len(wire.sent) == 3)
    assert wire.names() == [["a"], ["b"], ["c", "d"]]
    wire.answer(b"c", b"d")
    assert await outcomes(tidying) == [b"c", b"d"]
    assert tasks[1].cancelled()
    await steps()
    assert calls.is_idle()
    assert (wire.taken, wire.given_back, wire.closed) == (3, 3, 1)


async def test_a_sender_that_is_cancelled_before_it_begins() -> None:
    """It could leave the pipeline in no state: its coroutine has not run."""
    wire = Wire()
    calls = Calls(wire)
    alone, gathering = calls.begin("a", "b")
    await steps()
    wire.answer(b"a")
    while calls.pipeline._sender is None:  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0)
    # it was made in this very step, or in the one before
    calls.pipeline._sender.cancel()
    await alone
    wire.answer(b"b")
    (outcome,) = await outcomes([gathering])
    assert outcome == b"b" or isinstance(outcome, asyncio.CancelledError)
    await steps()
    wire._replies = asyncio.Queue()
    wire.answer(b"c")
    assert await outcomes(calls.begin("c")) == [b"c"]
    await steps()
    assert calls.is_idle()


async def test_a_sender_that_is_cancelled_with_nothing_left() -> None:
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    await steps()
    wire.answer(b"a")
    await until(lambda: len(wire.sent) == 2)
    calls.begin("d")[0].cancel()
    (cancelled,) = calls.begin("e")
    await steps()
    cancelled.cancel()
    calls.pipeline._sender.cancel()
    await outcomes(tasks)
    await steps()
    assert calls.is_idle()
    assert wire.names() == [["a"], ["b", "c"]]


LONG = 60  # seconds; no test waits for them


async def test_a_batch_without_a_reply_for_so_long_times_out() -> None:
    with pytest.raises(TimeoutError):
        async with ReplyTimeout(deque(["call"]), 0.01):
            await asyncio.sleep(LONG)
    await asyncio.sleep(0)  # and nothing is left to be cancelled


async def test_a_batch_that_goes_on_does_not_time_out() -> None:
    """The time counts from the latest reply."""
    batch = deque(["one", "two"])
    watch = ReplyTimeout(batch, LONG)
    async with watch:
        first = watch._timer
        batch.popleft()
        watch._look()
        await asyncio.sleep(0)
        assert watch._timer is not first
    assert watch._timer.cancelled()


async def test_the_last_reply_comes_in_the_moment_of_the_timeout() -> None:
    """The batch is complete, and whatever follows is not cancelled for it."""
    watch = ReplyTimeout(deque(["call"]), LONG)
    async with watch:
        watch._look()
    await asyncio.sleep(0)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before Python 3.11 a task does not tell who has cancelled it")
async def test_a_sender_that_others_cancel_in_the_moment_of_the_timeout() -> None:
    async def read() -> None:
        watch = ReplyTimeout(deque(["call"]), LONG)
        async with watch:
            watch._look()
            asyncio.current_task().cancel()
            await asyncio.sleep(LONG)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(read())


async def test_a_connection_that_others_have_closed_is_a_lost_one() -> None:
    """redis-py raises AttributeError then, of which no policy and no caller knows."""
    wire = Wire()
    calls = Calls(wire)
    first = calls.begin("a")
    await steps()
    rest = calls.begin("b", "c")
    wire.answer(b"a")
    await outcomes(first)
    wire.answer(AttributeError("'NoneType' object has no attribute 'read'"))
    assert [type(each) for each in await outcomes(rest)] == [ConnectionError] * 2
    assert wire.closed
