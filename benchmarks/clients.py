"""The same single calls through each client, in its own idiom; and the plain protocol.

Everybody has the same values, and keys with the same TTL. A bare HSET or INCR leaves the TTL as it is, while each write
of ours renews it: redis-py with MULTI, the command and EXPIRE is a peer of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import redis
import redis.asyncio

from benchmarks.results import OURS
from session_store import AsyncSessionStore, Namespace, SessionStore

TTL = 3600
PREFIX = "bench"
TEXT = "a value of 20 bytes."
FIELDS: dict[Any, Any] = {f"field-{number}": TEXT for number in range(10)}  # redis-py would not take dict[str, str]
METHODS = ("set", "hset", "hincrby", "incr", "get", "hget", "hgetall")
BARE, BARE_ASYNC, GLIDE, COREDIS = "redis-py", "redis.asyncio", "valkey-glide", "coredis"

Calls = dict[str, Callable[[], Any]]  # by method
Maker = Callable[[str], Calls]  # the calls of a session


def key_of(session: str, slot: str) -> str:
    """The key that bare clients use: as long as ours, and never the same."""
    return f"{PREFIX}:bare-{session}:{slot}"


def renewing_commands(session: str) -> dict[str, tuple[Any, ...]]:
    """The writes as bare commands, by method: each sets no TTL, and needs an EXPIRE of its key to do what ours does."""
    step, form, basket, counter = (key_of(session, slot) for slot in ("step", "form", "basket", "id"))
    return {
        "set": ("SET", step, TEXT),
        "hset": ("HSET", form, "field-3", TEXT),
        "hincrby": ("HINCRBY", basket, "tea", 1),
        "incr": ("INCR", counter),
    }


def our_calls(store: SessionStore | AsyncSessionStore) -> Maker:
    """Our calls; the same names in both flavours."""

    def calls(session: str) -> Calls:
        ns: Any = store.namespace(f"ours-{session}")
        return {
            "set": lambda: ns.set("step", TEXT),
            "hset": lambda: ns.hset("form", "field-3", TEXT),
            "hincrby": lambda: ns.hincrby("basket", "tea"),
            "incr": lambda: ns.incr("id"),
            "get": lambda: ns.get("step"),
            "hget": lambda: ns.hget("form", "field-3"),
            "hgetall": lambda: ns.hgetall("form"),
        }

    return calls


def redis_calls(client: redis.Redis | redis.asyncio.Redis) -> Maker:
    """One command each; the same names in both flavours."""

    def calls(session: str) -> Calls:
        step, form, basket, counter = (key_of(session, slot) for slot in ("step", "form", "basket", "id"))
        return {
            "set": lambda: client.set(step, TEXT, ex=TTL),
            "hset": lambda: client.hset(form, "field-3", TEXT),
            "hincrby": lambda: client.hincrby(basket, "tea"),
            "incr": lambda: client.incr(counter),
            "get": lambda: client.get(step),
            "hget": lambda: client.hget(form, "field-3"),
            "hgetall": lambda: client.hgetall(form),
        }

    return calls


def _shared(client: Any, **ttl: Any) -> Maker:
    """The calls of a client that all callers share. `ttl`: how its `set` is told the TTL."""

    def calls(session: str) -> Calls:
        step, form, basket, counter = (key_of(session, slot) for slot in ("step", "form", "basket", "id"))
        return {
            "set": lambda: client.set(step, TEXT, **ttl),
            "hset": lambda: client.hset(form, {"field-3": TEXT}),
            "hincrby": lambda: client.hincrby(basket, "tea", 1),
            "incr": lambda: client.incr(counter),
            "get": lambda: client.get(step),
            "hget": lambda: client.hget(form, "field-3"),
            "hgetall": lambda: client.hgetall(form),
        }

    return calls


def glide_calls(client: Any) -> Maker:
    """One client for all: its documentation says that it shares its connection among callers by itself."""
    from glide import ExpirySet, ExpiryType

    return _shared(client, expiry=ExpirySet(ExpiryType.SEC, TTL))


def coredis_calls(client: Any) -> Maker:
    """One client for all, as its documentation says: its pool shares a few connections among callers."""
    return _shared(client, ex=TTL)


@asynccontextmanager
async def async_clients(port: int, tasks: int = 1) -> AsyncIterator[tuple[dict[str, Maker], dict[str, str]]]:
    """Makers of calls by peer, ours first, for so many tasks; and why others could not be started."""
    makers: dict[str, Maker] = {}
    refused: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(redis.asyncio.Redis(port=port))
        makers[OURS] = our_calls(AsyncSessionStore(ours, prefix=PREFIX, default_ttl=TTL))
        bare = await stack.enter_async_context(_bare(port, tasks))
        makers[BARE_ASYNC] = redis_calls(bare)
        for peer, start in ((GLIDE, _glide), (COREDIS, _coredis)):
            maker, why = await _tried(start, stack, port)
            if maker:
                makers[peer] = maker
            else:
                refused[peer] = why
        yield makers, refused


async def _tried(
    start: Callable[[AsyncExitStack, int], Awaitable[Maker]], stack: AsyncExitStack, port: int
) -> tuple[Maker | None, str]:
    """What the peer's calls are, or why there are none."""
    try:
        return await start(stack, port), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _bare(port: int, tasks: int) -> redis.asyncio.Redis:
    """The default pool has 100 connections at most, and raises beyond; the documented remedy is a pool that waits."""
    if tasks <= 100:
        return redis.asyncio.Redis(port=port)
    return redis.asyncio.Redis.from_pool(redis.asyncio.BlockingConnectionPool(port=port, max_connections=100))


async def _glide(stack: AsyncExitStack, port: int) -> Maker:
    import glide

    # Its own default fails calls that are late by 0.25 s, which a busy machine may be.
    configuration = glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", port)], request_timeout=10_000)
    client = await glide.GlideClient.create(configuration)
    stack.push_async_callback(client.close)
    return glide_calls(client)


async def _coredis(stack: AsyncExitStack, port: int) -> Maker:
    import coredis

    return coredis_calls(await stack.enter_async_context(coredis.Redis(port=port)))


def prepare(client: redis.Redis, sessions: list[str]) -> None:
    """Gives the sessions of everybody what is read, and the bare keys their TTL."""
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)
    pipeline = client.pipeline(transaction=False)
    for session in sessions:
        ns: Namespace = store.namespace(f"ours-{session}")
        ns.hset("form", mapping=FIELDS)
        ns.set("step", TEXT)
        pipeline.hset(key_of(session, "form"), mapping=FIELDS)
        pipeline.hset(key_of(session, "basket"), "tea", "1")
        pipeline.set(key_of(session, "step"), TEXT)
        pipeline.set(key_of(session, "id"), "1")
        for slot in ("form", "basket", "step", "id"):
            pipeline.expire(key_of(session, slot), TTL)
    pipeline.execute()


def remove(client: redis.Redis, prefix: str = PREFIX) -> None:
    """Every key under a prefix."""
    batch: list[Any] = []
    for key in client.scan_iter(match=f"{prefix}:*", count=1000):
        batch.append(key)
        if len(batch) == 1000:
            client.unlink(*batch)
            batch = []
    if batch:
        client.unlink(*batch)
