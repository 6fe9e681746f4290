"""The pipeline step by step, on a connection that the test answers."""

from __future__ import annotations

import asyncio
import gc

import pytest
from pipelining.wire import Calls, Wire, outcomes, steps, until
from redis.exceptions import ConnectionError, MaxConnectionsError, ResponseError

from session_store._async import connection
from session_store._async import pipelining as module


async def test_a_call_that_finds_nobody_goes_at_once_by_itself() -> None:
    wire = Wire()
    calls = Calls(wire)
    for name in "ab":
        (task,) = calls.begin(name)
        await steps()
        assert wire.names()[-1] == [name]
        wire.answer(name.encode())
        assert await task == name.encode()
        assert calls.is_idle()
    assert wire.names() == [["a"], ["b"]]
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 0)


async def test_those_that_come_meanwhile_travel_together() -> None:
    """And while that batch is on its way, the next gathers."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    await steps()
    assert wire.names() == [["a"]]
    wire.answer(b"a")
    await until(lambda: len(wire.sent) == 2)
    assert wire.names()[1] == ["b", "c"]
    tasks += calls.begin("d", "e")
    await steps()
    assert len(wire.sent) == 2
    wire.answer(b"b", b"c")
    await until(lambda: len(wire.sent) == 3)
    assert wire.names()[2] == ["d", "e"]
    wire.answer(b"d", b"e")
    assert await outcomes(tasks) == [b"a", b"b", b"c", b"d", b"e"]
    await steps()
    assert calls.is_idle()
    assert (wire.taken, wire.given_back, wire.closed) == (3, 3, 0)  # each batch takes the connection anew


async def test_a_task_that_comes_again_with_its_reply_is_in_the_next_batch() -> None:
    """The sender waits a moment for it, and does not end."""
    wire = Wire()
    calls = Calls(wire)

    async def twice() -> None:
        for name in ("b", "d"):
            assert await calls.pipeline.call(("GET", name), calls.loop) == name.encode()

    calls.begin("a")
    await steps()
    task = asyncio.ensure_future(twice())
    await steps()
    wire.answer(b"a", b"b")
    await until(lambda: len(wire.sent) == 3)
    sender = calls.pipeline._sender
    calls.begin("e")
    await steps()
    assert calls.pipeline._sender is sender
    assert wire.names() == [["a"], ["b"], ["d"]]
    wire.answer(b"d")
    await task
    await until(lambda: len(wire.sent) == 4)
    wire.answer(b"e")
    await steps()
    assert calls.is_idle()


async def test_an_error_reply_is_of_its_call_alone() -> None:
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c", "d")
    wire.answer(b"a", b"b", ResponseError("WRONGTYPE c"), b"d")
    a, b, c, d = await outcomes(tasks)
    assert [a, b, d] == [b"a", b"b", b"d"]
    assert isinstance(c, ResponseError)
    assert str(c) == "WRONGTYPE c"
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 0)


async def test_a_batch_fails_with_an_error_for_each() -> None:
    """With the same text and cause. Nobody gets another one's error to change."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c", "d")
    error = ConnectionError("gone")
    error.__cause__ = OSError("reset")
    wire.answer(b"a", b"b", error)
    a, b, *failed = await outcomes(tasks)
    assert [a, b] == [b"a", b"b"]
    assert [(type(each), str(each), each.__cause__) for each in failed] == [
        (ConnectionError, "gone", error.__cause__)
    ] * 2
    assert len({id(each) for each in (error, *failed)}) == 3
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 2)  # closed for the policy, and to be sure
    await steps()
    assert calls.is_idle()


class Uncopied(Exception):
    """An error that only its maker can make."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class Unasked(Exception):
    def __copy__(self) -> Unasked:
        raise ValueError("do not copy me")


@pytest.mark.parametrize("error", [Uncopied("a", "b"), Unasked("ab")], ids=repr)
async def test_an_error_that_cannot_be_copied_is_raised_as_it_is(error: Exception) -> None:
    """From a pool or a policy of the user's, say: the pipeline goes on after it."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    await steps()
    wire.answer(b"a")
    wire.refuse = error
    a, *failed = await outcomes(tasks)
    assert a == b"a"
    assert failed == [error, error]
    wire.refuse = None
    await steps()
    assert calls.is_idle()
    wire.answer(b"d")
    assert await outcomes(calls.begin("d")) == [b"d"]


FULL = [
    MaxConnectionsError("Too many connections"),
    ConnectionError("Too many connections"),
]  # the latter: redis-py 6.2


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
async def test_a_pool_that_gives_no_connection_for_long(
    error: ConnectionError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets the error; nothing has been sent; the next ones are served."""
    monkeypatch.setattr(connection, "_PATIENCE", 0)
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    await steps()
    wire.refuse = error
    wire.answer(b"a")
    a, *failed = await outcomes(tasks)
    assert a == b"a"
    assert [type(each) for each in failed] == [type(error)] * 2
    assert failed[0] is not failed[1]
    await steps()
    (alone,) = await outcomes(calls.begin("d"))
    assert type(alone) is type(error)
    assert calls.is_idle()
    wire.refuse = None
    wire.answer(b"e", b"f")
    assert await outcomes(calls.begin("e", "f")) == [b"e", b"f"]
    assert wire.names() == [["a"], ["e"], ["f"]]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
async def test_a_pool_that_is_full_for_a_while(error: ConnectionError) -> None:
    """It is waited for, by the one that goes by itself and by a batch; nothing is sent twice."""
    wire = Wire()
    calls = Calls(wire)
    for names in (["a"], ["b", "c"]):
        wire.refuse = error
        tasks = calls.begin(*names)
        await until(lambda before=wire.refused: wire.refused > before + 1)
        wire.refuse = None
        wire.answer(*(name.encode() for name in names))
        assert await outcomes(tasks) == [name.encode() for name in names]
    assert wire.names() == [["a"], ["b"], ["c"]]


async def test_a_pool_that_cannot_connect_is_not_waited_for() -> None:
    wire = Wire()
    calls = Calls(wire)
    wire.refuse = ConnectionError("refused")
    assert [str(each) for each in await outcomes(calls.begin("a", "b"))] == ["refused"] * 2
    assert wire.refused == 2


async def test_a_batch_is_sent_again_as_the_policy_says() -> None:
    """Without those that have their replies, and those whose tasks were cancelled."""
    wire = Wire(retries=2)
    calls = Calls(wire)
    tasks = calls.begin(*"abcde")
    await steps()
    wire.answer(b"a", b"b")
    await until(lambda: len(wire.sent) == 2)
    tasks[2].cancel()
    wire.answer(ConnectionError("once"))
    await until(lambda: len(wire.sent) == 3)
    wire.answer(ConnectionError("twice"))
    await until(lambda: len(wire.sent) == 4)
    wire.answer(b"d", b"e")
    a, b, c, d, e = await outcomes(tasks)
    assert [a, b, d, e] == [b"a", b"b", b"d", b"e"]
    assert isinstance(c, asyncio.CancelledError)
    assert wire.names() == [["a"], ["b", "c", "d", "e"], ["d", "e"], ["d", "e"]]
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 2)


async def test_a_batch_fails_when_the_policy_has_had_enough() -> None:
    wire = Wire(retries=2)
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    wire.answer(b"a", *(ConnectionError(str(number)) for number in range(3)))
    _, *failed = await outcomes(tasks)
    assert [str(each) for each in failed] == ["2", "2"]
    assert wire.names() == [["a"]] + [["b", "c"]] * 3


async def test_a_call_that_was_cancelled_before_it_was_sent_is_not_sent() -> None:
    """Neither while it gathers nor while its batch waits for a connection; and nobody else is disturbed."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin(*"abcd")
    await steps()
    tasks[1].cancel()
    await steps()
    wire.held.clear()
    wire.answer(b"a")
    await steps()
    assert not calls.pipeline._calls  # the batch has been made
    tasks[2].cancel()
    await steps()
    wire.held.set()
    wire.answer(b"d")
    a, b, c, d = await outcomes(tasks)
    assert [a, d] == [b"a", b"d"]
    assert {type(b), type(c)} == {asyncio.CancelledError}
    assert wire.names() == [["a"], ["d"]]


async def test_a_batch_of_none() -> None:
    """All are cancelled: while they gather, and while their batch waits for a connection, which goes back as it came."""
    wire = Wire()
    calls = Calls(wire)
    for at_the_pool in (False, True):
        alone, *tasks = calls.begin("a", "b", "c")
        await steps()
        if at_the_pool:
            wire.held.clear()
            wire.answer(b"a")
            await steps()
        for task in tasks:
            task.cancel()
        await steps()
        if not at_the_pool:
            wire.answer(b"a")
        wire.held.set()
        await alone
        await steps()
        assert calls.is_idle()
        assert [each for write in wire.names() for each in write] == ["a"] * (1 + at_the_pool)
        assert wire.taken == wire.given_back
        assert wire.closed == 0


async def test_the_reply_of_a_cancelled_call_is_nobody_elses() -> None:
    """Be it a value or an error."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin(*"abcd")
    await steps()
    wire.answer(b"a")
    await until(lambda: len(wire.sent) == 2)
    for task in tasks[1:3]:
        task.cancel()
    await steps()
    wire.answer(b"b", ResponseError("c"), b"d")
    assert (await outcomes(tasks))[::3] == [b"a", b"d"]
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 0)


async def test_the_one_that_goes_by_itself_is_cancelled() -> None:
    """Its connection is closed; those that have gathered go on."""
    wire = Wire()
    calls = Calls(wire)
    alone, *tasks = calls.begin("a", "b", "c")
    await steps()
    alone.cancel()
    wire.answer(b"b", b"c")
    assert await outcomes(tasks) == [b"b", b"c"]
    assert alone.cancelled()
    assert wire.names() == [["a"], ["b", "c"]]
    assert (wire.taken, wire.given_back, wire.closed) == (2, 2, 1)


@pytest.mark.parametrize("spoils", [OSError("no farewell"), TimeoutError("no farewell"), AttributeError("no socket")])
async def test_closing_never_hides_an_error(spoils: Exception) -> None:
    """What the server or the network did, or a cancelled task, is what each call is told; and the pipeline goes on."""
    wire = Wire()
    wire.spoils_closing = spoils
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    wire.answer(ConnectionError("gone"), ConnectionError("gone, too"))
    assert [str(each) for each in await outcomes(tasks)] == ["gone", "gone, too", "gone, too"]
    (alone,) = calls.begin("d")
    await steps()
    alone.cancel()
    await outcomes([alone])
    assert alone.cancelled()
    wire.answer(b"e")
    assert await outcomes(calls.begin("e")) == [b"e"]
    await steps()
    assert calls.is_idle()
    assert wire.taken == wire.given_back == 4


async def test_a_batch_ends_with_so_many_calls_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_CALLS", 3)
    monkeypatch.setattr(module, "_BATCH_BYTES", 1_000)
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin(*"abcdefgh")
    tasks += calls.begin(*"ijk", filling=1_000)
    wire.answer(*(name.encode() for name in "abcdefghijk"))
    assert await outcomes(tasks) == [name.encode() for name in "abcdefghijk"]
    assert wire.names() == [["a"], ["b", "c", "d"], ["e", "f", "g"], ["h", "i"], ["j"], ["k"]]


async def test_the_pool_that_gave_a_connection_gets_it_back() -> None:
    """In a cluster, the pool of a node may be another one by the time that the replies have come."""
    first, second = Wire(), Wire()
    calls = Calls(first)
    tasks = calls.begin("a", "b")
    await steps()
    first.answer(b"a")
    await until(lambda: len(first.sent) == 2)
    calls.pipeline.pool = second
    first.answer(b"b")
    second.answer(b"c")
    await outcomes(tasks)
    await steps()
    assert await outcomes(calls.begin("c")) == [b"c"]
    assert (first.taken, first.given_back) == (2, 2)
    assert (second.taken, second.given_back) == (1, 1)


async def test_a_connection_that_cannot_be_closed_goes_back() -> None:
    """redis-py raises where closing takes too long."""

    class Stuck(Wire):
        async def disconnect(self) -> None:
            await super().disconnect()
            if self.closed == 2:
                raise ConnectionError("Timed out closing connection")

    wire = Stuck()
    calls = Calls(wire)
    tasks = calls.begin("a", "b", "c")
    wire.answer(b"a", ConnectionError("gone"))
    _, *failed = await outcomes(tasks)
    assert {type(each) for each in failed} == {ConnectionError}
    assert (wire.taken, wire.given_back) == (2, 2)


async def test_no_error_is_left_for_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio logs errors that nobody has retrieved."""
    wire = Wire()
    calls = Calls(wire)
    tasks = calls.begin(*"abcdef")
    await steps()
    wire.answer(b"a")
    await until(lambda: len(wire.sent) == 2)
    tasks[1].cancel()
    wire.answer(ConnectionError("gone"))
    await asyncio.sleep(0)
    tasks[2].cancel()
    await outcomes(tasks)
    del tasks
    await steps()
    gc.collect()
    assert caplog.records == []
