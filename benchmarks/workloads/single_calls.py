"""One caller, one call after the other: what a call costs beside the bare command, and in the async flavour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis
import redis.asyncio

from benchmarks.clients import (
    BARE,
    FIELDS,
    METHODS,
    PREFIX,
    TEXT,
    TTL,
    async_clients,
    key_of,
    our_calls,
    prepare,
    redis_calls,
    remove,
)
from benchmarks.measure import Side, async_block, block, interleave, interleave_async, summed
from benchmarks.results import OURS, Context, Result, not_run
from session_store import AsyncCasSnapshot, AsyncSessionStore, CasOps, CasSnapshot, SessionStore

WORKLOAD = "single calls"
WORKLOAD_ASYNC = "single calls, async"
WITH_EXPIRE = "redis-py, and EXPIRE in a transaction"
APART = "plain protocol"
WATCH, WATCH_ASYNC = "redis-py, WATCH .. EXEC", "redis.asyncio, WATCH .. EXEC"
TRANSACTION = "Redis.transaction()"
SESSION = "user-42"
PLAIN = {
    WITH_EXPIRE: "MULTI, the command, EXPIRE, EXEC in one round trip: the TTL is renewed, as we do",
    APART: "the command, then EXPIRE: a crash in between leaves a key without a TTL",
}


def run(context: Context) -> list[Result]:
    """Microseconds per call, both flavours; and of `store.namespace(name)`, which does no I/O."""
    calls, rounds = 20, context.rounds(250, 20)
    with redis.Redis(port=context.port) as client:
        prepare(client, [SESSION])
        results = [
            line
            for method in METHODS
            for line in summed(
                WORKLOAD, method, "µs", interleave(_sides(client, method, calls), rounds), notes=_notes(method)
            )
        ]
        results += summed(WORKLOAD, "with_cas", "µs", interleave(_commits(client, calls), rounds))
        results += _handles(client, context)
        context.say(f"{WORKLOAD}: {rounds} rounds of {calls} calls")
        results += asyncio.run(_async(context.port, calls, rounds))
        remove(client)
    return results


def _notes(method: str) -> dict[str, str]:
    return PLAIN if method in {"hset", "hincrby", "incr"} else {}


def _sides(client: redis.Redis, method: str, calls: int) -> dict[str, Side]:
    """All on one client, and so on one connection."""
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)
    ours, bare = our_calls(store)(SESSION)[method], redis_calls(client)(SESSION)[method]
    sides = {OURS: block(ours, calls), BARE: block(bare, calls)}
    key, arguments = _renewing().get(method, ("", ()))
    if key:

        def in_a_transaction() -> None:
            pipeline: Any = client.pipeline()
            pipeline.execute_command(method.upper(), key, *arguments)
            pipeline.expire(key, TTL)
            pipeline.execute()

        def apart() -> None:
            bare()
            client.expire(key, TTL)

        sides |= {WITH_EXPIRE: block(in_a_transaction, calls), APART: block(apart, calls)}
    return sides


def _renewing() -> dict[str, tuple[str, tuple[Any, ...]]]:
    """The writes whose command sets no TTL: key and further arguments."""
    return {
        "hset": (key_of(SESSION, "form"), ("field-3", TEXT)),
        "hincrby": (key_of(SESSION, "basket"), ("tea", 1)),
        "incr": (key_of(SESSION, "id"), ()),
    }


def _commits(client: redis.Redis, calls: int) -> dict[str, Side]:
    """Reads a hash of ten fields and writes one of them, if it has not changed in between."""
    ns = SessionStore(client, prefix=PREFIX, default_ttl=TTL).namespace(f"ours-{SESSION}")
    key = key_of(SESSION, "form")
    field = next(iter(FIELDS))

    def closure(snap: CasSnapshot, ops: CasOps) -> None:
        ops.hset("form", field, str(len(snap.hgetall("form"))))

    def change(pipeline: Any) -> None:
        fields = pipeline.hgetall(key)
        pipeline.multi()
        pipeline.hset(key, field, str(len(fields)))
        pipeline.expire(key, TTL)

    def watch() -> None:
        with client.pipeline() as pipeline:
            pipeline.watch(key)  # type: ignore[no-untyped-call]  # redis-py's
            change(pipeline)
            pipeline.execute()

    commits: dict[str, Callable[[], object]] = {
        OURS: lambda: ns.with_cas("form", closure),
        WATCH: watch,
        TRANSACTION: lambda: client.transaction(change, key),
    }
    return {peer: block(call, calls) for peer, call in commits.items()}


def _handles(client: redis.Redis, context: Context) -> list[Result]:
    """What each request begins with: a name that has not been seen before."""
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)
    count = 2_000

    def side() -> float:
        names = [f"session-{number}" for number in range(count)]
        begin = time.perf_counter()
        for name in names:
            store.namespace(name)
        return (time.perf_counter() - begin) / count * 1e6

    return summed(WORKLOAD, "store.namespace(name)", "µs", interleave({OURS: side}, context.rounds(50, 20)))


def _async_commits(client: redis.asyncio.Redis) -> dict[str, Callable[[], Awaitable[object]]]:
    """The same as in `_commits`."""
    ns = AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL).namespace(f"ours-{SESSION}")
    key = key_of(SESSION, "form")
    field = next(iter(FIELDS))

    async def closure(snap: AsyncCasSnapshot, ops: CasOps) -> None:
        ops.hset("form", field, str(len(await snap.hgetall("form"))))

    async def watch() -> None:
        async with client.pipeline() as pipeline:
            immediate: Any = (
                pipeline  # between WATCH and MULTI it runs each command at once, which its types do not say
            )
            await immediate.watch(key)
            fields = await immediate.hgetall(key)
            immediate.multi()
            pipeline.hset(key, field, str(len(fields)))
            pipeline.expire(key, TTL)
            await pipeline.execute()

    return {OURS: lambda: ns.with_cas("form", closure), WATCH_ASYNC: watch}


async def _async(port: int, calls: int, rounds: int) -> list[Result]:
    results: list[Result] = []
    async with async_clients(port) as (makers, refused):
        made = {peer: maker(SESSION) for peer, maker in makers.items()}
        for method in METHODS:
            sides = {peer: async_block(each[method], calls) for peer, each in made.items()}
            results += summed(WORKLOAD_ASYNC, method, "µs", await interleave_async(sides, rounds))
    async with redis.asyncio.Redis(port=port) as client:
        commits = _async_commits(client)
        sides = {peer: async_block(call, calls) for peer, call in commits.items()}
        results += summed(WORKLOAD_ASYNC, "with_cas", "µs", await interleave_async(sides, rounds))
    return results + [not_run(WORKLOAD_ASYNC, "all", peer, why) for peer, why in refused.items()]
