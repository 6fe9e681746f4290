"""Many tasks of one event loop, each with a session of its own, each awaiting one call after the other."""

from __future__ import annotations

import asyncio
import time

import redis

from benchmarks.clients import Calls, async_clients, prepare, remove
from benchmarks.measure import AsyncSide, interleave_async, summed
from benchmarks.results import Context, Result, not_run

WORKLOAD = "tasks"
COUNTS = (1, 10, 100, 1000)
QUICK = (1, 100)


def run(context: Context) -> list[Result]:
    """Calls per second by number of tasks, `get` and `hset` in turn; and microseconds per call of one task alone."""
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
    rounds = context.rounds(21, 5)
    case = f"{tasks:,} task{'s' if tasks > 1 else ''}"
    async with async_clients(context.port, tasks) as (makers, refused):
        sides: dict[str, AsyncSide] = {}
        for peer, maker in makers.items():
            side = _throughput([maker(_session(number)) for number in range(tasks)], pairs)
            try:
                await side()
            except Exception as error:  # a pool that is too small, say
                refused[peer] = f"{type(error).__name__}: {error}"
            else:
                sides[peer] = side
        samples = await interleave_async(sides, rounds)
    results = summed(WORKLOAD, case, "calls/s", samples)
    if tasks == 1:
        latencies = {peer: [1e6 / each for each in values] for peer, values in samples.items()}
        results += summed(WORKLOAD, f"{case}, latency", "µs", latencies)
    return results + [not_run(WORKLOAD, case, peer, why) for peer, why in refused.items()]


def _throughput(sessions: list[Calls], pairs: int) -> AsyncSide:
    """Calls per second of all tasks together, from the start of the first to the end of the last."""

    async def task(calls: Calls) -> None:
        get, hset = calls["get"], calls["hset"]
        for _ in range(pairs):
            await get()
            await hset()

    async def side() -> float:
        begin = time.perf_counter()
        await asyncio.gather(*(task(calls) for calls in sessions))
        return 2 * pairs * len(sessions) / (time.perf_counter() - begin)

    return side
