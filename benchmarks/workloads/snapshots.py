"""Snapshots and channels: what a save, a load and an event cost beside bare commands, by their size."""

from __future__ import annotations

import asyncio

import redis.asyncio

from benchmarks.cores import STATES, kept
from benchmarks.measure import async_block, interleave_async, summed
from benchmarks.results import OURS, Context, Result
from session_store import AsyncSessionStore, TextCodec
from session_store.channels import AsyncChannels
from session_store.snapshots import AsyncSnapshots

SAVES, EVENTS = "snapshots", "channels"
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "5 MB": 5_000_000}
EVENT = "x" * 20
BARE = "redis.asyncio"


def run(context: Context) -> list[Result]:
    """Microseconds a call: saves and loads beside SET and GET, events beside XADD and PUBLISH."""
    return asyncio.run(_timed(context))


async def _timed(context: Context) -> list[Result]:
    results: list[Result] = []
    async with redis.asyncio.Redis(port=context.port) as client:
        store = AsyncSessionStore(client, prefix="bench", default_ttl=600, codec=TextCodec())
        snapshots = AsyncSnapshots(store)
        for name, size in SIZES.items():
            value = "x" * size
            calls, rounds = (50, context.rounds(12, 3)) if size < 10**6 else (2, context.rounds(8, 2))
            saves = {
                OURS: async_block(lambda value=value: snapshots.save("a", value), calls),  # type: ignore[misc]
                f"{BARE}, SET": async_block(lambda value=value: client.set("bench:bare", value, ex=600), calls),  # type: ignore[misc]
            }
            loads = {
                OURS: async_block(lambda: snapshots.load("a"), calls),
                f"{BARE}, GET": async_block(lambda: client.get("bench:bare"), calls),
            }
            for what, sides in (("save", saves), ("load", loads)):
                for cores in STATES:
                    with kept(cores):
                        samples = await interleave_async(sides, rounds)
                    results += summed(SAVES, f"{what}, {name}", "µs", samples, cores=cores)
            context.say(f"{SAVES}: {name}")
        channel = AsyncChannels(store).channel("a", "events")

        async def three_commands() -> None:
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.xadd("bench:stream", {"data": EVENT}, maxlen=10_000)
                pipeline.expire("bench:stream", 600)
                pipeline.publish("bench:bell", EVENT)
                await pipeline.execute()

        publishing = {
            OURS: async_block(lambda: channel.publish(EVENT), 100),
            f"{BARE}, XADD with EXPIRE and PUBLISH": async_block(three_commands, 100),
            f"{BARE}, PUBLISH": async_block(lambda: client.publish("bench:bell", EVENT), 100),
        }
        for cores in STATES:
            with kept(cores):
                samples = await interleave_async(publishing, context.rounds(12, 3))
            results += summed(EVENTS, "publish", "µs", samples, cores=cores)
    return results
