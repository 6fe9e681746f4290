"""One change of a session by read, compute, commit: a hash of ten fields is read, and one of them written.

It is committed if the hash has not changed in between. Each has a session of its own here, so nobody ever loses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import redis
import redis.asyncio

from benchmarks.clients import BARE, BARE_ASYNC, FIELDS, PREFIX, TTL, key_of
from benchmarks.results import OURS
from session_store import AsyncCasSnapshot, AsyncSessionStore, CasOps, CasSnapshot, SessionStore

WATCH, WATCH_ASYNC = f"{BARE}, WATCH .. EXEC", f"{BARE_ASYNC}, WATCH .. EXEC"
TRANSACTION = "Redis.transaction()"
FIELD = next(iter(FIELDS))


def commits(client: redis.Redis, session: str) -> dict[str, Callable[[], object]]:
    """A commit, by peer; all on one client, and so on one connection."""
    ns = SessionStore(client, prefix=PREFIX, default_ttl=TTL).namespace(f"ours-{session}")
    key = key_of(session, "form")

    def closure(snap: CasSnapshot, ops: CasOps) -> None:
        ops.hset("form", FIELD, str(len(snap.hgetall("form"))))

    def change(pipeline: Any) -> None:
        fields = pipeline.hgetall(key)
        pipeline.multi()
        pipeline.hset(key, FIELD, str(len(fields)))
        pipeline.expire(key, TTL)

    def watch() -> None:
        with client.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(key)  # type: ignore[no-untyped-call]  # redis-py's
                    change(pipeline)
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return

    return {
        OURS: lambda: ns.with_cas("form", closure),
        WATCH: watch,
        TRANSACTION: lambda: client.transaction(change, key),
    }


def our_async_commit(store: AsyncSessionStore[str], session: str) -> Callable[[], Awaitable[object]]:
    """Ours in an event loop; all sessions share a store, as in an application."""
    ns = store.namespace(f"ours-{session}")

    async def closure(snap: AsyncCasSnapshot, ops: CasOps) -> None:
        ops.hset("form", FIELD, str(len(await snap.hgetall("form"))))

    return lambda: ns.with_cas("form", closure)


def watch_async(client: redis.asyncio.Redis, session: str) -> Callable[[], Awaitable[object]]:
    """The loop of redis.asyncio's documentation."""
    key = key_of(session, "form")

    async def watch() -> None:
        async with client.pipeline() as pipeline:
            # Between WATCH and MULTI it runs each command at once, which its types do not say.
            immediate: Any = pipeline
            while True:
                try:
                    await immediate.watch(key)
                    fields = await immediate.hgetall(key)
                    immediate.multi()
                    pipeline.hset(key, FIELD, str(len(fields)))
                    pipeline.expire(key, TTL)
                    await pipeline.execute()
                except redis.WatchError:
                    continue
                return

    return watch


def async_commits(client: redis.asyncio.Redis, sessions: list[str]) -> dict[str, list[Callable[[], Awaitable[object]]]]:
    """A commit of each session, by peer."""
    store = AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL)
    return {
        OURS: [our_async_commit(store, session) for session in sessions],
        WATCH_ASYNC: [watch_async(client, session) for session in sessions],
    }
