"""Channels on a cluster: whichever node hears a bell, and whichever has the channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
from support.deployments import Cluster
from support.following import Following, until
from support.sentinel import SentinelDeployment

from session_store import AsyncSessionStore, ReplicationError, SessionStore
from session_store.channels import AsyncChannels, Channels

FOREVER = 600  # seconds: no heartbeat makes up for what was missed
HAS_PUBSUB = hasattr(redis.asyncio.RedisCluster, "pubsub")  # since redis-py 8.1


@pytest.fixture
async def connect(prefix: str) -> AsyncIterator[Callable[..., AsyncChannels[Any]]]:
    """Makes channels of a cluster's client, which hear by it or, before redis-py 8.1, by a plain client of one node."""
    made: list[Any] = []

    def connect(cluster: Cluster, *, plain: bool = not HAS_PUBSUB) -> AsyncChannels[Any]:
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port, socket_timeout=10)
        bells = redis.asyncio.Redis(port=cluster.port) if plain else None
        channels: AsyncChannels[Any] = AsyncChannels(
            AsyncSessionStore(client, prefix=prefix, default_ttl=600), bells=bells
        )
        made.extend((client, *filter(None, [bells]), channels))
        return channels

    yield connect
    for each in reversed(made):
        await each.aclose()


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(
            False, marks=[] if HAS_PUBSUB else pytest.mark.skip("async RedisCluster has no pub/sub before redis-py 8.1")
        ),
        True,
    ],
)
async def test_channels_on_every_node(
    cluster: Cluster, connect: Callable[..., AsyncChannels[Any]], *, plain: bool
) -> None:
    """What is published, produced and sent on any node is heard by one connection."""
    channels, publishing = connect(cluster, plain=plain), connect(cluster, plain=plain)
    names = [f"s{number}" for number in range(12)]
    attached = [channels.channel(name, "messages").attach() for name in names]
    following = [Following((await each.__aenter__()).events(heartbeat=FOREVER)) for each in attached]
    assert sorted((await publishing.live("messages")).items) == sorted(names)
    assert await publishing.send(None, "messages", "to all") == len(names)
    assert await publishing.send([*names[:3], "nobody"], "messages", "to some") == 3
    for name in names:
        async with publishing.channel(name, "messages").produce() as out:
            for number in range(20):
                await out.publish(str(number))
            await out.end()
    for at, each in enumerate(following):
        assert await each.end() == ["to all", *["to some"][: at < 3], *map(str, range(20))]
    for each in attached:
        await each.__aexit__(None, None, None)
    page = await publishing.channel("s0", "messages").read(limit=2)
    assert [event.data for event in page.items] == ["to all", "to some"]


@pytest.mark.skipif(not HAS_PUBSUB, reason="redis-py has no pub/sub of clusters")
async def test_cluster_that_is_not_there_yet(
    cluster: Cluster, connect: Callable[..., AsyncChannels[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client raises errors that are no RedisError: followers wait all the same."""
    channels, tries = connect(cluster), []
    client: Any = channels._client
    initialize = client.initialize

    async def refuse() -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise redis.exceptions.RedisClusterException
        return await initialize()

    monkeypatch.setattr(client, "initialize", refuse)
    following = Following(channels.channel("s", "messages").events(heartbeat=FOREVER))
    await connect(cluster).channel("s", "messages").end("x")
    assert await following.end() == ["x"]
    assert len(tries) >= 3


async def test_client_without_pubsub(
    cluster: Cluster, connect: Callable[..., AsyncChannels[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a cluster before redis-py 8.1: who follows is told what to do, and all else works."""
    if HAS_PUBSUB:
        monkeypatch.delattr(redis.asyncio.RedisCluster, "pubsub")
    channel = connect(cluster, plain=False).channel("s", "messages")
    await channel.publish("x")
    with pytest.raises(TypeError, match=r"AsyncChannels\(bells=\)"):
        await anext(channel.events())
    assert [event.data for event in (await channel.read()).items] == ["x"]


def test_sync(cluster: Cluster, prefix: str) -> None:
    """Workers publish by a cluster's client, too."""
    with redis.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        channels = Channels(SessionStore(client, prefix=prefix, default_ttl=600))
        for name in ("a", "b", "c", "d"):
            with channels.channel(name, "answer").produce() as out:
                out.publish("x")
                out.end("y")
            assert [event.data for event in channels.channel(name, "answer").read().items] == ["x", "y"]


async def test_slot_moves(cluster: Cluster, connect: Callable[..., AsyncChannels[Any]], prefix: str) -> None:
    """While it is followed and published: nothing is lost."""
    channels, publishing = connect(cluster), connect(cluster)
    channel = publishing.channel("s", "messages")
    following = Following(channels.channel("s", "messages").events(heartbeat=FOREVER))
    await channel.publish("0")
    await following.until(1)
    key = publishing.store.namespace("s").key("messages")
    moving = asyncio.ensure_future(asyncio.to_thread(cluster.migrate, key))
    number = 0
    while not moving.done() or number < 50:
        number += 1
        await channel.publish(str(number))
    await moving
    await channel.end()
    assert await following.end() == [str(each) for each in range(number + 1)]


async def test_primary_is_killed(replicated: Cluster, connect: Callable[..., AsyncChannels[Any]], prefix: str) -> None:
    """Followers wait, whether it is the node that had the channel or the one that rang, and go on with its replica."""
    channels, publishing = connect(replicated), connect(replicated)
    channel = publishing.channel("s", "messages")
    # A plain client of the node that is killed hears nothing any more, so that heartbeats have to do.
    following = Following(channels.channel("s", "messages").events(heartbeat=FOREVER if HAS_PUBSUB else 0.5))
    await channel.publish("0")
    await following.until(1)
    key = publishing.store.namespace("s").key("messages")
    try:
        await asyncio.to_thread(replicated.kill_primary_of, key)
        assert not following.task.done()

        async def published() -> bool:
            try:
                await channel.publish("1")
            except (redis.RedisError, redis.exceptions.RedisClusterException):
                return False
            return True

        await until(published, "nothing can be published")
        await channel.end()
        assert await following.end() == ["0", "1"]
    finally:
        await asyncio.to_thread(replicated.restore)


async def test_failover_under_sentinels(deployment: SentinelDeployment, prefix: str) -> None:
    """Who follows goes on at the new master, without having been asked to."""
    sentinel = redis.asyncio.sentinel.Sentinel(deployment.addresses, socket_timeout=1)
    client = sentinel.master_for(deployment.NAME, socket_timeout=2)
    store = AsyncSessionStore(client, prefix=prefix, default_ttl=600, min_replicas=2)
    async with AsyncChannels(store) as channels:
        channel = channels.channel("s", "messages")
        following = Following(channel.events(heartbeat=FOREVER))
        await channel.publish("0")
        await following.until(1)
        await asyncio.to_thread(deployment.kill_master)
        assert not following.task.done()
        await asyncio.to_thread(deployment.restore)

        async def published() -> bool:
            try:
                await channel.publish("1")
            except (redis.RedisError, ReplicationError):
                return False
            return True

        await until(published, "nothing can be published")
        await channel.end()
        data = await following.end()
        assert (data[0], set(data[1:])) == ("0", {"1"})  # where a replica was missing, it was written more than once
    await client.aclose()
    for each in sentinel.sentinels:
        await each.aclose()
