"""The contract's fixtures: a store on every back end, and what must hold after every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from support.backends import BACKENDS, Backend, Found, misplaced
from support.recorder import Recorder

from session_store import AsyncInMemoryClient, AsyncNamespace, AsyncSessionStore

DEFAULT_TTL = 1000


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture
async def client(backend: Backend, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The client of the store under test."""
    options = {"protocol": backend.protocol, "decode_responses": backend.decode_responses}
    if backend.real:
        client = redis.asyncio.Redis(port=request.getfixturevalue("server").port, **options)
    else:
        client = AsyncInMemoryClient(**options)
    yield client
    await client.aclose()


@pytest.fixture
async def raw(backend: Backend, client: Any) -> AsyncIterator[Any]:
    """Another program's client of the same server; it gets bytes."""
    if backend.real:
        port = client.connection_pool.connection_kwargs["port"]
        raw = redis.asyncio.Redis(port=port)
    else:
        raw = AsyncInMemoryClient(server=client.server)
    yield raw
    await raw.aclose()


@pytest.fixture
async def store(client: Any, raw: Any, prefix: str) -> AsyncIterator[AsyncSessionStore]:
    """A store; afterwards its keys are as they must be, and no key of others was touched."""
    foreign = {f"{prefix}x:u:a": "1", f"x{prefix}:u:a": "2", f"{prefix}": "3", f"{prefix}-:u:a": "4"}
    await raw.mset(foreign)
    yield AsyncSessionStore(client, prefix=prefix, default_ttl=DEFAULT_TTL)
    assert await raw.mget(list(foreign)) == [value.encode() for value in foreign.values()]
    assert [await raw.pttl(key) for key in foreign] == [-1] * len(foreign)
    await raw.delete(*foreign)
    found = await everything(raw, prefix)
    assert list(misplaced(found)) == []
    if found:
        await raw.delete(*found)


async def everything(raw: Any, prefix: str) -> Found:
    """All keys of a prefix, with what they have left at one moment."""
    keys = [key async for key in raw.scan_iter(match=f"{prefix}:*", count=1000)]
    async with raw.pipeline(transaction=True) as pipeline:
        for key in keys:
            pipeline.pttl(key)
        left = await pipeline.execute()
    found: Found = {}
    for key, milliseconds in zip(keys, left, strict=True):
        is_index = key.endswith(b":~index") and await raw.type(key) == b"hash"
        found[key] = (milliseconds, await raw.hgetall(key) if is_index else None)
    return found


@pytest.fixture
def ns(store: AsyncSessionStore) -> AsyncNamespace:
    return store.namespace("u")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Records what is written to any connection from now on."""
    return Recorder(monkeypatch)


@pytest.fixture
def pass_time(backend: Backend, client: Any, raw: Any, prefix: str) -> Any:
    """A function that lets seconds pass: in memory by the clock, on a server by ageing every TTL and fence."""

    async def pass_time(seconds: float) -> None:
        if not backend.real:
            client.advance(seconds)
            return
        async for key in raw.scan_iter(match=f"{prefix}:*", count=1000):
            left = await raw.pttl(key) - round(seconds * 1000)
            await (raw.pexpire(key, left) if left > 0 else raw.delete(key))
            if await raw.type(key) == b"hash" and await raw.hexists(key, "~fence"):
                await raw.hincrby(key, "~fence", -round(seconds * 1000))

    return pass_time


@pytest.fixture
def interfering() -> Callable[..., Any]:
    """A function that makes a closure."""

    def interfering(change: Callable[[], Any], times: int, calls: list[int]) -> Any:
        """A closure that counts, during whose first attempts something else happens."""

        async def fn(snap: Any, ops: Any) -> int:
            value = int(await snap.get("n") or 0)
            calls.append(value)
            if len(calls) <= times:
                await change()
            ops.set("n", str(value + 1))
            ops.hset("log", str(len(calls)), "1")
            return value + 1

        return fn

    return interfering
