"""Channels in memory and on a server, by each codec."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
from session_store.channels import AsyncChannel, AsyncChannels

# Makes the times that channels tell, and those of directories, so many milliseconds older.
AGE_CHANNEL = """
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  for _, member in ipairs(kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or {}) do
    redis.call('ZINCRBY', key, -ARGV[1], member)
  end
  for _, name in ipairs({'pu', 'cu', 'lt'}) do
    local value = kind == 'hash' and string.sub(key, -7) ~= ':~index' and redis.call('HGET', key, name)
    if value then redis.call('HSET', key, name, string.format('%.0f', value - ARGV[1])) end
  end
end
"""


@pytest.fixture
async def make(client: Any, backend: str, prefix: str, well_kept: None) -> AsyncIterator[Any]:
    """Makes the channels of a store."""
    made = []

    def make(**options: Any) -> AsyncChannels[Any]:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=DAY, codec=CODECS[backend])
        made.append(AsyncChannels(store, **options))
        return made[-1]

    yield make
    _ = [await each.aclose() for each in made]  # async only


@pytest.fixture
def channels(make: Any) -> AsyncChannels[Any]:
    return make()


@pytest.fixture
def channel(channels: AsyncChannels[Any]) -> AsyncChannel[Any]:
    return channels.channel("session", "answer")


@pytest.fixture
def pass_time(older: Any) -> Any:
    """Lets seconds pass."""

    async def pass_time(seconds: float) -> None:
        await older(seconds, AGE_CHANNEL)

    return pass_time
