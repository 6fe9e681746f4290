"""Events for browsers: the lines that an EventSource reads (async only)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from session_store._core.extension import Duration, to_milliseconds
from session_store.channels._async._flavour import to_its_end
from session_store.channels._core.values import Event
from session_store.channels.errors import ChannelsClosedError, GapError, ProducerLostError

_LINE_END = re.compile(r"\r\n|\r|\n")


def _written(kind: str, data: object, event_id: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    lines = [f"id: {event_id}"] * bool(event_id) + [f"event: {kind}"]
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return ("\n".join(lines) + "\n\n").encode()


async def sse(
    events: AsyncIterator[Event[Any]], *, heartbeat: Duration = 15, retry: Duration | None = 1
) -> AsyncGenerator[bytes, None]:
    """The body of a `text/event-stream`, for a StreamingResponse.

    - `events`: those of a channel. Data that are no str are sent as JSON. Line ends of all kinds arrive as LF, as the format has it.
    - `heartbeat`: seconds in which nothing comes before a comment is sent, so that nobody on the way hangs up, and a browser that
      has gone is noticed.
    - `retry`: seconds after which a browser that was cut connects again; None: as it likes.

    The end of the channel is an event of the kind "end", if its last event is not one; a `ProducerLostError` is one of the kind
    "lost", and a `GapError` one of the kind "gap" whose data is the id to go on from, or nothing. None of these has an id. A page
    closes its EventSource then, which would connect again. Where the channels are closed, the stream ends without: another
    worker goes on.
    """
    seconds = to_milliseconds(heartbeat, "heartbeat") / 1000
    if retry is not None:
        yield b"retry: %d\n\n" % to_milliseconds(retry, "retry")
    coming: asyncio.Future[Event[Any]] | None = None
    last = ""
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield b":\n\n"
                continue
            try:
                event, coming = coming.result(), None
            except StopAsyncIteration:
                if last != "end":
                    yield _written("end", "")
                return
            except ProducerLostError:
                yield _written("lost", "")
                return
            except GapError as error:
                yield _written("gap", error.resume or "")
                return
            except ChannelsClosedError:
                return
            yield _written(event.kind, event.data, event.id)
            last = event.kind
    finally:
        await to_its_end(lambda: _closed(events, coming))


async def _closed(events: AsyncIterator[Event[Any]], coming: asyncio.Future[Event[Any]] | None) -> None:
    if coming is not None:
        coming.cancel()
        await asyncio.wait({coming})
        if not coming.cancelled():
            coming.exception()
    if isinstance(events, AsyncGenerator):
        await events.aclose()
