"""Conversations in memory, on a Redis and on a DynamoDB, by each codec."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio
from conversations._async import on_dynamodb
from conversations._async.on_dynamodb import Clock, Recorded
from support._async._flavour import connect
from support._async.layers import CODECS as REDIS_CODECS
from support._async.layers import DAY, TTLS, older, together
from support._async.layers import lose_replies as lose_replies_of_scripts
from support.backends import misplaced
from support.recorder import Recorder
from support.watched import Watched

from session_store import AsyncInMemoryClient, AsyncSessionStore
from session_store.conversations import (
    AsyncDynamoDBConversations,
    AsyncRedisConversation,
    AsyncRedisConversations,
    ConversationInfo,
    NewMessage,
)

CODECS = {
    **REDIS_CODECS,
    "dynamodb-text": REDIS_CODECS["redis-text"],
    "dynamodb-json": REDIS_CODECS["memory-json"],
    "dynamodb-encrypted": REDIS_CODECS["redis-encrypted"],
}
ON_REDIS = ["memory-json", "redis-text", pytest.param("redis-encrypted", marks=pytest.mark.long)]
ON_DYNAMODB = [
    "dynamodb-text",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("dynamodb-json", "dynamodb-encrypted")),
]


def on_redis(why: str) -> pytest.MarkDecorator:
    """For tests of what conversations have on Redis alone; `why` tells that to the reader."""
    assert why
    return pytest.mark.parametrize("backend", ON_REDIS)


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


def most_of(chat: Any) -> int:
    """How many messages of a conversation change together at most."""
    return 1_000 if isinstance(chat, AsyncRedisConversation) else 99


async def add(chat: Any, messages: Iterable[NewMessage]) -> list[Any]:
    """Adds messages, as many at once as may be."""
    listed, added, most = list(messages), [], most_of(chat)
    for first in range(0, len(listed), most):
        added += await chat.append_many(listed[first : first + most])
    return added


async def take_out(chat: Any, seqs: Iterable[int]) -> int:
    """Takes messages out, as many at once as may be."""
    listed, count, most = list(seqs), 0, most_of(chat)
    for first in range(0, len(listed), most):
        count += await chat.delete(*listed[first : first + most])
    return count


@pytest.fixture(params=[*ON_REDIS, *ON_DYNAMODB])
def backend(request: pytest.FixtureRequest) -> str:
    """Where conversations are, and by which codec."""
    return request.param


@pytest.fixture
def is_redis(backend: str) -> bool:
    """Whether the back end is that of Redis."""
    return not backend.startswith("dynamodb")


@pytest.fixture
async def client(backend: str, is_redis: bool, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if not is_redis:
        async with connect(request.getfixturevalue("dynamodb_url")) as client:
            yield Watched(client)
        return
    in_memory = backend.startswith("memory")
    client = AsyncInMemoryClient() if in_memory else redis.asyncio.Redis(port=request.getfixturevalue("server").port)
    yield client
    await client.aclose()


@pytest.fixture
def keys(client: Any, is_redis: bool, prefix: str) -> Any:
    """All keys that there are, on DynamoDB those of the items."""

    async def keys() -> list[bytes]:
        if not is_redis:
            return sorted(
                [f"{each['PK']['S']}|{each['SK']['S']}".encode() for each in await on_dynamodb.items(client, prefix)]
            )
        return sorted([key async for key in client.scan_iter(match=f"{prefix}:*", count=1000)])

    return keys


@pytest.fixture
async def well_kept(client: Any, is_redis: bool, prefix: str, keys: Any) -> AsyncIterator[None]:
    """Sees to it that each key has a TTL afterwards, and that indexes, or counts, agree with what is there."""
    if not is_redis:
        await AsyncDynamoDBConversations(client, table=prefix).create_table()
        client.clear()
    yield
    if not is_redis:
        assert on_dynamodb.misplaced(await on_dynamodb.items(client, prefix)) == []
        await client._client.delete_table(TableName=prefix)
        return
    all_keys = await keys()
    ttls = await client.eval(TTLS, len(all_keys), *all_keys)  # at one moment: an index may end with its slot
    found = {}
    for key, left in zip(all_keys, ttls, strict=True):
        fields = await client.hgetall(key) if key.endswith(b":~index") else None
        found[key] = (left, fields)
    assert list(misplaced(found)) == []


@pytest.fixture
def recorder(client: Any, is_redis: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    return Recorder(monkeypatch) if is_redis else Recorded(client)


@pytest.fixture
def lose_replies(client: Any, is_redis: bool, request: pytest.FixtureRequest) -> Callable[[], None]:
    """From now on the first reply to each change is lost, and it is sent again."""
    if is_redis:
        return request.getfixturevalue("lose_replies_of_scripts")
    return lambda: client.faults.append(on_dynamodb.LosesFirst())


@pytest.fixture
def hints(client: Any, is_redis: bool, prefix: str, keys: Any) -> Any:
    """How many conversations all lists name, whether they live or not."""

    async def hints() -> int:
        if not is_redis:
            return sum("UK" in item for item in await on_dynamodb.items(client, prefix)) + sum(
                "AK" in item for item in await on_dynamodb.items(client, prefix)
            )
        return sum([await client.zcard(key) for key in await keys() if key.endswith(b":created")])

    return hints


@pytest.fixture
def stored(client: Any, is_redis: bool, prefix: str) -> Any:
    """What is stored of a conversation, to be looked at and put elsewhere."""
    return Stored(client, prefix) if is_redis else on_dynamodb.Stored(client, prefix)


class Stored:
    """The messages of conversations, and their titles, as Redis has them."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def key(self, chat: Any) -> str:
        return f"{self._prefix}:{chat.id}:conversation"

    async def message(self, chat: Any, seq: int) -> bytes:
        return await self._client.hget(self.key(chat), str(seq))

    async def put(self, chat: Any, seq: int, message: bytes) -> None:
        await self._client.hset(self.key(chat), str(seq), message)

    def with_body_of(self, message: bytes, other: bytes) -> bytes:
        return b"|".join([*message.split(b"|", 6)[:6], other.split(b"|", 6)[6]])

    async def spoil_title(self, chat: Any) -> None:
        await self._client.hset(self.key(chat), "t", b"\xff")


@pytest.fixture
def chats(client: Any, backend: str, is_redis: bool, prefix: str, well_kept: None) -> Any:
    """Makes the conversations of a store."""

    def chats(min_replicas: int = 0, **options: Any) -> Any:
        if not is_redis:
            settings = {"idle_ttl": DAY, **options}
            return AsyncDynamoDBConversations(client, table=prefix, codec=CODECS[backend], **settings)
        settings = {"prefix": prefix, "default_ttl": DAY, "min_replicas": min_replicas}
        return AsyncRedisConversations(AsyncSessionStore(client, codec=CODECS[backend], **settings), **options)

    return chats


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
def pass_time(is_redis: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets seconds pass: makes what there is older, or puts this machine's clock on, which is that of DynamoDB's writers."""
    clock = None if is_redis else Clock(monkeypatch)
    make_older = request.getfixturevalue("older") if is_redis else None

    async def pass_time(seconds: float) -> None:
        if clock is None:
            await make_older(seconds, AGE_CONVERSATION)
        else:
            clock.ahead += seconds

    return pass_time


@pytest.fixture
def left(client: Any, is_redis: bool, key: Any) -> Any:
    """How many seconds a conversation lives if nothing is written."""

    async def left(chat: Any) -> float:
        if is_redis:
            return await client.pttl(key(chat)) / 1_000
        return (await chat.info()).expires_at.timestamp() - time.time_ns() / 1e9

    return left
