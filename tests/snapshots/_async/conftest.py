"""Snapshots in memory and on a server, by each codec."""

from __future__ import annotations

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
from session_store.snapshots import AsyncSnapshots

# Makes the times that snapshots tell, and those of directories, so many milliseconds older.
AGE_SNAPSHOT = """
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  for _, member in ipairs(kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or {}) do
    redis.call('ZINCRBY', key, -ARGV[1], member)
  end
  for _, name in ipairs({'ts', 'lt'}) do
    local value = kind == 'hash' and redis.call('HGET', key, name)
    if value then redis.call('HSET', key, name, string.format('%.0f', value - ARGV[1])) end
  end
end
"""


@pytest.fixture
def make(client: Any, backend: str, prefix: str, well_kept: None) -> Any:
    """Makes the snapshots of a store."""

    def make(**options: Any) -> AsyncSnapshots[Any]:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=DAY, codec=CODECS[backend])
        return AsyncSnapshots(store, **options)

    return make


@pytest.fixture
def snapshots(make: Any) -> AsyncSnapshots[Any]:
    return make()


@pytest.fixture
def pass_time(older: Any) -> Any:
    """Lets seconds pass."""

    async def pass_time(seconds: float) -> None:
        await older(seconds, AGE_SNAPSHOT)

    return pass_time
