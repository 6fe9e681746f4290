"""What a browser gets. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import asyncio
import pkgutil
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from session_store import channels
from session_store.channels import ChannelsClosedError, Event, GapError, ProducerLostError, sse


async def events(*found: Event[Any] | Exception) -> AsyncIterator[Event[Any]]:
    for each in found:
        if isinstance(each, Exception):
            raise each
        yield each


def parsed(body: bytes) -> list[dict[str, str]]:
    """As the standard has it: fields of each event, its data joined by LF."""
    found = []
    for block in re.split(r"\n\n", body.decode())[:-1]:
        fields: dict[str, str] = {}
        for line in re.split(r"\r\n|\r|\n", block):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value
        found.append(fields)
    return found


async def sent(*found: Event[Any] | Exception, **options: Any) -> list[dict[str, str]]:
    return parsed(b"".join([part async for part in sse(events(*found), retry=None, **options)]))


@pytest.mark.parametrize(
    "data",
    ["", "a\nb", "a\r\nb\rc\n", "\n\n", "data: x", ": x", "event: evil\n\nid: 1", " x", "a\0b", "é🍵", "x" * 10**6],
    ids=len,
)
async def test_any_data(data: str) -> None:
    """[T46] Arrive as they were, but for the kind of their line ends, and are nothing but data."""
    event, _ = await sent(Event("0123abcd.1", "token", data))
    assert event == {"id": "0123abcd.1", "event": "token", "data": re.sub("\r\n|\r", "\n", data)}


async def test_what_is_no_text() -> None:
    event, _ = await sent(Event("0123abcd.1", "token", {"a": ["é", None]}))
    assert event["data"] == '{"a": ["é", null]}'


async def test_how_a_stream_ends() -> None:
    """By what was lost, which has no id: who connects again goes on behind the last event that he got."""
    event = Event("0123abcd.1", "token", "x")
    assert (await sent(event, ProducerLostError("0123abcd.1")))[1:] == [{"event": "lost", "data": ""}]
    assert await sent(GapError(7, "0123abcd.8")) == [{"event": "gap", "data": "0123abcd.8"}]
    assert await sent(GapError(None, None)) == [{"event": "gap", "data": ""}]
    assert (await sent(event))[1:] == [{"event": "end", "data": ""}]
    assert await sent(Event("0123abcd.1", "end", "")) == [{"id": "0123abcd.1", "event": "end", "data": ""}]
    assert len(await sent(event, ChannelsClosedError())) == 1
    with pytest.raises(LookupError):
        await sent(event, LookupError())


async def test_when_to_connect_again() -> None:
    assert await anext(sse(events())) == b"retry: 1000\n\n"
    assert await anext(sse(events(), retry=0.25)) == b"retry: 250\n\n"
    for bad in ({"retry": 0}, {"heartbeat": 0}, {"heartbeat": -1}):
        with pytest.raises(ValueError, match="must be"):
            await anext(sse(events(), **bad))


async def test_nothing_comes_for_some_time() -> None:
    """[T47] A comment is sent; who has gone meanwhile ends it, and what it follows."""
    waits, closed = asyncio.Event(), asyncio.Event()

    async def waiting() -> AsyncIterator[Event[str]]:
        try:
            yield Event("0123abcd.1", "token", "x")
            await waits.wait()
            yield Event("0123abcd.2", "token", "y")
            await asyncio.Event().wait()
        finally:
            closed.set()

    body = sse(waiting(), heartbeat=0.01, retry=None)
    assert (await anext(body)).startswith(b"id: 0123abcd.1\n")
    assert [await anext(body) for _ in range(3)] == [b":\n\n"] * 3
    waits.set()
    parts = [await anext(body)]
    while parts[-1] == b":\n\n":
        parts.append(await anext(body))
    assert parts[-1].startswith(b"id: 0123abcd.2\n")
    assert await anext(body) == b":\n\n"
    await body.aclose()
    assert closed.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_it_is_cancelled_again_and_again() -> None:
    """As by a scope of anyio, which servers have: what it follows is closed all the same."""
    begun, closing, may_close, closed = (asyncio.Event() for _ in range(4))

    async def waiting() -> AsyncIterator[Event[str]]:
        try:
            begun.set()
            await asyncio.Event().wait()
            yield Event("0123abcd.1", "token", "x")
        finally:
            closing.set()
            await may_close.wait()
            closed.set()

    async def serve() -> None:
        async for _ in sse(waiting(), retry=None):
            pass

    task = asyncio.create_task(serve())
    await begun.wait()
    task.cancel()
    await closing.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    may_close.set()
    await closed.wait()
    while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # what ends by itself is nobody's to wait for
        await asyncio.sleep(0)


def test_it_is_found_whatever_was_imported_before() -> None:
    """No module of the package has the name of something that the package gives."""
    modules = {module.name for module in pkgutil.iter_modules(channels.__path__)}
    assert not modules & set(channels.__all__)
