"""Conversations in memory and on a server, by each codec."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio
from support.backends import misplaced
from support.recorder import Recorder
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    EncryptedCodec,
    JsonCodec,
    SessionStoreError,
    TextCodec,
)
from session_store._async.commands import AsyncCommands
from session_store.conversations import AsyncRedisConversation, AsyncRedisConversations, ConversationInfo
from session_store.testing._async._flavour import gather
from session_store.testing.model._places import AGE

DAY = 86_400
CODECS = {
    "memory-json": JsonCodec(),
    "redis-text": TextCodec(),
    "redis-encrypted": EncryptedCodec(TextCodec(), keys=[bytes(32)]),
}
# Makes the times that conversations and their messages tell, and those of directories, so many milliseconds older.
AGE_CONVERSATION = """
local function older(ms) return ms == '' and '' or string.format('%.0f', ms - ARGV[1]) end
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  for _, member in ipairs(kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or {}) do
    redis.call('ZINCRBY', key, -ARGV[1], member)
  end
  local fields = kind == 'hash' and string.sub(key, -13) == ':conversation' and redis.call('HGETALL', key) or {}
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    if name == 'ca' or name == 'la' or name == 'xa' or name == 'lt' then
      redis.call('HSET', key, name, older(value))
    elseif string.find(name, '^%d+$') then
      local created, edited, rest = string.match(value, '^(%d+)|(%d*)()')
      redis.call('HSET', key, name, older(created) .. '|' .. older(edited) .. string.sub(value, rest))
    end
  end
end
"""


async def together(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What calls that are under way together return or, of the store's errors, raise."""

    async def outcome(call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except SessionStoreError as error:
            return error

    return await gather([lambda call=call: outcome(call) for call in calls])


async def standing(chat: AsyncRedisConversation) -> ConversationInfo:
    """What is told of a conversation, but for when it ends: two readings of that may differ by a millisecond."""
    info = await chat.info()
    assert info is not None
    return replace(info, expires_at=info.created_at)


async def ids(every: AsyncRedisConversations, **options: Any) -> list[str]:
    """All of a list, page by page."""
    found, cursor = [], None
    while True:
        page = await every.list(**options, cursor=cursor)
        found += [info.id for info in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


async def hints(client: Any, keys: Any) -> int:
    """How many conversations all lists name, whether they live or not."""
    return sum([await client.zcard(key) for key in await keys() if key.endswith(b":created")])


@pytest.fixture(params=["memory-json", "redis-text", pytest.param("redis-encrypted", marks=pytest.mark.long)])
def backend(request: pytest.FixtureRequest) -> str:
    """Where conversations are, and by which codec."""
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
async def chats(client: Any, backend: str, prefix: str, keys: Any) -> AsyncIterator[Any]:
    """Makes the conversations of a store. Afterwards its keys are as they must be."""

    def chats(min_replicas: int = 0, **options: Any) -> AsyncRedisConversations:
        settings = {"prefix": prefix, "default_ttl": DAY, "min_replicas": min_replicas}
        return AsyncRedisConversations(AsyncSessionStore(client, codec=CODECS[backend], **settings), **options)

    yield chats
    found = {}
    for key in await keys():
        fields = await client.hgetall(key) if key.endswith(b":~index") else None
        found[key] = (await client.pttl(key), fields)
    assert list(misplaced(found)) == []


@pytest.fixture
async def chat(chats: Any) -> AsyncRedisConversation:
    """A conversation that has just begun."""
    every = chats()
    return every.conversation((await every.create()).id)


@pytest.fixture
def key(prefix: str) -> Callable[[AsyncRedisConversation], str]:
    """The key of a conversation."""
    return lambda chat: f"{prefix}:{chat.id}:conversation"


@pytest.fixture
def pass_time(client: Any, keys: Any) -> Any:
    """Lets seconds pass, by making all that there is older."""

    async def pass_time(seconds: float) -> None:
        found, ms = await keys(), round(seconds * 1000)
        await client.eval(AGE_CONVERSATION, len(found), *found, ms)
        await client.eval(AGE, len(found), *found, ms, "all")

    return pass_time


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
