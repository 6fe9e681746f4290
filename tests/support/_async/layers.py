"""Fixtures for the tests of a layer: where it keeps its slots, by which codec, and what it leaves there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from session_store import AsyncInMemoryClient, EncryptedCodec, JsonCodec, SessionStoreError, TextCodec
from session_store._async.commands import AsyncCommands
from session_store.testing._async._flavour import gather
from session_store.testing.model._places import AGE
from support.backends import misplaced
from support.recorder import Recorder
from support.servers import Server

DAY = 86_400
CODECS = {
    "memory-json": JsonCodec(),
    "redis-text": TextCodec(),
    "redis-encrypted": EncryptedCodec(TextCodec(), keys=[bytes(32)]),
}
TTLS = "local ttls = {} for at, key in ipairs(KEYS) do ttls[at] = redis.call('PTTL', key) end return ttls"


async def together(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What calls that are under way together return or, of the store's errors, raise."""

    async def outcome(call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except SessionStoreError as error:
            return error

    return await gather([lambda call=call: outcome(call) for call in calls])


@pytest.fixture(params=["memory-json", "redis-text", pytest.param("redis-encrypted", marks=pytest.mark.long)])
def backend(request: pytest.FixtureRequest) -> str:
    """Where slots are, and by which codec."""
    return request.param


@pytest.fixture
async def client(backend: str, server: Server) -> AsyncIterator[Any]:
    client = AsyncInMemoryClient() if backend.startswith("memory") else redis.asyncio.Redis(port=server.port)
    yield client
    await client.aclose()


@pytest.fixture
def keys(client: Any, prefix: str) -> Any:
    """All keys that there are."""

    async def keys() -> list[bytes]:
        return sorted([key async for key in client.scan_iter(match=f"{prefix}:*", count=1000)])

    return keys


@pytest.fixture
async def well_kept(client: Any, keys: Any) -> AsyncIterator[None]:
    """Sees to it that each key has a TTL afterwards, and that indexes name them and outlive them."""
    yield
    all_keys = await keys()
    ttls = await client.eval(TTLS, len(all_keys), *all_keys)  # at one moment: an index may end with its slot
    found = {}
    for key, left in zip(all_keys, ttls, strict=True):
        fields = await client.hgetall(key) if key.endswith(b":~index") else None
        found[key] = (left, fields)
    assert list(misplaced(found)) == []


@pytest.fixture
def older(client: Any, keys: Any) -> Any:
    """Lets seconds pass, by making all that there is older; `script`: what does so with the times that a layer keeps."""

    async def older(seconds: float, script: str) -> None:
        found, ms = await keys(), round(seconds * 1000)
        await client.eval(script, len(found), *found, ms)
        await client.eval(AGE, len(found), *found, ms, "all")

    return older


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


@pytest.fixture
def lose_replies(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the first reply to each script is lost, and the client sends the call again."""

    def lose_replies() -> None:
        send = AsyncCommands.run

        async def send_twice(self: AsyncCommands, *call: Any) -> Any:
            await send(self, *call)
            return await send(self, *call)

        monkeypatch.setattr(AsyncCommands, "run", send_twice)

    return lose_replies
