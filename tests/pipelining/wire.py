"""A pool and its connection whose other end is the test: for what a pipeline does step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.proxy import first_command

from session_store._async.pipelining import _Pipeline


class Wire:
    """Stands in for a pool of one connection, and for that connection.

    - `sent`: the writes, each a list of packed commands. `came` is set by each.
    - `answer(reply)`: what the next reply is; an exception is raised.
    - `spoils_closing`: what closing the connection raises.
    - `held`: while it is cleared, nobody gets the connection.
    - `refuse`: what `get_connection` raises; `refused` counts it.
    """

    def __init__(self, retries: int = 0) -> None:
        self.retry = Retry(NoBackoff(), retries)
        self.socket_timeout = 10.0
        self.sent: list[list[bytes]] = []
        self._replies: asyncio.Queue[Any] = asyncio.Queue()
        self.held = asyncio.Event()
        self.held.set()
        self.refuse: BaseException | None = None
        self.taken = self.refused = self.given_back = self.closed = 0
        self.reading = 0
        self.spoils_closing: Exception | None = None

    async def get_connection(self) -> Wire:
        await self.held.wait()
        if self.refuse is not None:
            self.refused += 1
            raise self.refuse
        self.taken += 1
        return self

    async def release(self, connection: Wire) -> None:
        assert connection is self
        self.given_back += 1

    async def disconnect(self, *, nowait: bool = False) -> None:
        assert nowait  # an error may be on its way, and must not wait for the server's farewell
        self.closed += 1
        if self.spoils_closing is not None:
            raise self.spoils_closing

    async def send_packed_command(self, commands: list[bytes]) -> None:
        self.sent.append(list(_separate(b"".join(commands))))

    async def read_response(self, *, disable_decoding: bool, **timeout: float) -> Any:
        assert disable_decoding
        self.reading += 1
        reply = await self._replies.get()
        await asyncio.sleep(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def answer(self, *replies: Any) -> None:
        for reply in replies:
            self._replies.put_nowait(reply)

    def names(self) -> list[list[str]]:
        """The second word of each command, by write."""
        return [[packed.split(b"\r\n")[4].decode() for packed in write] for write in self.sent]


def _separate(data: bytes) -> Iterator[bytes]:
    while found := first_command(data):
        _, end = found
        yield data[:end]
        data = data[end:]


class Calls:
    """A pipeline on a wire, whose calls are tasks: `calls.begin("a")` asks for a."""

    def __init__(self, pool: Any) -> None:
        self.pipeline = _Pipeline()
        self.pipeline.pool = pool
        self.loop = asyncio.get_running_loop()

    def begin(self, *names: str, filling: int = 0) -> list[asyncio.Task[Any]]:
        """`filling`: bytes that the command is longer by."""
        extra = (b"x" * filling,) if filling else ()
        return [self.loop.create_task(self.pipeline.call(("GET", name, *extra), self.loop)) for name in names]

    def is_idle(self) -> bool:
        pipeline = self.pipeline
        return (
            not (pipeline._alone or pipeline._calls or pipeline._bytes or pipeline._waiting)
            and pipeline._sender is None
        )


async def steps(count: int = 20) -> None:
    """Lets all others go on for so long as they need nothing from outside."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not happen")


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """What comes of tasks: results and errors."""
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
