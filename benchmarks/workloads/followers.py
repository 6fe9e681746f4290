"""Followers: how soon an event is with one, and with a thousand in one process, and what that takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median, quantiles
from typing import Any

import redis
import redis.asyncio

from benchmarks.measure import spread_of
from benchmarks.results import OURS, Context, Result
from session_store import AsyncSessionStore
from session_store.channels import AsyncChannels

WORKLOAD = "followers"
PUBSUB, XREAD = "redis.asyncio, pub/sub", "redis.asyncio, XREAD BLOCK"
APART = "one after another"
MOST_S = 60
Publish = Callable[[str], Awaitable[object]]
Events = Callable[[], AsyncIterator[str]]


class Way:
    """How events get to followers."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self.port = port
        self.stack = stack
        self.publisher = self.client()

    def client(self) -> Any:
        """One of its own, of as many connections as it likes."""
        client = redis.asyncio.Redis(port=self.port, decode_responses=True, max_connections=5_000, protocol=2)
        self.stack.push_async_callback(client.aclose)
        return client


class Ours(Way):
    """A channel, and one connection for all that follow it."""

    async def begin(self, name: str) -> tuple[Publish, Events]:
        """What publishes, and what follows."""
        publishing, following = (
            AsyncChannels(AsyncSessionStore(client, prefix="bench", default_ttl=600))
            for client in (self.publisher, self.client())
        )
        self.stack.push_async_callback(following.aclose)
        channel = following.channel("s", name)

        async def events() -> AsyncIterator[str]:
            async for event in channel.events():
                yield event.data

        return publishing.channel("s", name).publish, events


class PubSub(Way):
    """Plain pub/sub, which loses what nobody hears; a connection for each follower."""

    async def begin(self, name: str) -> tuple[Publish, Events]:
        """As above."""
        client = self.client()

        async def events() -> AsyncIterator[str]:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(name)
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        yield message["data"]

        return lambda data: self.publisher.publish(name, data), events


class Xread(Way):
    """A stream, and a connection for each follower, which waits there."""

    async def begin(self, name: str) -> tuple[Publish, Events]:
        """As above."""
        client = self.client()

        async def events() -> AsyncIterator[str]:
            last = "0"
            while True:
                for _, entries in await client.xread({name: last}, block=4_000, count=500):
                    for event, fields in entries:
                        last = event
                        yield fields["data"]

        return lambda data: self.publisher.xadd(name, {"data": data}, maxlen=10_000), events


WAYS: dict[str, type[Ours | PubSub | Xread]] = {OURS: Ours, PUBSUB: PubSub, XREAD: Xread}


def run(context: Context) -> list[Result]:
    """Milliseconds from publishing to each follower, and events a second that reach all."""
    many = 50 if context.quick else 1_000
    results: list[Result] = []
    for followers, events, case in ((1, 200, "one follower"), (many, 20, f"{many:,} followers in one process")):
        for rate in (APART, "as fast as they go"):
            samples: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in WAYS}
            for number in range(context.rounds(5, 1)):
                for name, kind in WAYS.items():
                    channel = f"{kind.__name__}-{followers}-{number}-{rate.replace(' ', '-')}"
                    measuring = _measured(context.port, kind, followers, events, channel)
                    samples[name].append(asyncio.run(asyncio.wait_for(measuring, MOST_S)))
            results += _lines(f"{case}, {rate}", samples)
        context.say(f"{WORKLOAD}: {case}")
    return results


def _lines(case: str, samples: dict[str, list[tuple[float, float, float, int]]]) -> list[Result]:
    lines = []
    for name, found in samples.items():
        middles = [each[0] for each in found]
        ratio = None
        if name != OURS:
            ratio = spread_of([a[0] / b[0] for a, b in zip(samples[OURS], found, strict=True)])
        counts: dict[str, Any] = {
            "99th percentile, ms": round(median(each[1] for each in found), 2),
            "deliveries/s": round(median(each[2] for each in found)),
            "connections": found[0][3],
        }
        lines.append(Result(WORKLOAD, case, name, "ms", *spread_of(middles), ratio, counts))
    return lines


async def _measured(
    port: int, kind: type[Ours | PubSub | Xread], followers: int, events: int, name: str
) -> tuple[float, float, float, int]:
    """Median and 99th percentile of the milliseconds that an event takes, deliveries a second, connections."""
    async with AsyncExitStack() as stack:
        admin = redis.Redis(port=port)
        stack.callback(admin.close)
        before = len(admin.client_list())
        publish, follow = await kind(port, stack).begin(name)
        took: list[float] = []
        ready = [False] * followers
        all_heard = asyncio.Event()

        async def hear(at: int) -> None:
            async for data in follow():
                if data == "ready":
                    ready[at] = True
                    continue
                took.append(time.perf_counter() - float(data))
                if len(took) % followers == 0:
                    all_heard.set()

        async def heard(count: int) -> None:
            while len(took) < count:
                all_heard.clear()
                await all_heard.wait()

        tasks = [asyncio.create_task(hear(at)) for at in range(followers)]
        try:
            while not all(ready):  # pub/sub tells nobody of what came before
                await publish("ready")
                await asyncio.sleep(0.05)
            connections = len(admin.client_list()) - before
            began = time.perf_counter()
            if name.endswith(APART.replace(" ", "-")):
                for number in range(events):
                    await publish(repr(time.perf_counter()))
                    await heard((number + 1) * followers)
            else:
                await asyncio.gather(*(publish(repr(time.perf_counter())) for _ in range(events)))
                await heard(events * followers)
            seconds = time.perf_counter() - began
        finally:
            left = set(tasks)
            while left:  # before Python 3.12 redis-py may lose a cancellation
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=1)
        return median(took) * 1e3, quantiles(took, n=100)[98] * 1e3, len(took) / seconds, connections
