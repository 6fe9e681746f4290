"""Followers while connections are cut, servers die, and others are slow: every event once, in order, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import ConnectionError
from support.following import Following, subscribers, until, until_heard
from support.proxy import proxied
from support.recorder import Recorder
from support.servers import Server

from session_store import BytesCodec
from session_store.channels import AsyncChannels, ChannelEndedError, GapError

Connect = Callable[..., AsyncChannels[Any]]
FOREVER = 600  # seconds: no heartbeat makes up for what was missed


def kill(admin: redis.Redis, kind: str, name: str = "") -> int:
    """Ends the connections of a kind ("pubsub" or "normal") of the client of that name."""
    killed = 0
    for client in admin.client_list(_type=kind):
        if not name or client["name"] == name:
            killed += admin.client_kill_filter(_id=client["id"])
    return killed


@pytest.mark.parametrize("kinds", [["pubsub"], ["normal"], ["pubsub", "normal"]], ids="-".join)
@pytest.mark.parametrize("beside", [False, pytest.param(True, marks=pytest.mark.long)], ids=["alone", "with others"])
async def test_1500_events_while_connections_are_cut(
    connect: Connect, admin: redis.Redis, kinds: list[str], *, beside: bool
) -> None:
    """[T34] Those of the follower, at 500 and at 1,000: the numbers go on, and none comes twice. That somebody else comes
    at that very time does not disturb the connection that they share."""
    following = connect(client_name="follower")
    follower = Following(following.channel("s", "answer").events(heartbeat=FOREVER))
    more: list[Following] = []
    channel = connect().channel("s", "answer")
    await until_heard(admin, channel)
    for number in range(1, 1_501):
        if number in (500, 1_000):
            assert sum(kill(admin, kind, "follower") for kind in kinds) >= ("pubsub" in kinds)
            if beside:
                more += [Following(following.channel(f"s{len(more)}-{at}", "answer").events()) for at in range(5)]
        await channel.publish(f"event {number}")
    await channel.end()
    assert await follower.end() == [f"event {number}" for number in range(1, 1_501)]
    assert follower.numbers == list(range(1, 1_501))
    for each in more:
        await each.leave()


async def test_1500_events_by_followers_that_come_and_go(connect: Connect) -> None:
    """[T4] Each leaves in the middle, and another process goes on behind the last id that was seen."""
    channel = connect().channel("s", "answer")

    async def publish() -> None:
        for number in range(1, 1_501):
            await channel.publish(str(number))
        await channel.end()

    publisher = asyncio.ensure_future(publish())
    seen: list[str] = []
    last: str | None = None
    for most in (500, 1_000, 2_000):
        events = connect().channel("s", "answer").events(after=last, heartbeat=FOREVER)
        async for event in events:
            seen.append(event.data)
            last = event.id
            if len(seen) >= most:
                break
        await events.aclose()
    await publisher
    assert seen == [str(number) for number in range(1, 1_501)]


async def test_pubsub_connections_killed_ten_times(connect: Connect, admin: redis.Redis) -> None:
    """[T40] In the middle of 20 channels, whose followers come while it happens."""
    channels, publishing = connect(), connect()
    followers: list[Following] = []

    async def publish(name: str) -> None:
        channel = publishing.channel(name, "answer")
        for number in range(100):
            await channel.publish(str(number))
            if not number % 10:
                await asyncio.sleep(0.01)
        await channel.end()

    async def disturb() -> None:
        killed = 0
        while killed < 10:
            killed += admin.client_kill_filter(_type="pubsub", skipme=True)
            await asyncio.sleep(0.01)

    disturber = asyncio.ensure_future(disturb())
    tasks = []
    for number in range(20):
        followers.append(Following(channels.channel(f"s{number}", "answer").events(heartbeat=FOREVER)))
        tasks.append(asyncio.ensure_future(publish(f"s{number}")))
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    for follower in followers:
        assert await follower.end() == [str(number) for number in range(100)]
    # One that nothing happens to for long enough, until the server was told to end its connection ten times.
    last = Following(channels.channel("late", "answer").events(heartbeat=FOREVER))
    await disturber
    await publish("late")
    assert await last.end() == [str(number) for number in range(100)]


async def test_server_without_persistence_is_started_again(connect: Connect, own: Server) -> None:
    """[T6] The publisher gets redis-py's error. Who follows waits, and is told that the events are gone, so far as he had
    seen any; who had not yet goes on with what comes."""
    following, publishing = connect(own.port), connect(own.port, retry=None)
    seen = Following(following.channel("s", "one").events(heartbeat=FOREVER))
    unseen = Following(following.channel("s", "two").events(heartbeat=FOREVER))
    await publishing.channel("s", "one").publish("x")
    await seen.until(1)
    own.kill()
    with pytest.raises(ConnectionError):
        await publishing.channel("s", "one").publish("y")
    assert not seen.task.done()
    own.start()
    with pytest.raises(GapError) as caught:
        await seen.end()
    assert (caught.value.missed, caught.value.resume) == (None, None)
    await publishing.channel("s", "two").publish("z")
    await publishing.channel("s", "two").end()
    assert await unseen.end() == ["z"]


async def test_server_with_persistence_is_started_again(connect: Connect) -> None:
    """[T6] Nothing is lost, and followers go on where they were."""
    server = Server("--appendonly", "yes", "--appendfsync", "always")
    try:
        following, publishing = connect(server.port), connect(server.port)
        follower = Following(following.channel("s", "one").events(heartbeat=FOREVER))
        await publishing.channel("s", "one").publish("x")
        await follower.until(1)
        server.kill()
        server.start()
        await publishing.channel("s", "one").publish("y")
        await publishing.channel("s", "one").end()
        assert await follower.end() == ["x", "y"]
        await following.aclose()
    finally:
        server.stop()


async def test_server_that_stands_still(connect: Connect, own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """[T6] Publishers get redis-py's error. Followers ask whether it lives, connect anew until it does, and go on."""
    monkeypatch.setattr("session_store.channels._async.bells._PULSE", 0.1)
    following = connect(own.port, socket_timeout=0.2, socket_connect_timeout=0.2, retry=None)
    publishing = connect(own.port, socket_timeout=0.2, retry=None)
    follower = Following(following.channel("s", "one").events(heartbeat=0.1))
    channel = publishing.channel("s", "one")
    await channel.publish("x")
    await follower.until(1)
    own.pause()
    with pytest.raises(redis.TimeoutError):
        await channel.publish("y")
    await asyncio.sleep(0.5)  # several pulses and heartbeats
    assert not follower.task.done()
    own.resume()
    await channel.publish("z")
    await channel.end()
    assert await follower.end() == ["x", "y", "z"]  # what came to the server before is late, and not lost


@pytest.mark.long
async def test_producer_whose_server_stands_still(connect: Connect, own: Server) -> None:
    """For less than his lease: he renews it when it goes on, and nobody is told that he is lost."""
    channel = connect(own.port, socket_timeout=0.1, retry=None).channel("s", "one")
    follower = Following(connect(own.port).channel("s", "one").events(heartbeat=FOREVER))
    async with channel.produce(lease=3) as out:
        await asyncio.sleep(0.8)
        own.pause()
        await asyncio.sleep(0.6)  # the first renewal fails
        own.resume()
        await asyncio.sleep(2.5)  # longer than the lease was, when it began
        await out.publish("x")
        await out.end()
    assert await follower.end() == ["x"]


async def test_server_that_is_not_there_yet(connect: Connect, own: Server) -> None:
    """Followers wait for it."""
    own.kill()
    follower = Following(connect(own.port, retry=None).channel("s", "one").events())
    await asyncio.sleep(0.2)
    assert not follower.task.done()
    own.start()
    channel = connect(own.port).channel("s", "one")
    await channel.publish("x")
    await channel.end()
    assert await follower.end() == ["x"]


async def test_server_that_comes_back_without_the_channel(
    connect: Connect, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a channel that has not begun waits as before: he does not ask again and again."""
    channel = connect(own.port, retry=None).channel("s", "one")
    follower = Following(channel.events(heartbeat=0.3))
    await asyncio.sleep(0.1)
    own.kill()
    await asyncio.sleep(0.5)  # a heartbeat
    own.start()
    await asyncio.sleep(1.1)  # he has read the log again
    recorder = Recorder(monkeypatch)
    await asyncio.sleep(0.5)
    assert len(recorder.writes) < 10
    await connect(own.port).channel("s", "one").end("x")
    assert await follower.end() == ["x"]


async def test_wrong_password(connect: Connect, own: Server) -> None:
    """It will not get right by waiting: the follower is told."""
    with redis.Redis(port=own.port) as admin:
        admin.config_set("requirepass", "right")
    follower = Following(connect(own.port, password="wrong", retry=None).channel("s", "one").events())
    with pytest.raises(redis.AuthenticationError):
        await follower.end()


async def test_lost_reply_of_publish(connect: Connect, server: Server, admin: redis.Redis) -> None:
    """[T48] redis-py sends it again, and it is one event: in the log, and for those who follow."""
    follower = Following(connect().channel("s", "answer").events(heartbeat=FOREVER))
    with proxied(server.port) as proxy:
        channel = connect(proxy.port).channel("s", "answer")
        await until_heard(admin, channel)
        proxy.lose_reply("PUBLISH")
        first = await channel.publish("x")
        proxy.drop("PUBLISH")
        second = await channel.publish("y")
        assert [first[-2:], second[-2:]] == [".1", ".2"]
        proxy.lose_reply("PUBLISH")
        assert await channel.end("z") == first[:-1] + "3"
        assert [event.data for event in (await channel.read()).items] == ["x", "y", "z"]
    assert await follower.end() == ["x", "y", "z"]


async def test_lost_replies_of_a_producer(connect: Connect, server: Server) -> None:
    """[T48] Claims, events and the end are done once: the producer is not held up by himself."""
    with proxied(server.port) as proxy:
        channel = connect(proxy.port).channel("s", "answer")
        for script in ("CLAIM", "PUBLISH"):
            proxy.lose_reply(script)
        async with channel.produce(lease=60) as out:
            await out.publish("x")
            proxy.lose_reply("PUBLISH")
            await out.end()
        with pytest.raises(ChannelEndedError):
            await channel.publish("y")
        other = connect(proxy.port).channel("s", "other")
        proxy.lose_reply("RENEW")
        async with other.produce(lease=60) as out:
            await out.publish("x")
        assert (await other.state()).status == "open"
        assert [event.data for event in (await channel.read()).items] == ["x"]


async def test_same_prefix_in_another_database(
    connect: Connect, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[T43, T22] Pub/sub does not tell databases apart: the names of bells do, so that nobody even looks."""
    here, there = connect(db=0).channel("s", "answer"), connect(db=1).channel("s", "answer")
    follower = Following(here.events(heartbeat=FOREVER))
    await until_heard(admin, here)
    await here.publish("own")
    await follower.until(1)
    recorder = Recorder(monkeypatch)
    for _ in range(5):
        await there.publish("foreign")
    await there.end()
    assert subscribers(admin, there) == 0
    await here.publish("another")
    await follower.until(2)
    assert (
        sum(len(write) for write in recorder.writes) <= 5 + 1 + 1 + 2
    )  # what was called here; admin; a script to load
    await here.end()
    assert await follower.end() == ["own", "another"]


async def test_foreign_bells(connect: Connect, admin: redis.Redis) -> None:
    """What others publish under a bell's name: garbage is passed over, and a bell that is not of this channel, or has a number
    that there is not, makes followers read the log."""
    channel = connect().channel("s", "answer")
    follower = Following(channel.events(heartbeat=FOREVER))
    await until_heard(admin, channel)
    first = await channel.publish("x")
    await follower.until(1)
    epoch = first.partition(".")[0]
    other = "ffffffff" if epoch != "ffffffff" else "00000000"
    for garbage in (
        b"",
        b"\xff\xfe",
        b"nothing",
        f"{other} 2 -1 d 1|mforeign",
        f"{other} 1 -1 xs ",
        f"{epoch} 9 -1 d 1|mforeign",
    ):
        admin.publish(channel._log.bell, garbage)
    await channel.publish("y")
    await channel.end("z")
    assert await follower.end() == ["x", "y", "z"]


@pytest.mark.parametrize("decodes", [False, True], ids=["bytes", "str"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_binary_data(connect: Connect, admin: redis.Redis, protocol: int, *, decodes: bool) -> None:
    """[T46] What is no text arrives the same by bells, also with a client that decodes what it hears."""
    data = [bytes(range(256)), b"", b"\r\n\0", "\u00fc\u2028".encode(), b"\xff" * 8_000, b"\xff" * 9_000, b"x" * 2**20]
    settings = {"decode_responses": decodes, "protocol": protocol, "store": {"codec": BytesCodec()}}
    channel = connect(**settings).channel("s", "answer")
    follower = Following(channel.events(heartbeat=FOREVER))
    await until_heard(admin, channel)
    for number, each in enumerate(data, 1):
        await channel.publish(each, kind="\u00fc")
        await follower.until(number)
    await channel.end()
    assert await follower.end() == data
    assert {event.kind for event in follower.events} == {"\u00fc"}


async def test_consumer_that_raises(connect: Connect) -> None:
    """[T16] Nobody else notices, and nothing of it is left."""
    channels = connect()
    channel = channels.channel("s", "answer")

    def fail(event: Any) -> None:
        if event.data == "1":
            raise ZeroDivisionError

    failing, steady = Following(channel.events(), fail), Following(channel.events())
    for number in range(3):
        await channel.publish(str(number))
    await channel.end()
    with pytest.raises(ZeroDivisionError):
        await failing.end()
    assert failing.data == ["0", "1"]
    assert await steady.end() == ["0", "1", "2"]


async def test_slow_consumer(connect: Connect, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """[T17, T42] What waits for it is bounded; it reads the log where it was overrun, and gets every event once."""
    monkeypatch.setattr("session_store.channels._async.bells._MOST_BELLS", 10)
    channels = connect()
    channel, publishing = channels.channel("s", "answer"), connect().channel("s", "answer")
    slow = Following(channel.events(heartbeat=FOREVER), lambda _: asyncio.sleep(0.002))
    await until_heard(admin, channel)
    lengths = []
    for number in range(300):
        await publishing.publish(str(number))
        lengths += [len(line._bells) for lines in channels._here()._lines.values() for line in lines]
    await publishing.end()
    assert await slow.end() == [str(number) for number in range(300)]
    assert max(lengths) == 10


async def test_slow_consumer_of_a_log_that_is_trimmed(connect: Connect, admin: redis.Redis) -> None:
    """[T38] It is told how many it has missed, and goes on with the rest."""
    channels, may_go_on = connect(settings={"keep": 100}), asyncio.Event()
    channel, publishing = channels.channel("s", "answer"), connect(settings={"keep": 100}).channel("s", "answer")
    slow = Following(channel.events(heartbeat=FOREVER), lambda _: may_go_on.wait())
    await publishing.publish("0")
    await slow.until(1)
    for number in range(1, 1_500):
        await publishing.publish(str(number))
    may_go_on.set()
    with pytest.raises(GapError) as caught:
        await slow.end()
    await publishing.end()
    assert caught.value.missed == 1_399
    rest = Following(channel.events(after=caught.value.resume))
    assert await rest.end() == [str(number) for number in range(1_400, 1_500)]


async def test_each_of_two_channels_hears_its_own(connect: Connect, admin: redis.Redis) -> None:
    """Where one is left and begun to be followed again at once, nothing is missed."""
    channels = connect()
    steady = channels.channel("s", "steady")
    keeps = Following(steady.events(heartbeat=FOREVER))
    await until_heard(admin, steady)
    for number in range(50):
        channel = channels.channel("s", "changing")
        follower = Following(channel.events(after=None, heartbeat=FOREVER))
        if number % 2:
            await asyncio.sleep(0)
        await channel.publish(str(number))
        await follower.until(number + 1)
        await follower.leave()
    await until(lambda: subscribers(admin, channel) == 0, "it is still heard")
    await steady.end()
    assert await keeps.end() == []
