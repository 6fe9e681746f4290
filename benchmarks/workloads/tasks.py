"""Many tasks of one event loop, each with a session of its own, each awaiting one call after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import redis
import redis.asyncio

from benchmarks.clients import Calls, async_clients, prepare, remove
from benchmarks.commits import async_commits
from benchmarks.cores import STATES, kept
from benchmarks.measure import AsyncSide, interleave_async, summed
from benchmarks.results import Context, Result, not_run

WORKLOAD = "tasks"
COUNTS = (1, 10, 100, 1000)
QUICK = (1, 100)
COMMITTING = (100,)  # where commits are measured, too

Call = Callable[[], Awaitable[object]]


def run(context: Context) -> list[Result]:
    """Calls per second by number of tasks, `get` and `hset` in turn, and `with_cas`; and microseconds of one task alone."""
    results: list[Result] = []
    counts = QUICK if context.quick else COUNTS
    with redis.Redis(port=context.port) as client:
        prepare(client, [_session(number) for number in range(max(counts))])
        for tasks in counts:
            results += asyncio.run(_measured(context, tasks))
            context.say(f"{WORKLOAD}: {tasks}")
        remove(client)
    return results


def _session(number: int) -> str:
    return f"user-{number}"


async def _measured(context: Context, tasks: int) -> list[Result]:
    pairs = max(context.pick(500, 300) // tasks, 1)  # of calls, each task
    case = f"{tasks:,} task{'s' if tasks > 1 else ''}"
    sessions = [_session(number) for number in range(tasks)]
    results: list[Result] = []
    async with async_clients(context.port, tasks) as (makers, refused):
        sides: dict[str, AsyncSide] = {}
        for peer, maker in makers.items():
            side = _throughput([_get_and_hset(maker(session)) for session in sessions], pairs)
            try:
                await side()
            except Exception as error:  # a pool that is too small, say
                refused[peer] = f"{type(error).__name__}: {error}"
            else:
                sides[peer] = side
        results += await _in_each_state(context, case, sides)
    if tasks in COMMITTING:
        async with redis.asyncio.Redis(port=context.port) as client:
            made = async_commits(client, sessions)
            sides = {peer: _throughput([[call] for call in calls], pairs) for peer, calls in made.items()}
            results += await _in_each_state(context, f"{case}, with_cas", sides)
    return results + [not_run(WORKLOAD, case, peer, why) for peer, why in refused.items()]


async def _in_each_state(context: Context, case: str, sides: dict[str, AsyncSide]) -> list[Result]:
    results: list[Result] = []
    for cores in STATES:
        with kept(cores):
            samples = await interleave_async(sides, context.rounds(21, 4))
        results += summed(WORKLOAD, case, "calls/s", samples, cores=cores)
        if case == "1 task":
            latencies = {peer: [1e6 / each for each in values] for peer, values in samples.items()}
            results += summed(WORKLOAD, f"{case}, latency", "µs", latencies, cores=cores)
    return results


def _get_and_hset(calls: Calls) -> list[Call]:
    return [calls["get"], calls["hset"]]


def _throughput(sessions: list[list[Call]], times: int) -> AsyncSide:
    """Calls per second of all tasks together, from the start of the first to the end of the last.

    `sessions`: for each task, the calls that it makes in turn.
    """

    async def task(calls: list[Call]) -> None:
        for _ in range(times):
            for call in calls:
                await call()

    async def side() -> float:
        begin = time.perf_counter()
        await asyncio.gather(*(task(calls) for calls in sessions))
        return times * sum(map(len, sessions)) / (time.perf_counter() - begin)

    return side
