"""What a session's keys take in the server's memory, the index included."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import redis
import redis.asyncio

from benchmarks.clients import PREFIX, TTL, remove
from benchmarks.crew import Crew, Job
from benchmarks.measure import summed
from benchmarks.results import OURS, Context, Result
from session_store import AsyncSessionStore, SessionStore

WORKLOAD = "memory"
BARE = "the same five keys without an index"
NAME = "0f8c2f5ee3d14d6d9b6c86a1c6b3f7aa"  # names of sessions are random, and long
BASKET = {"tea-earl-grey": "2", "cup-white": "1", "pot-iron": "1", "filter-paper": "3", "count": "7"}
FORM = {
    "name": "Ada Lovelace",
    "street": "12 St James's Square",
    "city": "London",
    "postcode": "SW1Y 4JH",
    "country": "United Kingdom",
    "email": "ada@example.org",
    "phone": "+44 20 7946 0000",
    "remark": "Please ring twice.",
}
STRINGS = {"step": "address", "preferences": "x" * 500}
COUNTER = "order-id"
OTHERS = 3  # further processes that write
SESSIONS, QUICK, WRITES = 400, 100, 20  # whose indexes are measured, and how often each is written to
ONE = "one request at a time"
IN_FLIGHT = (1, 16, 64, 160)  # requests under way at any moment, each for some session


def run(context: Context) -> list[Result]:
    """Bytes by MEMORY USAGE of a session of five slots; and when three more processes have written to one of them."""
    with redis.Redis(port=context.port) as client:
        bare = _bare(client)
        alone = _ours(client)
        with Crew(OTHERS, context.port) as crew:
            crew.do(Job(OURS, "basket", calls=5, name=NAME))
        after = _bytes(client)
        remove(client)
        indexes = {
            count: asyncio.run(_index_bytes(context.port, count, context.pick(SESSIONS, QUICK))) for count in IN_FLIGHT
        }
        remove(client)
    return [
        *_lines("written by one process", alone, bare),
        *_lines(f"written by {OTHERS} processes more", after, bare),
        *(
            line
            for count, used in indexes.items()
            for line in summed(WORKLOAD, f"index, {count} in flight", "bytes", {OURS: [used], ONE: [indexes[1]]})
        ),
    ]


async def _index_bytes(port: int, in_flight: int, sessions: int) -> float:
    """Bytes of a session's index, on average, after requests for sessions in a mixed order."""
    async with redis.asyncio.Redis(port=port) as client:
        store = AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL)
        names = [f"{NAME}-{number}" for number in range(sessions)] * WRITES
        random.Random(1).shuffle(names)

        async def write() -> None:
            while names:
                await store.namespace(names.pop()).hset("basket", "tea", "2")

        await asyncio.gather(*(write() for _ in range(in_flight)))
        keys = [f"{PREFIX}:{NAME}-{number}:~index" for number in range(sessions)]
        used = sum([int(await client.memory_usage(key, samples=0) or 0) for key in keys])
        await client.delete(*keys, *(key.replace("~index", "basket") for key in keys))
    return used / sessions


def _lines(case: str, ours: int, bare: int) -> list[Result]:
    return summed(WORKLOAD, case, "bytes", {OURS: [float(ours)], BARE: [float(bare)]})


def _bytes(client: redis.Redis) -> int:
    return sum(int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter(match=f"{PREFIX}:*"))


def _ours(client: redis.Redis) -> int:
    ns = SessionStore(client, prefix=PREFIX, default_ttl=TTL).namespace(NAME)
    ns.hset("basket", mapping=BASKET)
    ns.hset("form", mapping=FORM)
    for slot, text in STRINGS.items():
        ns.set(slot, text)
    ns.incr(COUNTER)
    return _bytes(client)


def _bare(client: redis.Redis) -> int:
    """The same keys by the same names."""
    hashes: dict[str, dict[Any, Any]] = {"basket": {**BASKET}, "form": {**FORM}}
    for slot, fields in hashes.items():
        client.hset(f"{PREFIX}:{NAME}:{slot}", mapping=fields)
        client.expire(f"{PREFIX}:{NAME}:{slot}", TTL)
    for slot, text in STRINGS.items():
        client.set(f"{PREFIX}:{NAME}:{slot}", text, ex=TTL)
    client.set(f"{PREFIX}:{NAME}:{COUNTER}", 1, ex=TTL)
    used = _bytes(client)
    remove(client)
    return used
