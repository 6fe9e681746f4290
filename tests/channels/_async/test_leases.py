"""Who has a channel for himself. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
from channels._async.conftest import together

from session_store.channels import ChannelEndedError, HeldError, LeaseLostError


async def test_one_produces(channel: Any) -> None:
    """[T37] And no other, with a lease or without; when it leaves, others may."""
    async with channel.produce() as out:
        first = await out.publish("x", kind="token")
        assert (await channel.state()).status == "produced"
        outcomes = await together([channel.produce().__aenter__, lambda: channel.publish("y"), channel.end])
        assert [type(each) for each in outcomes] == [HeldError] * 3
    assert (await channel.state()).status == "open"
    assert await channel.publish("y") == first.replace(".1", ".2")
    with pytest.raises(RuntimeError, match="with"):
        await out.publish("z")


async def test_of_many_who_begin_one_wins(channel: Any) -> None:
    """[T7]"""
    producers = [channel.produce() for _ in range(10)]
    outcomes = await together([each.__aenter__ for each in producers])
    (winner,) = [each for each in outcomes if not isinstance(each, HeldError)]
    assert len(outcomes) == 10
    await winner.end("stop")
    await winner.__aexit__(None, None, None)


async def test_a_producer_ends_the_channel(channel: Any) -> None:
    """It is run once, however often it is started."""
    async with channel.produce() as out:
        await out.publish("x")
        last = await out.end("stop")
        with pytest.raises(RuntimeError, match="ended"):
            await out.publish("y")
    state = await channel.state()
    assert (state.status, state.last_id, state.kept) == ("ended", last, 2)
    with pytest.raises(ChannelEndedError):
        async with channel.produce():
            raise AssertionError("it has ended")


async def test_a_producer_that_leaves_by_an_error(channel: Any) -> None:
    """Is lost at once; another one may go on."""
    with pytest.raises(LookupError):
        async with channel.produce() as out:
            await out.publish("x")
            raise LookupError
    assert (await channel.state()).status == "lost"
    async with channel.produce() as out:
        await out.publish("y")
        await out.end()
    assert [event.data for event in await channel.read()] == ["x", "y"]


async def test_a_producer_that_was_not_heard_of(channel: Any, pass_time: Any) -> None:
    """[T36] Adds nothing more, whether another one has taken over or not."""
    zombie = channel.produce(lease=10)
    await zombie.__aenter__()
    await zombie.publish("x")
    await pass_time(11)
    with pytest.raises(LeaseLostError):
        await zombie.publish("late")
    async with channel.produce() as out:
        await out.publish("y")
        for call in (zombie.publish, zombie.end):
            with pytest.raises(LeaseLostError):
                await call("late")
        await zombie.__aexit__(None, None, None)
        await out.publish("z")
    assert [event.data for event in await channel.read()] == ["x", "y", "z"]


async def test_each_event_renews_the_lease(channel: Any, pass_time: Any) -> None:
    async with channel.produce(lease=10) as out:
        for _ in range(3):
            await pass_time(8)
            await out.publish("x")
        assert (await channel.state()).status == "produced"


async def test_the_background_renews_the_lease(channel: Any, client: Any, prefix: str) -> None:
    """Of one who thinks for long, for several times as long as it is."""
    async with channel.produce(lease=0.3):
        seen = set()
        while len(seen) < 6:
            seen.add(await client.hget(f"{prefix}:session:answer", "pu"))
        assert (await channel.state()).status == "produced"


async def test_a_lost_reply_to_a_claim(channel: Any, lose_replies: Any) -> None:
    """The lease is one's own."""
    lose_replies()
    async with channel.produce() as out:
        await out.publish("x")
    assert (await channel.state()).status == "open"
