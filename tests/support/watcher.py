"""What looks on while faults happen: a watcher of TTLs, who uses which connection, and whether a pool is whole."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Any
from uuid import uuid4

import redis
from hiredis import pack_command

from session_store._async import pipelining
from session_store._core.scripts import COMMIT
from session_store.testing.interleavings.commands import Command, is_script, parse, script_of
from support.histories import Call
from support.proxy import PATIENCE

_LOOK = """
local without = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if redis.call('PTTL', key) == -1 then without[#without + 1] = key end
end
return without
"""
current: ContextVar[Call | None] = ContextVar("call", default=None)  # that of a thread or task


class Watcher:
    """Looks at every key of a prefix, again and again, on a connection of its own: `without_ttl` must stay empty.

    A look is one script, so what it sees has been so at one moment. `pause`: seconds between two looks.
    """

    def __init__(self, port: int, prefix: str, pause: float = 0.002) -> None:
        self.looks = 0
        self.without_ttl: set[str] = set()
        self._client = redis.Redis(port=port, decode_responses=True)
        self._look = self._client.register_script(_LOOK)
        self._prefix, self._pause = prefix, pause
        self._ends = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ends.wait(self._pause):
                self.without_ttl.update(self._look(args=[f"{self._prefix}*"]))
                self.looks += 1
        except BaseException as error:  # raised in the test
            self._failure = error

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._client.close()
        if self._failure is not None:
            raise self._failure


class Lines:
    """Which calls use which connection, by the port of its client's end; to tell the calls that a fault touches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, list[Call]] = {}  # those of the latest write
        self._gathered: dict[bytes, list[Call]] = {}  # who wants a command sent, by what is sent
        self._early: dict[int, list[str]] = {}  # faults on connections that nothing has been sent on

    def note(self, port: int, kind: str) -> None:
        """A fault has happened."""
        with self._lock:
            if port in self._calls:
                for call in self._calls[port]:
                    call.faults.append(kind)
            else:
                self._early.setdefault(port, []).append(kind)

    def clear(self) -> None:
        """For a moment in which there are no calls: ports will be used again."""
        with self._lock:
            self._calls.clear()
            self._gathered.clear()
            self._early.clear()

    def _sends(self, connection: Any, data: bytes) -> None:
        calls = {}
        for parts in parse(data):
            for call in self._who_sends(parts):
                calls[call.number] = call
                call.sent += script_of(parts) is COMMIT if call.method == "with_cas" else is_script(parts)
        port = _port_of(connection)
        if port and calls:
            with self._lock:
                self._calls[port] = list(calls.values())
                early = self._early.pop(port, ())
            for call in calls.values():
                call.faults += early

    def _who_sends(self, parts: Command) -> list[Call]:
        """The call of the task or thread; in a batch, the calls under way that want this command sent."""
        gathered = self._gathered.get(pack_command(parts))
        if gathered is not None:
            return [call for call in gathered if call.end == inf]
        call = current.get()
        return [] if call is None else [call]

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """The time in which calls may be gathered into batches, which a task of nobody's sends."""

        def pack(command: tuple[Any, ...]) -> bytes:
            packed = pack_command(command)
            if call := current.get():
                self._gathered.setdefault(packed, []).append(call)
            return packed

        pipelining.pack_command = pack
        try:
            yield
        finally:
            pipelining.pack_command = pack_command

    def connection_class(self, base: type) -> type:
        """A class of connections whose every write is noted for the call that makes it."""
        lines = self

        class Noted(base):  # type: ignore[misc]  # of redis-py, either flavour
            def send_packed_command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
                lines._sends(self, command if isinstance(command, bytes) else b"".join(command))
                return super().send_packed_command(command, *args, **kwargs)

        return Noted


def _port_of(connection: Any) -> int:
    """That of its own end, 0 when it has none."""
    try:
        if writer := getattr(connection, "_writer", None):
            return writer.get_extra_info("sockname")[1]
        sock = getattr(connection, "_sock", None)
        return sock.getsockname()[1] if sock else 0
    except (OSError, TypeError):
        return 0


async def _wait(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _text(reply: Any) -> Any:
    if isinstance(reply, list):
        return list(map(_text, reply))
    return reply.decode() if isinstance(reply, bytes) else reply


def _wait_for_replies(connection: Any, seconds: float) -> None:
    """Sets a connection's timeout: that of the test is short, and the machine may be busy."""
    connection.socket_timeout = seconds
    if sock := getattr(connection, "_sock", None):
        sock.settimeout(seconds)


async def faults_of_pool(pool: Any, rival: redis.Redis, keys: Iterable[str]) -> list[str]:
    """What is wrong with a pool that nobody uses, of either flavour (of the sync one, nothing here waits).

    Everything is given back; an idle connection answers what it is asked, and nothing that another has asked; and it
    watches nothing: it commits although all keys have changed, which are the rival's to spoil.
    """
    wrong = []
    if pool._in_use_connections:
        wrong.append(f"{len(pool._in_use_connections)} connections were not given back")
    for key in keys:
        with rival.pipeline() as pipeline:
            pipeline.delete(key).set(key, "", ex=60).delete(key).execute()
    for connection in pool._available_connections:
        if not _port_of(connection):
            continue  # closed: whoever takes it connects anew
        token, usual = uuid4().hex, connection.socket_timeout
        _wait_for_replies(connection, PATIENCE)
        try:
            answers = []
            for command in (("ECHO", token), ("MULTI",), ("ECHO", token), ("EXEC",)):
                await _wait(connection.send_command(*command))
                answers.append(_text(await _wait(connection.read_response())))
        except redis.RedisError as error:
            answers = [f"{type(error).__name__}: {error}"]
        _wait_for_replies(connection, usual)
        if answers != [token, "OK", "QUEUED", [token]]:
            wrong.append(f"an idle connection answers {answers}")
    return wrong
