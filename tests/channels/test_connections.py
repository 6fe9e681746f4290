"""What followers and producers hold on to: connections, subscriptions, tasks, and how it is given back."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import pytest
import redis
import redis.asyncio
from support.cancelling import Cancelling, cancel_everywhere, every_manner
from support.following import Following, others, subscribers, until, until_heard
from support.recorder import Recorder
from support.servers import Server

from session_store import AsyncSessionStore, SessionStore
from session_store.channels import AsyncChannels, Channels, ChannelsClosedError, HeldError, sse
from session_store.channels._async.log import AsyncLog
from session_store.testing import AsyncInMemoryClient

Connect = Callable[..., AsyncChannels[Any]]
# Before redis-py 8, when it looks whether a connection is clean. `Cancelling` does not see it through a generator.
MAY_LOSE_CANCELLATIONS = int(redis.__version__.split(".")[0]) < 8
FOREVER = 600  # seconds: no heartbeat makes up for what was missed


def clients(admin: redis.Redis, name: str) -> int:
    """How many connections those of this name have."""
    return sum(client["name"] == name for client in admin.client_list())


@pytest.mark.long
async def test_a_thousand_followers(connect: Connect, admin: redis.Redis) -> None:
    """[T41] On one channel and on many, they have one connection, beside the one by which the log is read."""
    channels, publishing = connect(client_name="crowd"), connect()
    one = [Following(channels.channel("s", "answer").events(heartbeat=FOREVER)) for _ in range(500)]
    many = [Following(channels.channel(f"s{number}", "answer").events(heartbeat=FOREVER)) for number in range(500)]
    await until_heard(admin, publishing.channel("s", "answer"), publishing.channel("s499", "answer"))
    most = 0
    for number in range(20):
        await publishing.channel("s", "answer").publish(str(number))
        most = max(most, clients(admin, "crowd"))
    await publishing.channel("s", "answer").end()
    for number in range(500):
        await publishing.channel(f"s{number}", "answer").end("only")
    for follower in one:
        assert await follower.end() == [str(number) for number in range(20)]
    for follower in many:
        assert await follower.end() == ["only"]
    assert most <= 2
    await until(lambda: not channels._here()._reader or channels._here()._reader.done(), "it is still read")
    await until(lambda: clients(admin, "crowd") <= 1, "it is still connected")


async def test_last_follower_leaves(connect: Connect, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """[T44] Nothing is subscribed, read or open any more, and no task is left; the next one is heard as the first."""
    reads: Counter[str] = Counter()
    get_message = redis.asyncio.client.PubSub.get_message

    async def counted(pubsub: Any, *args: Any, **options: Any) -> Any:
        reads["all"] += 1
        return await get_message(pubsub, *args, **options)

    monkeypatch.setattr(redis.asyncio.client.PubSub, "get_message", counted)
    channels = connect(client_name="alone")
    channel, before = channels.channel("s", "answer"), others()
    for round_ in range(3):
        followers = [Following(channel.events(heartbeat=FOREVER)) for _ in range(2)]
        await until_heard(admin, channel)
        await followers[0].leave()
        await channel.publish(str(round_))
        await followers[1].until(round_ + 1)
        assert subscribers(admin, channel) == 1
        await followers[1].leave()
        await until_heard(admin, channel, by=0)
        await until(lambda: others() == before, "a task is left")
        await until(lambda: clients(admin, "alone") == 1, "it is still connected")  # beside that by which it publishes
        told = reads["all"]
        await asyncio.sleep(0.05)
        assert reads["all"] == told
    assert reads["all"] <= 3 * 5  # for each round those for what was heard, and one that was interrupted


async def test_idle_followers_do_nothing(connect: Connect, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """[T44] While nothing is rung, nothing is read or sent, and one of two channels that is left is unsubscribed."""
    channels = connect()
    one, two = channels.channel("s", "one"), channels.channel("s", "two")
    stays, goes = Following(one.events(heartbeat=FOREVER)), Following(two.events(heartbeat=FOREVER))
    await until_heard(admin, one, two)
    await goes.leave()
    await until_heard(admin, two, by=0)
    assert subscribers(admin, one) == 1
    await one.publish("x")
    await stays.until(1)  # it has read what was there when it was subscribed
    recorder, used = Recorder(monkeypatch), time.process_time()
    await asyncio.sleep(0.5)
    assert recorder.writes == []
    assert time.process_time() - used < 0.25  # of 0.5 s: a loop that is busy takes all of it
    await one.end()
    assert await stays.end() == ["x"]


@pytest.mark.long
@pytest.mark.parametrize("options", [{}, {"health_check_interval": 1}], ids=["default", "health checks"])
async def test_idle_for_longer_than_the_timeout(
    server: Server, prefix: str, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """With redis-py's own settings but for a shorter timeout: the connection stays, and what is sent is a ping at each
    pulse and a read of the log at each heartbeat."""
    monkeypatch.setattr("session_store.channels._async.bells._PULSE", 0.4)
    async with (
        redis.asyncio.Redis(port=server.port, socket_timeout=0.3, client_name=prefix, **options) as client,
        AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600)) as channels,
    ):
        channel = channels.channel("s", "answer")
        follower = Following(channel.events(heartbeat=0.7))
        await channel.publish("x")
        await follower.until(1)
        before = [each["id"] for each in admin.client_list(_type="pubsub") if each["name"] == prefix]
        recorder = Recorder(monkeypatch)
        await asyncio.sleep(2.5)
        sent = Counter(name for write in recorder.writes for name in write)
        assert before == [each["id"] for each in admin.client_list(_type="pubsub") if each["name"] == prefix]
        assert not follower.task.done()
        assert set(sent) == {"PING", "EVALSHA"}
        assert 1 <= sent["PING"] <= 10
        assert 1 <= sent["EVALSHA"] <= 4
        await channel.end("y")
        assert await follower.end() == ["x", "y"]


async def test_connection_that_is_gone_without_a_word(
    connect: Connect, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nothing comes from, not even an answer, is given up, and another one is made."""
    monkeypatch.setattr("session_store.channels._async.bells._PULSE", 0.05)
    asked = []
    ping = redis.asyncio.client.PubSub.ping

    async def lost(pubsub: Any) -> None:
        asked.append(pubsub)

    channel = connect(own.port).channel("s", "answer")
    monkeypatch.setattr(redis.asyncio.client.PubSub, "ping", lost)
    follower = Following(channel.events(heartbeat=FOREVER))
    await until(lambda: len(set(asked)) > 1, "there is still the first")
    monkeypatch.setattr(redis.asyncio.client.PubSub, "ping", ping)
    await channel.end("x")
    assert await follower.end() == ["x"]


async def test_closed_while_followed(connect: Connect, admin: redis.Redis) -> None:
    """[T12] Who follows is told; nothing is left; and it can be followed again."""
    channels, before = connect(client_name="closed"), others()
    channel = channels.channel("s", "answer")
    follower = Following(channel.events(heartbeat=FOREVER))
    await until_heard(admin, channel)
    await channels.aclose()
    with pytest.raises(ChannelsClosedError):
        await follower.end()
    await until(lambda: others() == before, "a task is left")
    await until_heard(admin, channel, by=0)
    follower = Following(channel.events(heartbeat=FOREVER))
    await channel.end("x")
    assert await follower.end() == ["x"]


async def test_ends_leave_nothing(connect: Connect, admin: redis.Redis) -> None:
    """[T12] Neither a channel's end, nor a consumer's that breaks off, nor that of one who produces and of one who is attached."""
    channels, before = connect(client_name="ended"), others()
    channel = channels.channel("s", "answer")
    async with channel.attach() as attached:
        follower = Following(attached.events(heartbeat=FOREVER))
        async with channel.produce() as out:
            await out.publish("x")
            async for event in channel.events():
                assert event.data == "x"
                break
            await out.end()
        assert await follower.end() == ["x"]
    await until(lambda: others() == before, "a task is left")
    await until_heard(admin, channel, by=0)
    # Two calls at once have taken two connections, which the pool keeps.
    await until(lambda: clients(admin, "ended") <= 2, "it is still connected")
    state = await channel.state()
    assert (state.status, state.is_attached) == ("ended", False)


@pytest.fixture
async def counted(server: Server, prefix: str) -> AsyncIterator[AsyncChannels[Any]]:
    """Channels on a pool with a connection for calls and one for pub/sub, and no more."""
    pool = redis.asyncio.ConnectionPool(port=server.port, max_connections=2, socket_timeout=10, client_name=prefix)
    client = redis.asyncio.Redis(connection_pool=pool)
    async with AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600)) as channels:
        yield channels
    await client.aclose()
    await pool.disconnect()


@every_manner
@pytest.mark.parametrize("attached", [False, True], ids=["follows", "is attached"])
async def test_follower_is_cancelled_everywhere(
    counted: AsyncChannels[Any], admin: redis.Redis, prefix: str, manner: str, *, attached: bool
) -> None:
    """[T45] Wherever it waits, nothing of it is left: no task, no subscription, no connection in use."""
    sync = Channels(SessionStore(admin, prefix=prefix, default_ttl=600))
    names, pool = itertools.count(), counted._client.connection_pool

    async def follow() -> list[Any]:
        name = f"s{next(names)}"
        channel, other = counted.channel(name, "answer"), sync.channel(name, "answer")
        seen = []
        other.publish("read")
        async with channel.attach() if attached else nullcontext(channel) as source:
            events = source.events(heartbeat=FOREVER)
            try:
                async for event in events:
                    seen.append(event.data)
                    if event.data == "read":
                        other.publish("heard")
                        other.end()
            finally:
                await events.aclose()
        return seen

    for at in itertools.count(1):
        connections = [
            await pool.get_connection() for _ in range(2)
        ]  # redis-py may lose a cancellation while it connects
        for connection in connections:
            await pool.release(connection)
        cancelling = Cancelling(follow(), at, manner)
        task = asyncio.ensure_future(cancelling)
        await asyncio.wait([task])
        await until(lambda: not others(), "a task is left")
        await until(lambda: not admin.pubsub_channels(f"*:{prefix}:*"), "a subscription is left")
        assert not pool._in_use_connections
        assert not counted._here()._lines
        assert clients(admin, prefix) <= 2
        if cancelling.waits < at:
            break
        if task.cancelled() or not MAY_LOSE_CANCELLATIONS:
            assert cancelling.is_cancelled(task)
        else:
            assert task.result() == ["read", "heard"]
    assert at > 3
    assert await task == ["read", "heard"]


async def test_cancelled_together_with_a_bell(connect: Connect, admin: redis.Redis) -> None:
    """[T45] A follower that is cancelled at the very moment at which it hears something ends as well."""
    channels = connect()
    channel = channels.channel("s", "answer")
    await channel.publish("x")
    for _ in range(20):
        following = Following(channel.events(heartbeat=FOREVER))
        await following.until(1)
        await asyncio.sleep(0)  # it waits
        for line in next(iter(channels._here()._lines.values())):
            line.ring(b"none of ours")
        await following.leave()
        assert following.task.cancelled()


@every_manner
@pytest.mark.parametrize("role", ["produce", "attach"])
async def test_holder_is_cancelled_everywhere(
    counted: AsyncChannels[Any], prefix: str, admin: redis.Redis, role: str, manner: str
) -> None:
    """[T45] Wherever it waits, the lease is given back, and nothing renews it any more."""
    number = 0

    async def hold(_: int) -> str:
        nonlocal number
        number += 1
        channel = counted.channel(f"s{number}", "answer")
        async with channel.produce() if role == "produce" else channel.attach() as held:
            if role == "produce":
                await held.publish("x")
        return "over"

    async def check() -> None:
        await until(lambda: not others(), "a task is left")
        assert not counted._client.connection_pool._in_use_connections
        state = await counted.channel(f"s{number}", "answer").state()
        assert state.status != "produced" and not state.is_attached

    assert await cancel_everywhere(hold, manner, check, lingers=True) == "over"


async def test_attachment_that_cannot_be_listed(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot enter holds nothing: another one may, at once."""
    channels = connect()
    channel, before = channels.channel("s", "answer"), others()

    async def refuse(*_: Any) -> None:
        raise redis.ResponseError("no")

    with monkeypatch.context() as patch:
        patch.setattr(AsyncLog, "enlist", refuse)
        with pytest.raises(redis.ResponseError):
            await channel.attach().__aenter__()
    assert others() == before
    async with channel.attach():
        pass


async def test_siblings_in_memory() -> None:
    """[T50] Clients of one server in memory hear each other, and hold each other off."""
    client = AsyncInMemoryClient()
    here = AsyncChannels(AsyncSessionStore(client, prefix="shop", default_ttl=60))
    there = AsyncChannels(AsyncSessionStore(client.sibling(), prefix="shop", default_ttl=60))
    async with here, there:
        follower = Following(there.channel("s", "answer").events(heartbeat=FOREVER))
        async with here.channel("s", "answer").produce() as out:
            for number in range(100):
                await out.publish(str(number))
            await follower.until(100)
            with pytest.raises(HeldError):
                await there.channel("s", "answer").publish("x")
            await out.end()
        assert await follower.end() == [str(number) for number in range(100)]


async def test_browser_that_is_gone(connect: Connect, admin: redis.Redis) -> None:
    """[T47] A server cancels what it streams, or closes it at the next thing that it cannot send: a heartbeat at the latest.
    Then nothing of it is left."""
    channels, before = connect(), others()
    channel = channels.channel("s", "answer")

    kept: list[Any] = []

    async def stream(*, breaks_at: bytes) -> None:
        kept.append(channel.events(heartbeat=FOREVER))  # nothing is left to the collector
        body = sse(kept[-1], heartbeat=0.05)
        try:
            async for chunk in body:
                if breaks_at in chunk:
                    break
        finally:
            await body.aclose()  # type: ignore[attr-defined]

    await channel.publish("x")
    for breaks_at in (b":\n\n", b"data: x"):
        await asyncio.wait_for(stream(breaks_at=breaks_at), 10)
        await until(lambda: others() == before, "a task is left")
        await until_heard(admin, channel, by=0)
    cancelled = asyncio.ensure_future(stream(breaks_at=b"never"))
    await until_heard(admin, channel)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await until(lambda: others() == before, "a task is left")
    await until_heard(admin, channel, by=0)
