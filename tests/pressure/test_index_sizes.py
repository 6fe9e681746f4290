"""What the index of a session takes in memory follows the session's own concurrent writers, not those of the process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio
from support.callers import TTL
from support.servers import Server

from session_store import AsyncSessionStore, SessionStore

SESSIONS, WRITES = 200, 20  # of each session, in a mixed order
BUSY = 2_000  # writes of one session
# By requests in flight, each for some session, what an index takes at most, in times of what one at a time leaves: two may
# meet in a session.
MOST = {16: 1.3, 160: 1.6}
# The same where all are for one session, in times of what one write leaves.
MOST_OF_BUSY = {1: 1.3, 16: 7, 160: 60}


@pytest.fixture
def write(server: Server, prefix: str, flavour: str) -> Iterator[Callable[[list[str], int], None]]:
    """A function that writes to each of some sessions, with so many requests in flight."""

    def write_in_threads(names: list[str], at_once: int) -> None:
        with (
            redis.Redis(port=server.port, max_connections=at_once) as client,
            ThreadPoolExecutor(at_once) as threads,
        ):
            store = SessionStore(client, prefix=prefix, default_ttl=TTL)
            list(threads.map(lambda name: store.namespace(name).hset("basket", "tea", "2"), names))

    async def write_in_tasks(names: list[str], at_once: int) -> None:
        async with redis.asyncio.Redis(port=server.port) as client:
            store, left = AsyncSessionStore(client, prefix=prefix, default_ttl=TTL), iter(names)

            async def write_on() -> None:
                for name in left:
                    await store.namespace(name).hset("basket", "tea", "2")

            await asyncio.gather(*(write_on() for _ in range(at_once)))

    if flavour == "sync":
        yield write_in_threads
    else:
        yield lambda names, at_once: asyncio.run(write_in_tasks(names, at_once))


@pytest.fixture
def taken(server: Server, prefix: str) -> Iterator[Callable[[], int]]:
    """A function that tells the bytes of all indexes, and removes everything."""
    with redis.Redis(port=server.port) as raw:

        def taken() -> int:
            keys = list(raw.scan_iter(match=f"{prefix}:*", count=1000))
            used = sum(raw.memory_usage(key, samples=0) for key in keys if key.endswith(b":~index"))
            raw.delete(*keys)
            return used

        yield taken


def test_many_sessions(write: Callable[[list[str], int], None], taken: Callable[[], int]) -> None:
    """However many other sessions the process serves meanwhile."""
    names = [f"session-{number}" for number in range(SESSIONS)] * WRITES
    random.Random(1).shuffle(names)
    write(names, 1)
    alone = taken()
    for at_once, most in MOST.items():
        write(names, at_once)
        assert alone <= taken() <= most * alone


def test_one_busy_session(write: Callable[[list[str], int], None], taken: Callable[[], int]) -> None:
    """A record for each of its requests in flight, and no more, however many it has had."""
    write(["busy"], 1)
    one = taken()
    for at_once, most in MOST_OF_BUSY.items():
        write(["busy"] * BUSY, at_once)
        assert one <= taken() <= most * one
