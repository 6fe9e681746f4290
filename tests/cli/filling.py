"""Fills a server with namespaces of all layers, as applications write them.

python tests/cli/filling.py redis://localhost:6379 100000
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio

from session_store import AsyncSessionStore
from session_store.channels import AsyncChannels
from session_store.conversations import AsyncRedisConversations, NewMessage
from session_store.snapshots import AsyncSnapshots
from session_store.web import AsyncSessions, SessionPolicy

PREFIX = "shop"
DAY = 86_400
AT_ONCE = 200
WORDS = ["tea", "cup", "pot", "kettle", "sugar", "milk", "lemon", "honey", "saucer", "spoon"]


class Filler:
    """Namespaces of a store; the n-th of each layer has the same name in each run, but those whose names are drawn."""

    def __init__(self, store: AsyncSessionStore[str], seed: int = 1) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.sessions = AsyncSessions(store, policy=SessionPolicy(idle=14 * DAY, lifetime=90 * DAY))
        self.chats = AsyncRedisConversations(store, idle_ttl=30 * DAY, max_lifetime=365 * DAY)
        self.snapshots = AsyncSnapshots(store, ttl=7 * DAY)
        self.channels = AsyncChannels(store, ttl=6 * 3_600)

    def text(self, most: int) -> str:
        return " ".join(self.random.choices(WORDS, k=self.random.randint(1, most)))

    async def web(self, number: int) -> None:
        session = self.sessions.new()
        session["basket"] = self.text(10)
        await session.save()
        if number % 2:
            await session.login(f"user-{number % 1000}")

    async def conversation(self, number: int) -> None:
        name = f"chat-{number}"
        await self.chats.create(name, user=f"user-{number % 1000}", agent="planner", title=self.text(4))
        messages = [
            NewMessage(("user", "assistant")[at % 2], self.text(40), tokens=40)
            for at in range(self.random.randint(1, 12))
        ]
        await self.chats.conversation(name).append_many(messages)

    async def snapshot(self, number: int) -> None:
        await self.snapshots.save(f"agent-{number}", self.text(300), tick=number % 30, owner=f"user-{number % 1000}")

    async def channel(self, number: int) -> None:
        async with self.channels.channel(f"call-{number}", "answer").produce() as out:
            for _ in range(self.random.randint(1, 8)):
                await out.publish(self.text(3), kind="token")
            if number % 3:
                await out.end()

    async def plain(self, number: int) -> None:
        ns = self.store.namespace(f"visitor-{number}", default_ttl=self.random.choice([7_200, DAY, 3 * DAY, 40 * DAY]))
        await ns.hset("basket", mapping={word: str(number % 9) for word in self.random.sample(WORDS, 4)})
        await ns.set("step", "address")
        await ns.incr("order-id")

    @property
    def kinds(self) -> dict[str, Callable[[int], Awaitable[None]]]:
        return {
            "web": self.web,
            "conversation": self.conversation,
            "snapshot": self.snapshot,
            "channel": self.channel,
            "plain": self.plain,
        }


async def fill_store(client: Any, count: int, prefix: str) -> None:
    """So many namespaces, as many of each layer."""
    filler = Filler(AsyncSessionStore(client, prefix=prefix, default_ttl=14 * DAY))
    for make in filler.kinds.values():
        for first in range(0, count // 5, AT_ONCE):
            await asyncio.gather(*(make(number) for number in range(first, min(first + AT_ONCE, count // 5))))
    await filler.channels.aclose()


async def fill(url: str, count: int, prefix: str = PREFIX) -> None:
    """The same on the server of a URL."""
    async with redis.asyncio.from_url(url) as client:
        await fill_store(client, count, prefix)


if __name__ == "__main__":
    began = time.monotonic()
    asyncio.run(fill(sys.argv[1], int(sys.argv[2])))
    print(f"{time.monotonic() - began:.0f} s")
