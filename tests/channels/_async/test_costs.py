"""What every method sends, and so its round trips; and what is refused before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from session_store import InvalidNameError
from session_store.channels import AsyncChannels

Call = Callable[[Any, Any], Awaitable[Any]]
SCRIPT = [("EVALSHA",)]
COSTS: dict[str, tuple[Call, list[tuple[str, ...]]]] = {
    "publish": (lambda _, channel: channel.publish("x"), SCRIPT),
    "read": (lambda _, channel: channel.read(), SCRIPT),
    "state": (lambda _, channel: channel.state(), SCRIPT),
    "end": (lambda channels, _: channels.channel("session", "other").publish("x"), SCRIPT),
    "live": (lambda channels, _: channels.live("answer"), SCRIPT),
    "send": (lambda channels, _: channels.send(["session"], "answer", "x"), SCRIPT),
}


@pytest.mark.parametrize("backend", ["redis-text"])
@pytest.mark.parametrize("name", COSTS)
async def test_what_a_method_sends(channels: Any, channel: Any, recorder: Any, name: str) -> None:
    """[T49] Whether anybody follows or not."""
    call, wanted = COSTS[name]
    await channel.publish("x")
    await call(channels, channel)  # the server knows the script from now on
    recorder.clear()
    await call(channels, channel)
    assert recorder.writes == wanted


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_what_a_producer_sends(channel: Any, recorder: Any) -> None:
    async with channel.produce() as out:
        await out.publish("x")
    recorder.clear()
    async with channel.produce() as out:
        await out.publish("x")
        await out.publish("y")
        await out.end()
    assert recorder.writes == SCRIPT * 4


BAD: dict[str, tuple[Call, type[Exception]]] = {
    **{
        f"kind {bad!r}": (lambda _, channel, bad=bad: channel.publish("x", kind=bad), error)
        for bad, error in (
            ("", ValueError),
            ("a\nb", ValueError),
            ("a\rb", ValueError),
            ("\0", ValueError),
            ("\ud800", ValueError),
            ("x" * 201, ValueError),
            (None, TypeError),
            (b"x", TypeError),
        )
    },
    **{
        f"limit {bad!r}": (lambda _, channel, bad=bad: channel.read(limit=bad), error)
        for bad, error in ((0, ValueError), (-1, ValueError), (1_001, ValueError), (1.0, TypeError), (True, TypeError))
    },
    "after": (lambda _, channel: channel.read(after=1), TypeError),
    "after bytes": (lambda _, channel: channel.read(after=b"x"), TypeError),
    "data": (lambda _, channel: channel.publish(1), TypeError),
    "no data": (lambda _, channel: channel.publish(None), TypeError),
    "last data": (lambda _, channel: channel.end(1), TypeError),
    "last kind": (lambda _, channel: channel.end(kind=""), ValueError),
    "one name": (lambda channels, _: channels.send("session", "answer", "x"), TypeError),
    "live": (lambda channels, _: channels.live("answer", limit=0), ValueError),
}


@pytest.mark.parametrize("backend", ["redis-text"])
@pytest.mark.parametrize("name", BAD)
async def test_what_is_refused(channels: Any, channel: Any, recorder: Any, name: str) -> None:
    call, error = BAD[name]
    with pytest.raises(error):
        await call(channels, channel)
    assert recorder.writes == []


@pytest.mark.parametrize("backend", ["memory-json"])
def test_settings(make: Any) -> None:
    channels = make()
    for bad, error in ((0, ValueError), (math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(error):
            make(ttl=bad)
        with pytest.raises(error):
            channels.channel("session", "answer").produce(lease=bad)
        with pytest.raises((ValueError, TypeError)):
            make(keep=bad)
    for namespace, name in (("", "answer"), ("~x", "answer"), ("session", ""), ("session", "~x"), ("session", 1)):
        with pytest.raises(InvalidNameError):
            channels.channel(namespace, name)
    with pytest.raises(TypeError, match="store must be"):
        AsyncChannels(object())  # type: ignore[arg-type]
