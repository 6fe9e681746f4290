"""A page that is loaded anew while an answer grows: python -m benchmarks.peers.reloading produce|follow PORT STREAM EVENTS TIMES.

resumable.cjs does the same with npm's resumable-stream, in the same words.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import redis.asyncio

from session_store import AsyncSessionStore
from session_store.channels import AsyncChannel, AsyncChannels, ProducerLostError

EVENT = "0123456789abcdefghi "
OTHER_END_S = 5
LEASE_S = 2


async def main(role: str, port: int, stream: str, events: int, times: int) -> None:
    """What the command line asks for."""
    client = redis.asyncio.Redis(port=port)
    async with client, AsyncChannels(AsyncSessionStore(client, prefix="bench", default_ttl=600)) as channels:
        channel = channels.channel("s", stream)
        if role == "produce":
            await produce(channel, events)
        else:
            print(json.dumps(await follow(channel, events // 2 * len(EVENT), times)), flush=True)


async def produce(channel: AsyncChannel, events: int) -> None:
    """Half of the events, the rest when it is told to."""
    loop = asyncio.get_running_loop()
    async with channel.produce(lease=LEASE_S) as out:
        for sent in range(events):
            if sent == events // 2:
                print("half", flush=True)
                await loop.run_in_executor(None, sys.stdin.readline)
            await out.publish(EVENT)
        await out.end()
    print("end", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


async def follow(channel: AsyncChannel, half: int, times: int) -> dict[str, Any]:
    """Milliseconds from asking to having half of the text, of each time; asked once, until the end."""
    told: dict[str, Any] = {"took": [], "characters": 0, "end": ""}
    for _ in range(times):
        began = time.perf_counter()
        told["characters"] = 0
        try:
            async with asyncio.timeout(OTHER_END_S):
                async for event in channel.events():
                    told["characters"] += len(event.data)
                    if told["characters"] >= half and times > 1:
                        break
                else:
                    told["end"] = "end"
        except (ProducerLostError, TimeoutError) as error:
            told["end"] = type(error).__name__
        told["took"].append((time.perf_counter() - began) * 1_000)
    return told


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
