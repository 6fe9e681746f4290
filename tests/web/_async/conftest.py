"""A site with sessions, in memory and on a server, and browsers that visit it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio
from support.backends import misplaced
from support.recorder import Recorder
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncSessionStore, JsonCodec
from session_store.testing.model._places import AGE
from session_store.web import AsyncSessions, AsyncWebSession, SessionPolicy

DAY = 86_400
# Makes the times that a session tells, and those of directories, so many milliseconds older.
AGE_SESSION = """
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  for _, member in ipairs(kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or {}) do
    redis.call('ZINCRBY', key, -ARGV[1], member)
  end
  for _, name in ipairs({'~created', '~auth', '~deadline', '~renewed', '~grace', '~rotated'}) do
    local value = kind == 'hash' and redis.call('HGET', key, name)
    if value then redis.call('HSET', key, name, string.format('%.0f', value - ARGV[1])) end
  end
end
"""


class Browser:
    """Keeps the cookie that it was given, as a browser does."""

    def __init__(self, sessions: AsyncSessions, cookie: str | None = None) -> None:
        self.sessions = sessions
        self.cookie = cookie  # its value
        self.headers: list[tuple[str, str]] = []  # of the latest response

    def twin(self) -> Browser:
        """Another request that is on its way with the same cookie."""
        return Browser(self.sessions, self.cookie)

    def sent(self) -> list[bytes]:
        return [] if self.cookie is None else [f"a=1; {self.sessions.cookie.name}={self.cookie}; b=2".encode()]

    async def open(self) -> AsyncWebSession:
        """The session of a request."""
        return await self.sessions.load(self.sent())

    async def close(self, session: AsyncWebSession, status: int = 200) -> None:
        """The response begins."""
        self.headers = await session.finish(status)
        for value in self.header("Set-Cookie"):
            self.cookie = value.partition("=")[2].partition(";")[0] or None

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    async def put(self, **values: Any) -> AsyncWebSession:
        """A request that sets keys."""
        session = await self.open()
        session.update(values)
        await self.close(session)
        return session

    async def content(self) -> dict[str, Any]:
        """What the next request finds."""
        return (await self.open()).copy()

    async def alive_owner(self) -> str | None:
        return (await self.open()).owner

    async def login(self, owner: str, **options: Any) -> AsyncWebSession:
        session = await self.open()
        await session.login(owner, **options)
        await self.close(session)
        return session


@pytest.fixture(params=["memory", "redis"])
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    client = AsyncInMemoryClient() if request.param == "memory" else redis.asyncio.Redis(port=server.port)
    yield client
    await client.aclose()


@pytest.fixture
async def site(client: Any, prefix: str) -> AsyncIterator[Any]:
    """Makes the sessions of a site, with these settings of its policy. Afterwards its keys are as they must be."""

    def site(codec: Any = None, min_replicas: int = 0, **policy: Any) -> AsyncSessions:
        options = {"prefix": prefix, "default_ttl": 14 * DAY, "min_replicas": min_replicas}
        store = AsyncSessionStore(client, codec=codec or JsonCodec(), **options)
        settings = {"idle": timedelta(days=14), "lifetime": timedelta(days=90), **policy}
        return AsyncSessions(store, policy=SessionPolicy(**settings))

    yield site
    found = {}
    for key in [key async for key in client.scan_iter(match=f"{prefix}:*", count=1000)]:
        fields = await client.hgetall(key) if key.endswith(b":~index") else None
        found[key] = (await client.pttl(key), fields)
    assert list(misplaced(found)) == []


@pytest.fixture
def browser(site: Any) -> Browser:
    """A browser that has not been there yet."""
    return Browser(site())


@pytest.fixture
def pass_time(client: Any, prefix: str) -> Any:
    """Lets seconds pass, by making all that there is older."""

    async def pass_time(seconds: float) -> None:
        keys = [key async for key in client.scan_iter(match=f"{prefix}:*", count=1000)]
        ms = round(seconds * 1000)
        await client.eval(AGE_SESSION, len(keys), *keys, ms)
        await client.eval(AGE, len(keys), *keys, ms, "all")

    return pass_time


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)
