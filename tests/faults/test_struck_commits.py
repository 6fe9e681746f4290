"""What strikes while a commit is on its way: the commit is settled, and then exactly that is raised, never swallowed.

Signal handlers that raise, as time limits of workers do; tasks that are cancelled, once or again and again.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.proxy import PATIENCE, Proxy
from support.servers import Server

from session_store import AsyncNamespace, AsyncSessionStore, Namespace, SessionStore
from session_store._core.scripts import COMMIT

BOUND = 3  # seconds, for a call that may take one to settle its commit
SETTINGS: dict[str, Any] = {"default_ttl": 600}


class TimeLimit(Exception):
    """What a worker's time limit raises."""


class Interruption(BaseException):
    """As gevent's Timeout: no Exception."""


@pytest.fixture(autouse=True)
def known(other: Namespace[str]) -> None:
    """The server knows the scripts: what is struck is the commit itself, and no question for it."""
    other.with_cas("n", lambda _, ops: ops.set("n", "5"))


@pytest.fixture
def strike() -> Iterator[Callable[[BaseException], Callable[[], None]]]:
    """A function that makes another one which, from any thread, has the main thread raise an exception."""
    before = signal.getsignal(signal.SIGUSR1)

    def strike(error: BaseException) -> Callable[[], None]:
        struck = threading.Event()

        def handler(*_: object) -> None:
            if not struck.is_set():
                struck.set()
                raise error

        def until_struck() -> None:
            """A signal just before a call of the system is seen after it only: one that waits without end would not end."""
            for _ in range(100):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
                if struck.wait(PATIENCE / 100):
                    return

        signal.signal(signal.SIGUSR1, handler)
        return until_struck

    yield strike
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def ns(proxy: Proxy, prefix: str) -> Iterator[Namespace[str]]:
    with redis.Redis(port=proxy.port, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 3)) as client:
        yield SessionStore(client, prefix=prefix, **SETTINGS).namespace("session")


@pytest.fixture
async def async_ns(proxy: Proxy, prefix: str) -> AsyncIterator[AsyncNamespace[str]]:
    client = redis.asyncio.Redis(port=proxy.port, socket_timeout=PATIENCE, retry=AsyncRetry(NoBackoff(), 3))
    yield AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")
    await client.aclose()


def add_one(snap: Any, ops: Any) -> int:
    total = int(snap.get("n")) + 1
    ops.set("n", str(total))
    return total


async def async_add_one(snap: Any, ops: Any) -> int:
    total = int(await snap.get("n")) + 1
    ops.set("n", str(total))
    return total


every_error = pytest.mark.parametrize("kind", [TimeLimit, Interruption, KeyboardInterrupt, SystemExit])


@every_error
def test_struck_before_the_commit_arrives(
    ns: Namespace[str], proxy: Proxy, other: Namespace[str], strike: Any, kind: type[BaseException]
) -> None:
    """It is never applied: not when it arrives later either, on a slot that is as it was."""
    error = kind()
    late = proxy.hold("COMMIT", then=strike(error), cut=False)
    with pytest.raises(kind) as caught:
        ns.with_cas("n", add_one)
    assert caught.value is error
    late.release()
    assert other.get("n") == "5"
    assert ns.with_cas("n", add_one) == 6


@every_error
def test_struck_after_the_commit_was_applied(
    ns: Namespace[str], proxy: Proxy, other: Namespace[str], strike: Any, kind: type[BaseException]
) -> None:
    """It stays; the exception is raised all the same."""
    error = kind()
    proxy.lose_reply("COMMIT", then=strike(error), cut=False)
    with pytest.raises(kind) as caught:
        ns.with_cas("n", add_one)
    assert caught.value is error
    assert other.get("n") == "6"
    assert ns.with_cas("n", add_one) == 7


@every_error
@pytest.mark.parametrize("command", ["BEGIN", "SINGLE"])
def test_struck_at_another_step(
    ns: Namespace[str], proxy: Proxy, other: Namespace[str], strike: Any, kind: type[BaseException], command: str
) -> None:
    """As at a beginning, or at a single call: the exception passes through, and the next call gets its own reply."""
    error = kind()
    proxy.lose_reply(command, then=strike(error), cut=False)
    with pytest.raises(kind) as caught:
        ns.with_cas("n", add_one) if command == "BEGIN" else ns.incr("ids")
    assert caught.value is error
    assert ns.with_cas("n", add_one) == 6


async def cancelled_once(task: asyncio.Task[Any], now: asyncio.Event) -> None:
    await asyncio.wait_for(now.wait(), PATIENCE)
    task.cancel()


async def cancelled_again_and_again(task: asyncio.Task[Any], now: asyncio.Event) -> None:
    """As anyio does with the tasks of a cancelled scope."""
    await asyncio.wait_for(now.wait(), PATIENCE)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.001)


every_manner = pytest.mark.parametrize("cancel", [cancelled_once, cancelled_again_and_again])


@every_manner
@pytest.mark.parametrize("fault", ["hold", "lose_reply"])
async def test_cancelled(
    async_ns: AsyncNamespace[str], proxy: Proxy, other: Namespace[str], cancel: Any, fault: str
) -> None:
    """The same for a task: the commit is there, or never will be, by the time that it ends as cancelled."""
    now, loop = asyncio.Event(), asyncio.get_running_loop()
    held = getattr(proxy, fault)("COMMIT", then=lambda: loop.call_soon_threadsafe(now.set), cut=False)
    task = asyncio.create_task(async_ns.with_cas("n", async_add_one))
    await cancel(task, now)
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.cancelled()
    value = other.get("n")
    assert value == ("5" if fault == "hold" else "6")
    if held:
        held.release()
    assert other.get("n") == value
    assert await async_ns.with_cas("n", async_add_one) == int(value) + 1


@pytest.mark.parametrize("fault", ["hold", "lose_reply"])
async def test_time_limit(async_ns: AsyncNamespace[str], proxy: Proxy, other: Namespace[str], fault: str) -> None:
    """`asyncio.wait_for` and `asyncio.timeout` raise their error, though the commit could be settled."""
    held = getattr(proxy, fault)("COMMIT", cut=False)
    with pytest.raises(asyncio.TimeoutError):
        if sys.version_info >= (3, 11):
            async with asyncio.timeout(0.2):
                await async_ns.with_cas("n", async_add_one)
        else:
            await asyncio.wait_for(async_ns.with_cas("n", async_add_one), 0.2)
    value = other.get("n")
    if held:
        held.release()
    assert other.get("n") == value == ("5" if fault == "hold" else "6")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has TaskGroup since Python 3.11")
async def test_group_of_tasks(async_ns: AsyncNamespace[str], proxy: Proxy, other: Namespace[str]) -> None:
    """One that fails has the others cancelled: a commit on its way is settled before the group ends."""
    now, loop = asyncio.Event(), asyncio.get_running_loop()
    held = proxy.hold("COMMIT", then=lambda: loop.call_soon_threadsafe(now.set), cut=False)

    async def fail() -> None:
        await now.wait()
        raise TimeLimit

    with pytest.raises(BaseException) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(async_ns.with_cas("n", async_add_one))
            group.create_task(fail())
    assert [type(error) for error in caught.value.exceptions] == [TimeLimit]
    held.release()
    assert other.get("n") == "5"


@every_manner
async def test_server_that_stands_still(
    server: Server, proxy: Proxy, prefix: str, other: Namespace[str], cancel: Any
) -> None:
    """A client that waits without end is cancelled all the same, in bounded time."""
    client = redis.asyncio.Redis(port=proxy.port, socket_timeout=None)
    ns = AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")
    now, loop = asyncio.Event(), asyncio.get_running_loop()

    def stand_still() -> None:
        server.pause()
        loop.call_soon_threadsafe(now.set)

    late = proxy.hold("COMMIT", then=stand_still, cut=False)
    task = asyncio.create_task(ns.with_cas("n", async_add_one))
    try:
        await asyncio.wait_for(now.wait(), PATIENCE)
        began = time.monotonic()
        await cancel(task, now)
        await asyncio.wait([task], timeout=PATIENCE)
        assert time.monotonic() - began < BOUND
        assert task.cancelled()
    finally:
        server.resume()
        await client.aclose()
    other.exists("n")  # the server has done what came before
    late.release()
    assert other.get("n") in ("5", "6")


def test_server_that_stands_still_sync(
    server: Server, proxy: Proxy, prefix: str, other: Namespace[str], strike: Any
) -> None:
    """A time limit holds where the client's patience has no end."""
    error = TimeLimit()
    strike_now = strike(error)

    def stand_still() -> None:
        server.pause()
        strike_now()

    late = proxy.hold("COMMIT", then=stand_still, cut=False)
    with redis.Redis(port=proxy.port, socket_timeout=None) as client:
        began = time.monotonic()
        try:
            with pytest.raises(TimeLimit) as caught:
                SessionStore(client, prefix=prefix, **SETTINGS).namespace("session").with_cas("n", add_one)
            assert time.monotonic() - began < BOUND
            assert caught.value is error
        finally:
            server.resume()
        other.exists("n")  # the server has done what came before
        late.release()
        assert other.get("n") in ("5", "6")


class TlsFront:
    """Speaks TLS before a server, until a commit comes: then it stands still, and neither reads nor hangs up."""

    def __init__(self, port: int, folder: Path) -> None:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"),
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._server_port = port
        self._ends: list[asyncio.StreamWriter] = []
        self.stands_still = asyncio.Event()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._ends += [writer, to_server]
        answers = asyncio.create_task(self._pump(from_server, writer))
        while data := await reader.read(65_536):
            if COMMIT.digest in data or self.stands_still.is_set():
                self.stands_still.set()
                writer.transport.pause_reading()
                answers.cancel()
                return
            to_server.write(data)
        answers.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)

    async def close(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.sleep(0)


async def test_tls_server_that_stands_still(server: Server, prefix: str, tmp_path: Path) -> None:
    """To close a TLS connection takes two: nobody waits for a server that does not answer, and no error of that comes up."""
    front = TlsFront(server.port, tmp_path)
    client = redis.asyncio.Redis(port=await front.start(), ssl=True, ssl_cert_reqs="none", socket_timeout=5)
    ns = AsyncSessionStore(client, prefix=prefix, **SETTINGS).namespace("session")
    task = asyncio.create_task(ns.with_cas("n", async_add_one))
    await asyncio.wait_for(front.stands_still.wait(), PATIENCE)
    began = time.monotonic()
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert time.monotonic() - began < BOUND
    assert task.cancelled()
    await front.close()
    await client.aclose()


class StubbornConnection(redis.asyncio.Connection):
    """Can not be closed: to wait for it never ends, and to ask for it again fails."""

    async def disconnect(self, nowait: bool = False, **options: Any) -> None:
        was_connected = self.is_connected
        await super().disconnect(nowait=True, **options)
        if not nowait:
            await asyncio.Event().wait()
        if not was_connected:
            raise TimeoutError("closing it took too long")


async def test_connection_that_can_not_be_closed(proxy: Proxy, prefix: str, other: Namespace[str]) -> None:
    """What was on its way is raised, and not what closing has met."""
    pool = redis.asyncio.ConnectionPool(port=proxy.port, connection_class=StubbornConnection)
    ns = AsyncSessionStore(redis.asyncio.Redis(connection_pool=pool), prefix=prefix, **SETTINGS).namespace("session")
    now, loop = asyncio.Event(), asyncio.get_running_loop()
    late = proxy.hold("COMMIT", then=lambda: loop.call_soon_threadsafe(now.set), cut=False)
    task = asyncio.create_task(ns.with_cas("n", async_add_one))
    await cancelled_once(task, now)
    await asyncio.wait([task], timeout=BOUND)
    assert task.cancelled()
    late.release()
    assert other.get("n") == "5"
    for connection in pool._available_connections:
        await redis.asyncio.Connection.disconnect(connection)
