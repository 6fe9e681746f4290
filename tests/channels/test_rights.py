"""[T51] A user of the server who has the rights that channels need, and one who lacks any of them: an error, and no silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import NoPermissionError, ResponseError
from support.following import Following
from support.rights import DIRECTORY_RIGHTS, PASSWORD, PREFIX, REDIS_PY_ASKS, RIGHTS, USER, rule
from support.servers import Server

from session_store import AsyncSessionStore
from session_store.channels import AsyncChannels

CHANNEL_RIGHTS = ["publish", "subscribe", "unsubscribe", "ping"]
BELLS = f"&*:{PREFIX}:*"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def rival(guarded: Server) -> Iterator[redis.Redis]:
    """The administrator. The server is this module's own."""
    with redis.Redis(port=guarded.port, decode_responses=True) as client:
        yield client
        client.flushall()  # of a server that this module has started
        client.acl_deluser(USER)


@pytest.fixture
async def become(
    guarded: Server, rival: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., AsyncChannels[Any]]]:
    """Channels of a user with these rights, and with bells that he may ring and hear."""
    monkeypatch.setattr("session_store.channels._async.bells._PULSE", 0.05)
    made: list[Any] = []

    def become(rights: list[str], bells: str = BELLS) -> AsyncChannels[Any]:
        rival.execute_command(*rule(rights), *([bells] if bells else []))
        rival.acl_log_reset()
        rival.script_flush()
        client = redis.asyncio.Redis(port=guarded.port, username=USER, password=PASSWORD, retry=None)
        channels: AsyncChannels[Any] = AsyncChannels(AsyncSessionStore(client, prefix=PREFIX, default_ttl=600), keep=3)
        made.extend((channels, client))
        return channels

    yield become
    for each in made:
        await each.aclose()


def denied(rival: redis.Redis) -> set[str]:
    """The commands, keys and channels that the server has refused."""
    return {entry["object"] for entry in rival.acl_log()} - REDIS_PY_ASKS


async def use(channels: AsyncChannels[Any]) -> None:
    """All that is done with channels. Raises what a follower raises, too."""
    channel, beside = channels.channel("s", "answer"), channels.channel("s", "beside")
    stays = Following(beside.events())
    await beside.publish("x")
    await stays.until(1)
    following = Following(channel.events())
    async with channel.produce() as out:
        for number in range(5):
            await out.publish(str(number))
            await following.until(number + 1)
        await out.end()
    await following.end()
    await asyncio.sleep(0.15)  # several pulses
    assert [event.data for event in (await channel.read(after=following.events[2].id)).items] == ["3", "4"]
    await beside.publish("y")
    await stays.until(2)
    async with beside.attach() as attached:
        hearing = Following(attached.events(after=stays.events[-1].id))
        assert (await channels.live("beside")).items == ("s",)
        assert await channels.send(None, "beside", "z") == 1
        await hearing.until(1)
        await beside.end()
        await hearing.end()
    assert await stays.end() == ["x", "y", "z"]


async def test_with_the_rights(become: Callable[..., AsyncChannels[Any]], rival: redis.Redis) -> None:
    """Everything works, and nothing on the way is refused."""
    await use(become([*RIGHTS, *DIRECTORY_RIGHTS, *CHANNEL_RIGHTS]))
    assert denied(rival) == set()


@pytest.mark.parametrize("right", CHANNEL_RIGHTS)
async def test_each_right_is_needed(become: Callable[..., AsyncChannels[Any]], rival: redis.Redis, right: str) -> None:
    """Without it, somebody is told."""
    with pytest.raises(ResponseError):
        await use(become([each for each in (*RIGHTS, *DIRECTORY_RIGHTS, *CHANNEL_RIGHTS) if each != right]))
    assert denied(rival) == {right}


@pytest.mark.parametrize("bells", ["", f"&*:{PREFIX}ping:*"], ids=["none", "of another prefix"])
async def test_bells_that_may_not_be_heard(become: Callable[..., AsyncChannels[Any]], bells: str) -> None:
    """Who publishes is told, and who follows is."""
    channels = become([*RIGHTS, *DIRECTORY_RIGHTS, *CHANNEL_RIGHTS], bells)
    channel = channels.channel("s", "answer")
    with pytest.raises(ResponseError):  # of a class that depends on the server's version
        await channel.publish("x")
    following = Following(channel.events())
    with pytest.raises(NoPermissionError):
        await following.end()
    with pytest.raises(NoPermissionError):  # the next one, too
        await Following(channel.events()).end()
    assert not channels._here()._lines


async def test_right_that_is_taken_away_later(become: Callable[..., AsyncChannels[Any]], rival: redis.Redis) -> None:
    """The server ends the connections of such users: followers are told, and do not wait for what never comes."""
    channels = become([*RIGHTS, *DIRECTORY_RIGHTS, *CHANNEL_RIGHTS])
    channel = channels.channel("s", "answer")
    following = Following(channel.events(heartbeat=600))
    await channel.publish("x")
    await following.until(1)
    rival.execute_command("ACL", "SETUSER", USER, "resetchannels")
    with pytest.raises(NoPermissionError):
        await following.end()
