"""Events for browsers: the lines that an EventSource reads."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from session_store._core.extension import Duration, to_milliseconds
from session_store.channels._core.values import Event
from session_store.channels.errors import GapError, ProducerLostError

_LINE_END = re.compile(r"\r\n|\r|\n")


def _written(kind: str, data: object, event_id: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    lines = [f"id: {event_id}"] * bool(event_id) + [f"event: {kind}"]
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return ("\n".join(lines) + "\n\n").encode()


async def sse(
    events: AsyncIterator[Event[Any]], *, heartbeat: Duration = 15, retry: Duration | None = 1
) -> AsyncIterator[bytes]:
    """The body of a `text/event-stream`, for a StreamingResponse.

    - `events`: those of a channel. Data that are no str are sent as JSON. Line ends of all kinds arrive as LF, as the format has it.
    - `heartbeat`: seconds in which nothing comes before a comment is sent, so that nobody on the way hangs up, and a browser that
      has gone is noticed.
    - `retry`: seconds after which a browser that was cut connects again; None: as it likes.

    A `ProducerLostError` becomes an event of the kind "lost", and a `GapError` one of the kind "gap" whose data is the id to go on
    from, or nothing; both end the stream, and have no id. What a browser gets last it does not ask for again.
    """
    seconds = to_milliseconds(heartbeat, "heartbeat") / 1000
    if retry is not None:
        yield b"retry: %d\n\n" % to_milliseconds(retry, "retry")
    coming: asyncio.Future[Event[Any]] | None = None
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
                return
            except ProducerLostError:
                yield _written("lost", "")
                return
            except GapError as error:
                yield _written("gap", error.resume or "")
                return
            yield _written(event.kind, event.data, event.id)
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})
            if not coming.cancelled():
                coming.exception()
        if hasattr(events, "aclose"):
            await events.aclose()
