"""Conversations in memory and on a server, by each codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support._async.layers import (
    CODECS,
    DAY,
    backend,
    client,
    keys,
    lose_replies,
    older,
    recorder,
    together,
    well_kept,
)

from session_store import AsyncSessionStore
from session_store.conversations import AsyncRedisConversation, AsyncRedisConversations, ConversationInfo

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


async def hints(client: Any, keys: Any) -> int:
    """How many conversations all lists name, whether they live or not."""
    return sum([await client.zcard(key) for key in await keys() if key.endswith(b":created")])


@pytest.fixture
def chats(client: Any, backend: str, prefix: str, well_kept: None) -> Any:
    """Makes the conversations of a store."""

    def chats(min_replicas: int = 0, **options: Any) -> AsyncRedisConversations:
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
def pass_time(older: Any) -> Any:
    """Lets seconds pass."""

    async def pass_time(seconds: float) -> None:
        await older(seconds, AGE_CONVERSATION)

    return pass_time
