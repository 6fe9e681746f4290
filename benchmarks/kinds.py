"""Namespaces of every layer in shapes to be measured: how one is made, and what is done with it."""

# ruff: noqa: D102  # what each method is to do is said once, at `Kind`

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.sizing import Shape
from session_store import AsyncSessionStore, JsonCodec
from session_store.channels import AsyncChannels
from session_store.conversations import AsyncRedisConversations, NewMessage
from session_store.snapshots import AsyncSnapshots
from session_store.web import AsyncSessions, SessionPolicy

DAY = 86_400
Calls = dict[str, Callable[[Any], Awaitable[object]]]


class Kind(ABC):
    """One kind of namespaces. `shapes`: to be measured, for what the formula is fitted to."""

    name: str
    shapes: tuple[Shape, ...]

    def __init__(self, client: Any, *, pipelining: bool = True) -> None:
        self.client = client
        self.store: Any = AsyncSessionStore(
            client, prefix="shop", default_ttl=DAY, codec=JsonCodec(), pipelining=pipelining
        )
        self.begin()

    def begin(self) -> None:  # noqa: B027  # some have nothing to do
        """Makes what a layer has once in a process."""

    @abstractmethod
    async def make(self, number: int, shape: Shape) -> Any:
        """Makes one; what `calls` take to find it again, as a request does."""

    @abstractmethod
    def calls(self, shape: Shape) -> Calls:
        """Its operations, which keep it at its shape or nearly so."""


def shapes(counts: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[Shape, ...]:
    """All pairs."""
    return tuple(Shape(count, size) for count in counts for size in sizes)


def text(size: int) -> str:
    """A value that is so long when it is stored as JSON."""
    return "x" * max(size - 2, 0)


def name_of(number: int) -> str:
    """As long as names that are drawn: 32 characters."""
    return f"{number:032x}"


class Slots(Kind):
    """Strings in slots of the primitive."""

    name = "slots"
    shapes = shapes((1, 4, 16), (20, 200, 2_000))

    async def make(self, number: int, shape: Shape) -> Any:
        ns = self.store.namespace(name_of(number))
        value = text(shape.size)

        async def write(ops: Any) -> None:
            for at in range(shape.count):
                ops.set(f"slot-{at:02}", value)

        await ns.batch(write)
        return ns.name

    def calls(self, shape: Shape) -> Calls:
        value, of = text(shape.size), self.store.namespace

        async def change(snap: Any, ops: Any) -> None:
            await snap.get("slot-00")
            ops.set("slot-00", value)

        return {
            "get": lambda name: of(name).get("slot-00"),
            "set": lambda name: of(name).set("slot-00", value),
            "with_cas": lambda name: of(name).with_cas("slot-00", change),
        }


class Web(Kind):
    """Sessions of browsers; each of an owner of its own, who has a list of them. No value of more than 64 bytes."""

    name = "web"
    shapes = shapes((1, 5, 20), (10, 25, 50))

    def begin(self) -> None:
        self.sessions = AsyncSessions(self.store, policy=SessionPolicy(idle=DAY, lifetime=DAY))

    async def make(self, number: int, shape: Shape) -> Any:
        session = self.sessions.new()
        for at in range(shape.count):
            session[f"key-{at:02}"] = text(shape.size)
        await session.login(f"user-{number:08}")
        await session.save()
        return session.token

    def calls(self, shape: Shape) -> Calls:
        async def save(token: Any) -> None:
            session = await self.sessions.open(token)
            session["key-00"] = text(shape.size - 1) if session["key-00"] == text(shape.size) else text(shape.size)
            await session.save()

        return {"page view": self.sessions.open, "save": save}


class LargeWeb(Web):
    """The same with values of more than 64 bytes: the server then keeps the hash in another form, which takes more."""

    name = "web, large values"
    shapes = shapes((1, 5, 20), (100, 400, 1_600))


class Conversations(Kind):
    """Messages, in conversations of a user each, who has a list of them."""

    name = "conversation"
    shapes = shapes((1, 10, 100), (100, 500, 2_000))

    def begin(self) -> None:
        self.chats: Any = AsyncRedisConversations(self.store)

    async def make(self, number: int, shape: Shape) -> Any:
        chat = self.chats.conversation((await self.chats.create(name_of(number), user=f"user-{number:08}")).id)
        await chat.append_many([NewMessage("user", text(shape.size)) for _ in range(shape.count)])
        return chat.id

    def calls(self, shape: Shape) -> Calls:
        of = self.chats.conversation
        return {
            "latest 50": lambda name: of(name).latest(50),
            "append": lambda name: of(name).append("user", text(shape.size)),
        }


class Snapshots(Kind):
    """States of agents, of no owner."""

    name = "snapshot"
    shapes = shapes((1,), (1_000, 10_000, 100_000))

    def begin(self) -> None:
        self.snapshots: Any = AsyncSnapshots(self.store)

    async def make(self, number: int, shape: Shape) -> Any:
        await self.snapshots.save(name_of(number), text(shape.size))
        return name_of(number)

    def calls(self, shape: Shape) -> Calls:
        return {"load": self.snapshots.load, "save": lambda name: self.snapshots.save(name, text(shape.size))}


class Channels(Kind):
    """Streams that nobody follows. Up to 128 events, 512 since Redis 8.0, of up to 64 bytes take half of this."""

    name = "channel"
    shapes = (*shapes((1_000, 2_000), (20,)), *shapes((10, 100, 1_000), (100, 400)))

    def begin(self) -> None:
        self.channels: Any = AsyncChannels(self.store)

    async def make(self, number: int, shape: Shape) -> Any:
        channel = self.channels.channel(name_of(number), "answer")
        for _ in range(shape.count):
            await channel.publish(text(shape.size))
        return name_of(number)

    def calls(self, shape: Shape) -> Calls:
        def of(name: str) -> Any:
            return self.channels.channel(name, "answer")

        return {
            "read 100": lambda name: of(name).read(limit=100),
            "publish": lambda name: of(name).publish(text(shape.size)),
        }


KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Slots, Web, LargeWeb, Conversations, Snapshots, Channels)}
