"""One caller, one call after the other: what a call costs beside the bare command, and in the async flavour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import redis
import redis.asyncio

from benchmarks.clients import (
    BARE,
    BARE_ASYNC,
    METHODS,
    PREFIX,
    TTL,
    async_clients,
    our_calls,
    prepare,
    redis_calls,
    remove,
    renewing_commands,
)
from benchmarks.commits import async_commits, commits
from benchmarks.cores import STATES, kept
from benchmarks.delay import delayed
from benchmarks.measure import Side, async_block, block, interleave, interleave_async, summed
from benchmarks.results import OURS, Context, Result, not_run
from session_store import SessionStore

WORKLOAD = "single calls"
WORKLOAD_ASYNC = "single calls, async"
MULTI, MULTI_ASYNC = f"{BARE}, MULTI with EXPIRE", f"{BARE_ASYNC}, MULTI with EXPIRE"
APART = "plain protocol"
PING = "redis-py, PING"
SESSION = "user-42"
DELAY_MS = 0.5  # each way
AWAY = f"{DELAY_MS:g} ms each way"
_RENEWED = "MULTI, the command, EXPIRE, EXEC in one round trip: the TTL is renewed in the same step, as we do"
NOTES = {
    MULTI: _RENEWED,
    MULTI_ASYNC: _RENEWED,
    APART: "the command, then EXPIRE: a crash in between leaves a key without a TTL",
}


def run(context: Context) -> list[Result]:
    """Microseconds per call, both flavours, cores awake and idle; and of `store.namespace(name)`, which does no I/O."""
    results: list[Result] = []
    with redis.Redis(port=context.port) as client:
        prepare(client, [SESSION])
        for method in METHODS:
            results += _timed(context, method, partial(_sides, client, method))
        results += _timed(context, "with_cas", lambda calls: _blocks(commits(client, SESSION), calls))
        results += _timed(context, "store.namespace(name)", lambda _: {OURS: _handles(client)})
        context.say(f"{WORKLOAD}: on this machine")
        results += _away(context)
        context.say(f"{WORKLOAD}: {AWAY}")
        results += asyncio.run(_async(context))
        remove(client)
    return results


def _timed(context: Context, case: str, sides: Callable[[int], dict[str, Side]]) -> list[Result]:
    """The lines of a case in each state of the cores. `sides` is told how many calls are one round."""
    calls, rounds = context.pick(50, 20), context.rounds(100, 10)
    lines: list[Result] = []
    for cores in STATES:
        with kept(cores):
            samples = interleave(sides(calls), rounds)
        lines += summed(WORKLOAD, case, "µs", samples, notes=NOTES, cores=cores)
    return lines


def _away(context: Context) -> list[Result]:
    """A commit, and a bare round trip, to a server that is further away."""
    lines: list[Result] = []
    calls, rounds = 5, context.rounds(40, 5)
    with delayed(context.port, DELAY_MS / 1000) as port, redis.Redis(port=port) as client:
        sides = _blocks({**commits(client, SESSION), PING: client.ping}, calls)
        for cores in STATES:
            with kept(cores):
                samples = interleave(sides, rounds)
            lines += summed(WORKLOAD, f"with_cas, {AWAY}", "µs", samples, cores=cores)
    return lines


def _blocks(calls: dict[str, Callable[[], object]], count: int) -> dict[str, Side]:
    return {peer: block(call, count) for peer, call in calls.items()}


def _sides(client: redis.Redis, method: str, calls: int) -> dict[str, Side]:
    """All on one client, and so on one connection."""
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)
    ours, bare = our_calls(store)(SESSION)[method], redis_calls(client)(SESSION)[method]
    sides = {OURS: block(ours, calls), BARE: block(bare, calls)}
    command = renewing_commands(SESSION).get(method)
    if command is None:
        return sides

    def in_multi() -> None:
        pipeline: Any = client.pipeline()
        pipeline.execute_command(*command)
        pipeline.expire(command[1], TTL)
        pipeline.execute()

    def apart() -> None:
        client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's
        client.expire(command[1], TTL)

    return sides | {MULTI: block(in_multi, calls), APART: block(apart, calls)}


def _handles(client: redis.Redis) -> Side:
    """What each request begins with: a name that has not been seen before."""
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)
    count = 2_000

    def side() -> float:
        names = [f"session-{number}" for number in range(count)]
        begin = time.perf_counter()
        for name in names:
            store.namespace(name)
        return (time.perf_counter() - begin) / count * 1e6

    return side


def _multi_async(client: redis.asyncio.Redis, command: tuple[Any, ...]) -> Callable[[], Awaitable[object]]:
    async def in_multi() -> None:
        pipeline: Any = client.pipeline()
        pipeline.execute_command(*command)
        pipeline.expire(command[1], TTL)
        await pipeline.execute()

    return in_multi


async def _async(context: Context) -> list[Result]:
    results: list[Result] = []
    async with async_clients(context.port) as (makers, refused), redis.asyncio.Redis(port=context.port) as client:
        made = {peer: maker(SESSION) for peer, maker in makers.items()}
        commands = renewing_commands(SESSION)
        for method in METHODS:
            calls = {peer: each[method] for peer, each in made.items()}
            if method in commands:
                calls[MULTI_ASYNC] = _multi_async(client, commands[method])
            results += await _timed_async(context, method, calls)
        alone = {peer: each for peer, (each,) in async_commits(client, [SESSION]).items()}
        results += await _timed_async(context, "with_cas", alone)
    context.say(WORKLOAD_ASYNC)
    return results + [not_run(WORKLOAD_ASYNC, "all", peer, why) for peer, why in refused.items()]


async def _timed_async(context: Context, case: str, calls: dict[str, Callable[[], Awaitable[object]]]) -> list[Result]:
    """As `_timed`."""
    sides = {peer: async_block(call, context.pick(50, 20)) for peer, call in calls.items()}
    lines: list[Result] = []
    for cores in STATES:
        with kept(cores):
            samples = await interleave_async(sides, context.rounds(60, 10))
        lines += summed(WORKLOAD_ASYNC, case, "µs", samples, notes=NOTES, cores=cores)
    return lines
