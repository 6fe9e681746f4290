"""What is published, and read. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from channels._async.conftest import DAY, together

from session_store import (
    AsyncSessionStore,
    CodecError,
    NamespacePurgedError,
    ReplicationError,
    WrongTypeError,
)
from session_store.channels import AsyncChannels, ChannelEndedError, ChannelState, GapError, HeldError

MALFORMED = ("", "abc", "0-0", "0-0\r\ndata: x", "1", "deadbeef", "deadbeef.", "deadbeef.x", "x" * 10_000, "é.1")


async def data(channel: Any, **options: Any) -> list[Any]:
    return [event.data for event in await channel.read(**options)]


async def test_what_is_published_is_read(channel: Any) -> None:
    """[T3] In its order, by anybody, with ids by which one goes on."""
    ids = [await channel.publish(f"event {number}", kind="token") for number in range(5)]
    page = await channel.read()
    assert [(event.id, event.kind, event.data) for event in page] == [
        (each, "token", f"event {number}") for number, each in enumerate(ids)
    ]
    assert page.cursor is None
    assert await data(channel, after=ids[2]) == ["event 3", "event 4"]
    assert await data(channel, after=ids[4]) == []
    assert "event 0" not in repr(page.items[0])


async def test_pages(channel: Any) -> None:
    """Each event is in one, also where little fits into one."""
    large = "x" * 300_000
    for number in range(45):
        await channel.publish(large if number > 40 else str(number))
    found, after, pages = [], None, 0
    while True:
        page = await channel.read(after=after, limit=10)
        found += page.items
        after, pages = page.cursor, pages + 1
        assert pages <= 10
        if after is None:
            break
    assert [event.data for event in found] == [*map(str, range(41)), *[large] * 4]


async def test_large_events_do_not_come_all_at_once(channel: Any) -> None:
    """A page has some 1 MiB: its rest is another one."""
    await together([partial(channel.publish, "x" * 100_000) for _ in range(40)])
    page = await channel.read(limit=40)
    assert 10 < len(page) < 40
    assert len(page) + len(await channel.read(after=page.cursor)) == 40


async def test_many_who_publish(channel: Any) -> None:
    """[T2] Each event has a number of its own, and none is lost."""
    ids = await together([partial(channel.publish, str(number)) for number in range(200)])
    events = (await channel.read(limit=1_000)).items
    assert [event.id for event in events] == sorted(ids, key=lambda each: int(each.partition(".")[2]))
    assert {event.id: event.data for event in events} == {each: str(number) for number, each in enumerate(ids)}


@pytest.mark.parametrize("value", ["", "a\nb\r\nc\rd\0", "data: x\n\n", "x" * 1_000_000, "é\u2028🍵"], ids=len)
async def test_any_data(channel: Any, value: str) -> None:
    """[T46] Arrives the same."""
    await channel.publish(value, kind="ä kind: of its own")
    (event,) = (await channel.read()).items
    assert (event.kind, event.data) == ("ä kind: of its own", value)


async def test_the_end(channel: Any, pass_time: Any) -> None:
    """[T35] With a last event, or without; then nothing comes, and what there is can be read until its TTL."""
    first = await channel.publish("x")
    assert await channel.end() == first
    for call in (channel.publish, channel.end):
        with pytest.raises(ChannelEndedError):
            await call("y")
    assert await channel.state() == ChannelState("ended", first, 1, is_attached=False)
    await pass_time(3_500)
    assert await data(channel) == ["x"]
    await pass_time(200)
    assert (await channel.state()).status == "none"
    assert await data(channel) == []


async def test_an_end_with_an_event(channel: Any) -> None:
    last = await channel.end("stop", kind="end")
    (event,) = (await channel.read()).items
    assert (event.id, event.kind, event.data) == (last, "end", "stop")
    assert (await channel.state()).status == "ended"


async def test_what_was_dropped(make: Any, client: Any, prefix: str) -> None:
    """[T5, T38] Is told, and how to go on; never passed over."""
    channel = make(keep=5).channel("session", "answer")
    ids = [await channel.publish(str(number)) for number in range(105)]
    assert (await channel.state()).kept == 5
    assert await client.hlen(f"{prefix}:session:answer") == 5 + len(("e", "n", "f"))
    for after, missed in ((None, 100), (ids[4], 95), (ids[98], 1)):
        with pytest.raises(GapError) as told:
            await channel.read(after=after)
        assert told.value.missed == missed
        assert await data(channel, after=told.value.resume) == ["100", "101", "102", "103", "104"]
    assert await data(channel, after=ids[99]) == ["100", "101", "102", "103", "104"]


async def test_fewer_are_kept_than_before(make: Any) -> None:
    """What is too much goes bit by bit."""
    for number in range(50):
        await make(keep=100).channel("session", "answer").publish(str(number))
    channel = make(keep=1).channel("session", "answer")
    await channel.publish("last")
    state = await channel.state()
    assert (state.kept, state.status) == (1, "open")
    with pytest.raises(GapError) as told:
        await channel.read()
    assert await data(channel, after=told.value.resume) == ["last"]


@pytest.mark.parametrize("after", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_no_id(channel: Any, after: str) -> None:
    """[T24] Whether there is a channel or not."""
    for resume in (None, await channel.publish("x")):
        with pytest.raises(GapError) as told:
            await channel.read(after=after)
        assert (told.value.missed, told.value.resume) == (None, None), resume


async def test_an_id_of_another_channel(channels: Any, channel: Any) -> None:
    """[T26, T39] Of another session, of one that was purged and begun again, or of one that never came so far."""
    other = channels.channel("other", "answer")
    foreign = await other.publish("theirs")
    before = await channel.publish("before")
    epoch = before.partition(".")[0]
    for after in (foreign, f"{epoch}.2"):
        with pytest.raises(GapError) as told:
            await channel.read(after=after)
        assert told.value.missed is None
    await channels.store.namespace("session").purge()
    with pytest.raises(GapError):
        await channel.read(after=before)
    await channel.publish("anew")
    with pytest.raises(GapError) as told:
        await channel.read(after=before)
    assert (told.value.missed, told.value.resume) == (None, None)
    assert await data(channel) == ["anew"]


async def test_channels_are_apart(channels: Any) -> None:
    """Of one namespace, too; and a purge ends all of them."""
    one, two = channels.channel("session", "one"), channels.channel("session", "two")
    await one.publish("1")
    await two.publish("2")
    assert (await data(one), await data(two)) == (["1"], ["2"])
    await channels.store.namespace("session").purge(fence=60)
    with pytest.raises(NamespacePurgedError):
        await one.publish("late")
    assert (await one.state()).status == (await two.state()).status == "none"


async def test_an_event_that_is_sent_again(channel: Any, lose_replies: Any) -> None:
    """[T48] Is there once."""
    lose_replies()
    first = await channel.publish("x")
    assert await channel.end("stop") == first.replace(".1", ".2")
    assert await data(channel) == ["x", "stop"]


async def test_how_long_it_lives(make: Any, pass_time: Any, keys: Any) -> None:
    """After the last event."""
    channel = make(ttl=100).channel("session", "answer")
    for _ in range(3):
        await channel.publish("x")
        await pass_time(90)
    assert len(await data(channel)) == 3
    await pass_time(800)
    assert await keys() == []


async def test_what_others_have_put_there(channels: Any, client: Any, prefix: str) -> None:
    await client.set(f"{prefix}:session:answer", "theirs", ex=DAY)
    channel = channels.channel("session", "answer")
    for call in (channel.read, channel.state, partial(channel.publish, "x")):
        with pytest.raises(WrongTypeError):
            await call()
    assert await client.get(f"{prefix}:session:answer") == b"theirs"
    await client.delete(f"{prefix}:session:answer")


@pytest.mark.parametrize("backend", ["redis-encrypted"])
async def test_what_is_encrypted(channels: Any, client: Any, prefix: str) -> None:
    """Belongs to its channel; the kind is in clear."""
    for name in ("one", "two"):
        await channels.channel("session", name).publish("secret", kind="token")
    event = await client.hget(f"{prefix}:session:one", "1")
    assert b"token" in event and b"secret" not in event
    await client.hset(f"{prefix}:session:two", "1", event)
    with pytest.raises(CodecError):
        await channels.channel("session", "two").read()


async def test_sending_to_many(channels: Any) -> None:
    """[T14, T15] Where there is such a channel, that takes events; nothing begins."""
    for name in ("a", "b", "ended", "produced"):
        await channels.channel(name, "news").publish("first")
    await channels.channel("ended", "news").end()
    producer = channels.channel("produced", "news").produce()
    async with producer:
        names = ["a", "b", "a", "none", "ended", "produced"]
        assert await channels.send(names, "news", "x", kind="note") == 2
    assert await channels.send([], "news", "x") == 0
    assert [await data(channels.channel(name, "news")) for name in ("a", "b", "ended", "produced", "none")] == [
        ["first", "x"],
        ["first", "x"],
        ["first"],
        ["first"],
        [],
    ]


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_too_few_replicas(client: Any, prefix: str) -> None:
    """It is there, and who wanted it safe is told."""
    store = AsyncSessionStore(client, prefix=prefix, default_ttl=DAY, min_replicas=1)
    channel = AsyncChannels(store).channel("session", "answer")
    with pytest.raises(ReplicationError):
        await channel.publish("x")
    assert await data(channel) == ["x"]


async def test_somebody_goes_on_without_a_lease(channel: Any, pass_time: Any) -> None:
    """Once the producer was lost."""
    await channel.produce(lease=10).__aenter__()
    with pytest.raises(HeldError):
        await channel.publish("too early")
    await pass_time(11)
    assert (await channel.state()).status == "lost"
    await channel.publish("x")
    assert (await channel.state()).status == "open"
