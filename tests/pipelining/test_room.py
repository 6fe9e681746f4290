"""A full pipeline makes callers wait, in the order in which they came, and forgets nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from pipelining.wire import Calls, Wire, steps, until
from redis.exceptions import ConnectionError, ResponseError

from session_store._async import pipelining as module

CALLS, BYTES, BATCH = 8, 2_000, 3


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CALLS", CALLS)
    monkeypatch.setattr(module, "_MOST_BYTES", BYTES)
    monkeypatch.setattr(module, "_BATCH_CALLS", BATCH)


def names(count: int) -> list[str]:
    return [f"n{number:03}" for number in range(count)]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


def sent(wire: Wire) -> list[str]:
    return [name for write in wire.names() for name in write]


class Watched(Wire):
    """Answers each command with its name, and looks at what gathers all the while."""

    def __init__(self, retries: int = 0) -> None:
        super().__init__(retries)
        self.most_calls = self.most_bytes = 0

    def look(self, pipeline: Any) -> None:
        self.most_calls = max(self.most_calls, len(pipeline._calls))
        self.most_bytes = max(self.most_bytes, sum(len(call.packed) for call in pipeline._calls))

    async def send_packed_command(self, commands: list[bytes]) -> None:
        await super().send_packed_command(commands)
        self.answer(*(packed.split(b"\r\n")[4] for packed in self.sent[-1]))


async def drive(wire: Watched, calls: Calls, tasks: list[asyncio.Task[Any]]) -> None:
    """Until all have their replies; what gathers is looked at in each step of the loop."""
    for _ in range(100_000):
        wire.look(calls.pipeline)
        if all(task.done() for task in tasks):
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{sum(not task.done() for task in tasks)} are left waiting")


async def test_so_many_calls_gather() -> None:
    wire = Watched()
    calls = Calls(wire)
    tasks = calls.begin(*names(100))
    await drive(wire, calls, tasks)
    assert [task.result() for task in tasks] == [name.encode() for name in names(100)]
    assert sent(wire) == names(100)
    assert wire.most_calls == CALLS
    assert calls.is_idle()


async def test_so_many_bytes_gather() -> None:
    """And one call more: its size is known when it comes."""
    wire = Watched()
    calls = Calls(wire)
    tasks = calls.begin(*names(40), filling=900)
    await drive(wire, calls, tasks)
    assert sent(wire) == names(40)
    assert BYTES <= wire.most_bytes < BYTES + 1_000
    assert calls.is_idle()


async def test_calls_that_are_larger_than_all_the_room() -> None:
    wire = Watched()
    calls = Calls(wire)
    tasks = calls.begin(*names(10), filling=5 * BYTES)
    await drive(wire, calls, tasks)
    assert sent(wire) == names(10)
    assert wire.most_calls == 1
    assert calls.is_idle()


async def test_first_come_first_served() -> None:
    """Also when somebody comes just as others have been let in: they are before him."""
    wire = Watched()
    calls = Calls(wire)
    order: list[str] = []
    tasks: list[asyncio.Task[Any]] = []

    async def call(name: str) -> None:
        order.append(name)
        await calls.pipeline.call(("GET", name), calls.loop)

    async def newcomers() -> None:
        for number in range(200):
            for each in range(number % 3):
                tasks.append(asyncio.ensure_future(call(f"late{number:03}-{each}")))
            await asyncio.sleep(0)

    tasks += [asyncio.ensure_future(call(name)) for name in names(50)]
    tasks.append(asyncio.ensure_future(newcomers()))
    while len(order) < 50 + 199 or not all(task.done() for task in tasks):
        wire.look(calls.pipeline)
        await asyncio.sleep(0)
    assert sent(wire) == order
    assert wire.most_calls <= CALLS


async def full(wire: Wire, count: int) -> tuple[Calls, list[asyncio.Task[Any]]]:
    """A pipeline with one call on its way, 8 that gather, and the others waiting."""
    calls = Calls(wire)
    tasks = calls.begin(*names(count))
    await steps()
    assert len(calls.pipeline._calls) == CALLS
    assert len(calls.pipeline._waiting) == count - CALLS - 1
    return calls, tasks


async def finish(wire: Wire, calls: Calls, tasks: list[asyncio.Task[Any]], answered: int = 0) -> list[Any]:
    """Answers all that is sent, after so many."""
    for _ in range(10_000):
        for name in sent(wire)[answered:]:
            wire.answer(name.encode())
            answered += 1
        if all(task.done() for task in tasks):
            break
        await asyncio.sleep(0)
    found = await outcomes(tasks)
    await steps()
    assert calls.is_idle()
    return found


@pytest.mark.parametrize("whom", ["all", "every second", "the first", "the last"])
async def test_cancelled_while_they_wait_for_room(whom: str) -> None:
    wire = Wire()
    calls, tasks = await full(wire, 40)
    waiting = tasks[CALLS + 1 :]
    chosen = {"all": waiting, "every second": waiting[::2], "the first": waiting[:20], "the last": waiting[20:]}[whom]
    for task in chosen:
        task.cancel()
    found = await finish(wire, calls, tasks)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [task in chosen for task in tasks]
    assert sent(wire) == [name for name, task in zip(names(40), tasks, strict=True) if task not in chosen]


@pytest.mark.parametrize("whom", ["all", "every second", "the first", "the last"])
async def test_cancelled_when_they_have_just_been_let_in(whom: str) -> None:
    """Their places are the next ones'."""
    wire = Wire()
    calls, tasks = await full(wire, 40)
    waiting = list(calls.pipeline._waiting)
    rooms = [caller.admitted for caller in waiting]
    wire.answer(b"n000")
    while not any(room.done() for room in rooms):  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0)
    let_in = [task for task, room in zip(tasks[CALLS + 1 :], rooms, strict=True) if room.done()]
    assert len(let_in) == BATCH
    chosen = {"all": let_in, "every second": let_in[::2], "the first": let_in[:1], "the last": let_in[-1:]}[whom]
    for task in chosen:
        assert not task.done()
        task.cancel()
    found = await finish(wire, calls, tasks, 1)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [task in chosen for task in tasks]
    assert sent(wire) == [name for name, task in zip(names(40), tasks, strict=True) if task not in chosen]


async def test_cancelled_while_they_gather() -> None:
    wire = Wire()
    calls, tasks = await full(wire, 40)
    for task in tasks[1 : CALLS + 1]:
        task.cancel()
    found = await finish(wire, calls, tasks)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [False] + [True] * CALLS + [False] * 31
    assert sent(wire) == names(1) + names(40)[CALLS + 1 :]


async def test_no_connection_for_any_of_them() -> None:
    """They are told one batch after the other, and those behind them still have their turn."""
    wire = Wire()
    calls, tasks = await full(wire, 40)
    wire.refuse = ConnectionError("refused")
    wire.answer(b"n000")
    found = await outcomes(tasks)
    assert [type(each) for each in found] == [bytes] + [ConnectionError] * 39
    assert len({id(each) for each in found}) == 40
    await steps()
    assert calls.is_idle()


async def test_the_sender_is_cancelled_while_some_wait_for_room() -> None:
    wire = Wire()
    calls, tasks = await full(wire, 40)
    wire.answer(b"n000")
    await until(lambda: len(wire.sent) == 2)
    calls.pipeline._sender.cancel()
    for name in names(40)[1 + BATCH :]:
        wire.answer(name.encode())
    found = await outcomes(tasks)
    assert (
        found == [b"n000", *[found[1]] * BATCH, *(name.encode() for name in names(40)[1 + BATCH :])]
        or [type(each) for each in found] == [bytes] + [asyncio.CancelledError] * BATCH + [bytes] * 36
    )
    await steps()
    assert calls.is_idle()


@pytest.fixture(params=range(60))
def rng(request: pytest.FixtureRequest) -> Iterator[random.Random]:
    return random.Random(request.param)


async def test_whatever_happens_nobody_is_left_waiting(rng: random.Random) -> None:
    """Random sizes, cancellations, lost connections, and refusals of the pool; each has its own reply or an error."""

    class Unruly(Watched):
        async def get_connection(self) -> Wire:
            if rng.random() < 0.1:
                raise ConnectionError("refused")
            if rng.random() < 0.5:
                await asyncio.sleep(0)
            return await super().get_connection()

        async def read_response(self, **options: Any) -> Any:
            reply = await super().read_response(**options)
            if rng.random() < 0.5:
                await asyncio.sleep(0)
            chance = rng.random()
            if chance < 0.03:
                self._replies = asyncio.Queue()
                raise ConnectionError("cut")
            if chance < 0.1:
                raise ResponseError("refused")
            return reply

    wire = Unruly(retries=rng.randrange(3))
    calls = Calls(wire)
    wire.disconnect = lambda: _emptied(wire)  # type: ignore[method-assign]
    tasks: list[asyncio.Task[Any]] = []
    asked: list[str] = []
    for number in range(120):
        name = f"n{number:03}"
        tasks += calls.begin(name, filling=rng.choice([0, 0, 0, 100, 900, 3_000]))
        asked.append(name)
        for _ in range(rng.randrange(3)):
            wire.look(calls.pipeline)
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
    await drive(wire, calls, tasks)
    await steps()
    assert calls.is_idle()
    assert wire.most_calls <= CALLS
    assert wire.most_bytes < BYTES + 3_100
    assert wire.taken == wire.given_back
    for name, task in zip(asked, tasks, strict=True):
        if not task.cancelled() and task.exception() is None:
            assert task.result() == name.encode()


async def _emptied(wire: Wire) -> None:
    wire.closed += 1
    wire._replies = asyncio.Queue()
