"""The one who consumes a channel: never two, never none while he lives, and those whom `send` finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from support.following import Following, others, until, until_heard
from support.proxy import proxied
from support.recorder import Recorder
from support.servers import Server

from session_store.channels import AsyncChannels, GapError, HeldError, LeaseLostError

Connect = Callable[..., AsyncChannels[Any]]
FOREVER = 600  # seconds: no heartbeat makes up for what was missed


async def test_one_is_attached_at_a_time(connect: Connect) -> None:
    """[T7, T54] Of many who attach at once, from different processes, one wins, and the others are told."""
    everyone = [connect().channel("s", "messages").attach() for _ in range(10)]

    async def enter(each: Any) -> bool:
        try:
            await each.__aenter__()
        except HeldError:
            return False
        return True

    won = await asyncio.gather(*map(enter, everyone))
    assert sum(won) == 1
    await everyone[won.index(True)].__aexit__(None, None, None)
    async with connect().channel("s", "messages").attach():
        pass


@pytest.mark.parametrize("process", ["another", "the same"])
async def test_takeover(connect: Connect, process: str) -> None:
    """[T54] The first one's stream ends with an error; the second one goes on behind what the first has had."""
    channels = connect()
    others_ = channels if process == "the same" else connect()
    async with channels.channel("s", "messages").attach(lease=60) as first:
        following = Following(first.events(heartbeat=FOREVER))
        await channels.channel("s", "messages").publish("x")
        await following.until(1)
        async with others_.channel("s", "messages").attach(lease=60, takeover=True) as second:
            with pytest.raises(LeaseLostError):
                await following.end()
            then = Following(second.events(after=following.events[-1].id, heartbeat=FOREVER))
            await channels.channel("s", "messages").publish("y")
            await then.until(1)
            assert then.data == ["y"]
            with pytest.raises(HeldError):
                await channels.channel("s", "messages").attach().__aenter__()
            await then.leave()
    assert not (await channels.channel("s", "messages").state()).is_attached


async def test_takeover_that_is_not_heard(connect: Connect, server: Server, admin: redis.Redis) -> None:
    """Of the first one, whose connection is gone at that time: he learns of it when he is back, and not by a heartbeat."""
    with proxied(server.port) as proxy:
        first = connect(client_name="first").channel("s", "messages")
        async with first.attach(lease=60) as attached:
            following = Following(attached.events(heartbeat=FOREVER))
            await until_heard(admin, first)
            held = proxy.hold("CLAIM", cut=False)
            taking = connect(proxy.port).channel("s", "messages").attach(lease=60, takeover=True)
            task = asyncio.ensure_future(taking.__aenter__())
            await until(lambda: not proxy.unused(), "the call is not on its way")

            def take_over() -> None:
                """In one moment of the server, for this loop: nothing is read meanwhile."""
                for client in admin.client_list(_type="pubsub"):
                    if client["name"] == "first":
                        admin.client_kill_filter(_id=client["id"])
                held.release()

            take_over()
            with pytest.raises(LeaseLostError):
                await following.end()
            task.cancel()
            await asyncio.wait([task])


async def test_bells_of_those_before(connect: Connect, admin: redis.Redis) -> None:
    """Who attaches hears that somebody was attached before him: that is no takeover."""
    channel = connect().channel("s", "messages")
    other = Following(channel.events(heartbeat=FOREVER))  # so that the bells are heard already
    await until_heard(admin, channel)
    first = await channel.publish("x")
    async with channel.attach(lease=60) as attached:
        following = Following(attached.events(heartbeat=FOREVER))
        await following.until(1)
        admin.publish(channel._log.bell, f"{first.partition('.')[0]} 1 -1 c somebody")
        await channel.publish("y")
        await channel.end()
        assert await following.end() == ["x", "y"]
    assert await other.end() == ["x", "y"]


async def test_presence_never_lapses(connect: Connect) -> None:
    """[T5, T10] Seen from elsewhere while several leases go by. One that is left ends no other."""
    channels, looking = connect(), connect()
    looks = 0
    async with channels.channel("a", "messages").attach(lease=1):
        async with channels.channel("b", "messages").attach(lease=1):
            pass
        until_ = time.monotonic() + 3.5
        while time.monotonic() < until_:
            state, live = await asyncio.gather(looking.channel("a", "messages").state(), looking.live("messages"))
            assert state.is_attached
            assert live.items == ("a",)
            looks += 1
    assert looks > 20
    assert (await looking.live("messages")).items == ()


async def test_lease_that_is_longer_than_the_ttl(connect: Connect) -> None:
    """[T10] Who is attached, and who produces, keeps the channel alive, though nothing is published."""
    channels = connect(settings={"ttl": 0.6})
    attached, produced = channels.channel("a", "messages"), channels.channel("b", "messages")
    async with attached.attach(lease=60), produced.produce(lease=60) as out:
        until_ = time.monotonic() + 1.5
        while time.monotonic() < until_:
            state, other = await asyncio.gather(attached.state(), produced.state())
            assert state.is_attached
            assert other.status == "produced"
            assert (await channels.live("messages")).items == ("a",)
        await out.publish("x")


async def test_loop_that_is_blocked(connect: Connect) -> None:
    """[T11] For half a lease: he is attached still. For more: somebody else may be, and then he is not any more."""
    channel, other = connect().channel("s", "messages"), connect().channel("s", "messages")
    async with channel.attach(lease=0.6) as attached:
        following = Following(attached.events(heartbeat=FOREVER))
        time.sleep(0.3)  # noqa: ASYNC251  # that is what it is about
        with pytest.raises(HeldError):
            await other.attach().__aenter__()
        time.sleep(1.2)  # noqa: ASYNC251  # twice the lease, in which nothing can renew it
        async with other.attach():
            with pytest.raises(LeaseLostError):
                await following.end()
            assert (await channel.state()).is_attached


async def test_lease_that_lapsed_and_nobody_took(connect: Connect) -> None:
    """[T11] His stream does not outlive his presence for longer than a heartbeat."""
    channel = connect().channel("s", "messages")
    async with channel.attach(lease=0.3) as attached:
        following = Following(attached.events(heartbeat=0.2))
        time.sleep(0.7)  # noqa: ASYNC251  # the loop is blocked
        with pytest.raises(LeaseLostError):
            await following.end()
    assert not (await channel.state()).is_attached


async def test_send(connect: Connect, admin: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[T15] To nobody, to those who are not there, to some, and to all, each once. Nothing scans, however many keys there are."""
    with admin.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.set(f"{prefix}:foreign-{number}:messages", "x", ex=60)
        pipeline.execute()
    channels, sending = connect(), connect()
    names = [f"s{number}" for number in range(5)]
    attached = [channels.channel(name, "messages").attach() for name in names]
    following = [Following((await each.__aenter__()).events(heartbeat=FOREVER)) for each in attached]
    recorder = Recorder(monkeypatch)
    assert await sending.send([], "messages", "nobody") == 0
    assert await sending.send(["unknown", "s0", "s0", "s1"], "messages", "some") == 2
    assert await sending.send(None, "messages", "all") == 5
    assert (await sending.channel("unknown", "messages").state()).status == "none"
    assert not {"SCAN", "KEYS"} & {name for write in recorder.writes for name in write}
    for name in names:
        await channels.channel(name, "messages").end()
    assert [await each.end() for each in following] == [["some", "all"]] * 2 + [["all"]] * 3
    for each in attached:
        await each.__aexit__(None, None, None)
    assert await sending.send(None, "messages", "all") == 0


async def test_send_in_order(connect: Connect) -> None:
    """[T2] A thousand from another process arrive in their order."""
    async with connect().channel("s", "messages").attach() as attached:
        following = Following(attached.events(heartbeat=FOREVER))
        sending = connect()
        for number in range(1_000):
            assert await sending.send(["s"], "messages", str(number)) == 1
        await sending.channel("s", "messages").end()
        assert await following.end() == [str(number) for number in range(1_000)]


async def test_deleted_while_attached(connect: Connect, admin: redis.Redis) -> None:
    """[T12, T13] The stream ends with an error at the next heartbeat, nothing is left, and it can be begun anew."""
    channels, before = connect(), others()
    channel = channels.channel("s", "messages")
    async with channel.attach() as attached:
        following = Following(attached.events(heartbeat=0.1))
        await channel.publish("x")
        await following.until(1)
        await channels.store.namespace("s").purge()
        with pytest.raises(GapError):
            await following.end()
        await until_heard(admin, channel, by=0)
        async with connect().channel("s", "messages").attach():
            pass
    await until(lambda: others() == before, "a task is left")
