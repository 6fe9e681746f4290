"""A proxy in the test's own loop: it counts what is written, holds replies back, cuts and throttles, by order of events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from support.proxy import first_command, first_reply

HANDSHAKE = {"HELLO", "CLIENT", "AUTH", "SELECT", "READONLY", "PING"}
_CHUNK = 1 << 20

# What becomes of a command: it is lost on the way there or back, its reply is cut in the middle, or nothing does.
Fate = str  # "drop", "lose", "truncate", ""


class _Link:
    """One connection."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.to_client, self.to_server = writers
        self.fates: list[Fate] = []  # of the replies to come
        self.handshakes = 0

    def cut(self) -> None:
        for writer in (self.to_client, self.to_server):
            writer.transport.abort()


class Gate:
    """`port` is where clients connect. `open` and `shut` are for replies; a shut gate keeps them, in order.

    - `writes`: the names of the commands of each write that came, without handshakes, in order.
    - `connections`: how many were made.
    - `fate(name)`: asked for each command as it comes.
    - `passed`: bytes of replies that have gone through.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.writes: list[list[str]] = []
        self.connections = 0
        self.passed = 0
        self.fate: Callable[[str], Fate] = lambda name: ""
        self.fates: Counter[Fate] = Counter()
        self.pace: Callable[[], object] | None = None  # awaited before each piece of a reply
        self.most = _CHUNK  # bytes of a piece
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._came = asyncio.Condition()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def shut(self) -> None:
        self._is_open.clear()

    def open(self) -> None:
        self._is_open.set()

    def cut(self) -> None:
        """Cuts all connections."""
        for link in self._links:
            link.cut()

    def commands(self) -> Counter[str]:
        return Counter(name for write in self.writes for name in write)

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Until what has come is enough."""
        async with self._came:
            await asyncio.wait_for(self._came.wait_for(condition), 20)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((writer, to_server))
        self._links.add(link)
        ways = [
            asyncio.create_task(self._there(link, reader), name="gate"),
            asyncio.create_task(self._back(link, from_server), name="gate"),
        ]
        self._tasks.update(ways)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                for way in asyncio.as_completed(ways):
                    await way
                    break
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._tasks.difference_update(ways)
            self._links.discard(link)
            link.cut()

    async def _there(self, link: _Link, reader: asyncio.StreamReader) -> None:
        pending = b""
        while data := await reader.read(_CHUNK):
            pending += data
            names: list[str] = []
            dropped = False
            begin = 0
            while not dropped and (found := first_command(pending[begin:] if begin else pending)):
                name, size = found
                names.append(name)
                fate = "" if name in HANDSHAKE else self.fate(name)
                self.fates[fate] += 1
                dropped = fate == "drop"
                if not dropped:
                    link.fates.append(fate)
                    begin += size
            link.to_server.write(pending[:begin])
            pending = pending[begin:]
            await link.to_server.drain()
            names = [name for name in names if name not in HANDSHAKE]
            if names:
                async with self._came:
                    self.writes.append(names)
                    self._came.notify_all()
            if dropped:
                if begin:  # what came before it is executed
                    link.to_server.write_eof()
                    await asyncio.sleep(0)
                return

    async def _back(self, link: _Link, reader: asyncio.StreamReader) -> None:
        pending = b""
        while data := await reader.read(_CHUNK):
            pending += data
            if self.pace is not None:
                pending = await self._throttled(link, pending)
                continue
            begin = 0
            while (end := first_reply(pending, begin)) is not None:
                fate = link.fates.pop(0) if link.fates and pending[begin : begin + 1] != b">" else ""
                if not self._is_open.is_set():
                    await self._pass(link, b"")
                    await self._is_open.wait()
                if fate == "lose":
                    return
                if fate == "truncate":
                    await self._pass(link, pending[begin : end - 1])
                    return
                await self._pass(link, pending[begin:end])
                begin = end
            pending = pending[begin:]

    async def _throttled(self, link: _Link, data: bytes) -> bytes:
        for at in range(0, len(data), self.most):
            await self.pace()  # type: ignore[misc]
            await self._pass(link, data[at : at + self.most])
        return b""

    async def _pass(self, link: _Link, data: bytes) -> None:
        link.to_client.write(data)
        self.passed += len(data)
        await link.to_client.drain()
