"""The contract's fixtures: a store on every back end, and what must hold after every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from support.backends import VERSIONS, Backend, Found, as_params, every_setting, misplaced, one_setting
from support.recorder import Recorder
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncNamespace, AsyncSessionStore
from session_store._core import tokens
from session_store.testing.model._places import AGE

DEFAULT_TTL = 1000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        table = every_setting if metafunc.definition.get_closest_marker("every_setting") else one_setting
        backends = as_params(table(VERSIONS), lambda backend: backend.version)
        metafunc.parametrize("backend", backends, indirect=True, ids=lambda backend: backend.name)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture
async def client(backend: Backend, servers: Callable[[str], Server]) -> AsyncIterator[Any]:
    """The client of the store under test."""
    options = {"protocol": backend.protocol, "decode_responses": backend.decode_responses}
    if backend.version:
        client = redis.asyncio.Redis(port=servers(backend.version).port, **options)
    else:
        client = AsyncInMemoryClient(**options)
    yield client
    await client.aclose()


@pytest.fixture
async def raw(backend: Backend, client: Any) -> AsyncIterator[Any]:
    """Another program's client of the same server; it gets bytes."""
    if backend.version:
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
    indexes = [key for key in keys if key.endswith(b":~index")]
    async with raw.pipeline(transaction=True) as pipeline:
        for key in keys:
            pipeline.pttl(key)
        for key in indexes:
            pipeline.hgetall(key)
        replies = await pipeline.execute(raise_on_error=False)  # a key of that name need not be a hash
    fields = {key: reply for key, reply in zip(indexes, replies[len(keys) :], strict=True) if isinstance(reply, dict)}
    return {key: (left, fields.get(key)) for key, left in zip(keys, replies, strict=False)}


@pytest.fixture
def ns(store: AsyncSessionStore) -> AsyncNamespace:
    return store.namespace("u")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Records what is written to any connection from now on."""
    return Recorder(monkeypatch)


@pytest.fixture
def make_older(raw: Any, prefix: str) -> Any:
    """A function that makes keys older, or only what indexes say ("times")."""

    async def make_older(seconds: float, what: str = "all") -> None:
        keys = [key async for key in raw.scan_iter(match=f"{prefix}:*", count=1000)]
        await raw.eval(AGE, len(keys), *keys, round(seconds * 1000), what)

    return make_older


@pytest.fixture
def pass_time(backend: Backend, client: Any, make_older: Any) -> Any:
    """A function that lets seconds pass: in memory by the clock, on a server by ageing all that has a time."""

    async def pass_time(seconds: float) -> None:
        if backend.version:
            await make_older(seconds)
        else:
            client.advance(seconds)

    return pass_time


@pytest.fixture
def set_clock_back(make_older: Any) -> Any:
    """A function that makes the server's clock go back, as what indexes say has it."""

    async def set_clock_back(seconds: int) -> None:
        await make_older(-seconds, "times")

    return set_clock_back


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that says what is random about calls from now on: by it, a call "tidies" the index or "does not"."""
    original, texts = tokens.b2a_base64, {"tidies": b"Paaa", "does not": b"aaaa"}

    def draw(what: str) -> None:
        def b2a_base64(data: bytes, *, newline: bool) -> bytes:
            return texts[what] if len(data) == 3 else original(data, newline=newline)  # longer ones are identities

        monkeypatch.setattr(tokens, "b2a_base64", b2a_base64)

    return draw


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
