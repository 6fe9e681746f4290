"""What type checkers are to infer; mypy checks this file, nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import redis
import redis.asyncio
from typing_extensions import assert_type

from session_store import (
    AsyncCasSnapshot,
    AsyncNamespace,
    AsyncSessionStore,
    CasOps,
    CasPolicy,
    CasSnapshot,
    InMemoryClient,
    JsonCodec,
    Namespace,
    SessionStore,
)
from session_store.channels import AsyncChannels, Channels, Event
from session_store.conversations import (
    AsyncConversation,
    AsyncConversations,
    AsyncDynamoDBConversation,
    AsyncDynamoDBConversations,
    AsyncRedisConversation,
    AsyncRedisConversations,
    Conversation,
    Conversations,
    DynamoDBConversation,
    DynamoDBConversations,
    Message,
    Page,
    RedisConversation,
    RedisConversations,
)
from session_store.snapshots import Snapshot, Snapshots
from session_store.testing import ClientConformance, Interleavings, explore

store = SessionStore(redis.Redis(), prefix="shop", default_ttl=60)
assert_type(store, SessionStore[str])
assert_type(store.namespaces(), Iterator[str])
ns = store.namespace("u")
assert_type(ns, Namespace[str])
assert_type(ns.get("a"), str | None)
assert_type(ns.hmget("a", ["f"]), list[str | None])
assert_type(ns.hgetall("a"), dict[str, str])
assert_type(ns.kind("a"), str | None)
assert_type(ns.incr("n", ttl=60, keepttl=True), int)
assert_type(ns.hincrby("h", "f", ttl=60, keepttl=True), int)
assert_type(ns.hset("h", mapping={"f": "1"}, keepttl=True), int)
assert_type(ns.hdel("h", "f", "g", ttl=60, keepttl=True), int)
assert_type(ns.touch("a", "h", ttl=60), int)
assert_type(store.namespace("u", default_ttl=60), Namespace[str])
ns.incr("n", 1, 60)  # type: ignore[call-arg]  # a TTL has its name
CasPolicy(turn_wait=5)  # type: ignore[call-arg]  # was the name of lock_timeout
CasPolicy(lock_ttl=2, lock_timeout=0)
ns.set("a", 1)  # type: ignore[arg-type]  # text only
ns.hset("a", "f")  # type: ignore[call-overload]  # neither a value nor a mapping
SessionStore(redis.Redis(), prefix="shop")  # type: ignore[call-overload]  # there is no default TTL

json_store = SessionStore(InMemoryClient(), prefix="shop", default_ttl=60, codec=JsonCodec())
assert_type(json_store, SessionStore[Any])
json_store.namespace("u").set("a", {"qty": 1})


def checkout(snap: CasSnapshot, ops: CasOps) -> int:
    """A bare CasSnapshot and CasOps are of str."""
    assert_type(snap.hgetall("basket"), dict[str, str])
    assert_type(snap.kind("basket"), str | None)
    ops.set("total", "1", keepttl=True)
    ops.hset("basket", "f", "1", ttl=60, keepttl=True)
    return 1


assert_type(ns.with_cas("basket", checkout), int)
assert_type(ns.with_cas(["basket", "total"], lambda snap, ops: snap.get("total")), str | None)


def handler(session: Namespace) -> None:
    """A bare Namespace is one of str."""
    assert_type(session.get("a"), str | None)


handler(ns)


async def asynchronously(session: AsyncNamespace) -> None:
    """The async flavour has the same types, awaited."""
    async_store = AsyncSessionStore(redis.asyncio.Redis(), prefix="shop", default_ttl=60)
    assert_type(async_store, AsyncSessionStore[str])
    assert_type(async_store.namespaces(), AsyncIterator[str])
    assert_type(await session.get("a"), str | None)
    assert_type(await session.kind("a"), str | None)
    assert_type(await session.touch("a", ttl=60), int)

    async def fn(snap: AsyncCasSnapshot, ops: CasOps) -> str | None:
        return await snap.get("a")

    assert_type(await session.with_cas("a", fn), str | None)
    await session.with_cas("a", checkout)  # type: ignore[arg-type]  # a closure of the wrong flavour


def job(ns: Namespace[str]) -> int:
    return ns.incr("n")


async def async_job(ns: AsyncNamespace[str]) -> int:
    return await ns.incr("n")


def check(ns: Namespace[str], results: dict[str, Any]) -> None:
    assert_type(ns.get("n"), str | None)


assert_type(explore({"one": job, "two": job}, setup=lambda ns: ns.set("n", "1"), check=check), Interleavings)
assert_type(explore({"one": async_job}, faults={"purge"}), Interleavings)
explore({"one": job, "two": async_job})
explore({"one": InMemoryClient.ping}, handle=lambda client: client)


class TestClient(ClientConformance):
    def make_client(self) -> InMemoryClient:
        return InMemoryClient()


chats = RedisConversations(store)
assert_type(chats.conversation("c").latest(), Page[Message, int])
assert_type(chats.conversation("c").iter(), Iterator[Message])


def any_back_end(
    one: RedisConversations, two: AsyncRedisConversations, three: RedisConversation, four: AsyncRedisConversation
) -> tuple[Conversations, AsyncConversations, Conversation, AsyncConversation]:
    """What is written for the protocols takes Redis."""
    return one, two, three, four


def the_other_back_end(
    one: DynamoDBConversations,
    two: AsyncDynamoDBConversations,
    three: DynamoDBConversation,
    four: AsyncDynamoDBConversation,
) -> tuple[Conversations, AsyncConversations, Conversation, AsyncConversation]:
    """And DynamoDB."""
    return one, two, three, four


saved_as_json = SessionStore(InMemoryClient(), prefix="p", default_ttl=60, codec=JsonCodec())
snapshot = Snapshots(store).load("a")
if snapshot is not None:
    assert_type(snapshot, Snapshot[str])
    assert_type(snapshot.value, str)
assert_type(Snapshots(store).save("a", "x", tick=1).tick, int | None)
Snapshots(store).save("a", 1)  # type: ignore[arg-type]  # not what the codec takes
Snapshots(saved_as_json).save("a", {"turns": 1})

channel = Channels(store).channel("s", "c")
assert_type([event.data for event in channel.read()], list[str])
channel.publish(b"x")  # type: ignore[arg-type]  # not what the codec takes


async def follow(channels: AsyncChannels[str]) -> None:
    async with channels, channels.channel("s", "c").produce() as out:
        assert_type(await out.publish("x"), str)
    async for event in channels.channel("s", "c").events():
        assert_type(event, Event[str])
