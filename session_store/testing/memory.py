"""Redis in the memory of a test: fakeredis, with contention and the passing of time on demand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from fakeredis import FakeAsyncRedis, FakeAsyncRedisConnection, FakeRedis, FakeRedisConnection, FakeServer
from fakeredis._commands import Signature
from fakeredis._core import Database
from fakeredis._socket import AsyncFakeSocket, FakeSocket

from session_store._core.arguments import Duration, to_milliseconds
from session_store._core.scripts import COMMIT


class _Database(Database):
    """A database whose clock runs ahead by what the server was advanced."""

    def __init__(self, server: InMemoryServer) -> None:
        self._server = server
        super().__init__(server.lock)

    @property
    def time(self) -> float:
        return self._server.clock(self._now)

    @time.setter
    def time(self, now: float) -> None:
        self._now = now


def _sha1hex(data: bytes) -> bytes:
    return sha1(data, usedforsecurity=False).hexdigest().encode()


class _Lua:
    """A Lua runtime of fakeredis, faster.

    It compiles a script once, has it looked through for global variables at its end and not at each of its calls, and
    leaves the collection of garbage to Lua.
    """

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._compiled: dict[bytes | str, Callable[[], Any]] = {"collectgarbage()": lambda: None}
        self._runs = False
        self._knows_sha1hex = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    def globals(self) -> Any:
        return {} if self._runs else self._runtime.globals()

    def execute(self, source: bytes | str) -> Any:
        if not self._knows_sha1hex:  # fakeredis has none
            self._runtime.globals()[b"redis"][b"sha1hex"] = _sha1hex
            self._knows_sha1hex = True
        run = self._compiled.get(source)
        if run is None:
            run = self._compiled[source] = self._runtime.compile(source)
        self._runs = True
        try:
            return run()
        finally:
            self._runs = False


class InMemoryServer(FakeServer):
    """What clients in memory share; `InMemoryClient.server`."""

    _lua: _Lua

    def __init__(self) -> None:
        super().__init__(version=(7,))
        self.ahead = 0.0  # seconds
        self.changes: Counter[bytes] = Counter()  # by key, how many commits are yet to lose
        self.lost: dict[bytes, tuple[bytes, ...]] = {}  # by key, the attempt that was the latest to lose
        self.dbs = defaultdict(lambda: _Database(self))

    def clock(self, now: float) -> float:
        """The server's time, in seconds since the epoch, when it is `now` elsewhere."""
        return now + self.ahead

    def given(self, script: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The arguments that a script is given: what it was sent, but for the marks of slots whose change is simulated."""
        if script != COMMIT.source or not (+self.changes or self.lost):
            return args
        given, attempt = list(args), args[:3]
        for number in range(int(args[5])):  # of the watched slots
            key = keys[1 + number]
            if self.changes[key] > 0 and self.lost.get(key) != attempt:
                self.changes[key] -= 1
                self.lost[key] = attempt
            if self.lost.get(key) == attempt:  # also when it is sent again, to have contents compared
                given[6 + 2 * number : 8 + 2 * number] = (b"changed", b"")
        return tuple(given)

    @property
    def _lua_runtime(self) -> _Lua:  # fakeredis sets it when the first script runs, and runs every script by it
        return self._lua

    @_lua_runtime.setter
    def _lua_runtime(self, runtime: Any) -> None:
        self._lua = _Lua(runtime)


_WAIT = Signature("wait", "_wait", (bytes, bytes))  # type: ignore[arg-type]  # fakeredis has no WAIT, and means any length


class _ServerRules:
    """Where a socket of fakeredis should behave like a server's, and the changes that are simulated."""

    _lived: set[tuple[bytes, Database]]  # the watched keys that existed when they were watched

    @classmethod
    def govern(cls, socket: Any) -> Any:
        """Puts a new socket of fakeredis under these rules."""
        socket.__class__ = cls
        socket._lived = set()  # noqa: SLF001  # its own class, one line above
        return socket

    def watch(self, *keys: Any) -> Any:
        reply = super().watch(*keys)  # type: ignore[misc]  # the socket's
        self._lived.update((key.key, self._db) for key in keys if key.key in self._db)  # type: ignore[attr-defined]  # the socket's
        return reply

    def _clear_watches(self) -> None:
        self._lived.clear()
        super()._clear_watches()  # type: ignore[misc]  # the socket's

    def exec_(self) -> Any:
        if self._queueing and not self._transaction_failed and self._loses():  # type: ignore[attr-defined]  # the socket's
            self.notify_watch()  # type: ignore[attr-defined]  # the socket's
        return super().exec_()  # type: ignore[misc]  # the socket's

    def _loses(self) -> bool:
        """Whether a watched key has expired, or was changed by simulation, which is then used up."""
        changes = self._server.changes  # type: ignore[attr-defined]  # the socket's
        changed = [key for key, _ in self._watches if changes[key]]  # type: ignore[attr-defined]  # the socket's
        changes.subtract(changed)
        return bool(changed) or self._has_expired()

    def _has_expired(self) -> bool:
        return any(key not in db for key, db in self._lived)

    def has_lost(self) -> bool:
        return self._watch_notified or self._has_expired()  # type: ignore[attr-defined]  # the socket's

    def time(self) -> list[bytes]:
        seconds, microseconds = divmod(round(self._db.time * 1_000_000), 1_000_000)  # type: ignore[attr-defined]  # the socket's
        return [b"%d" % seconds, b"%d" % microseconds]

    def eval(self, script: bytes, numkeys: int, *keys_and_args: bytes) -> Any:
        keys, args = keys_and_args[:numkeys], keys_and_args[numkeys:]
        given = self._server.given(script, keys, args)  # type: ignore[attr-defined]  # the socket's
        return super().eval(script, numkeys, *keys, *given)  # type: ignore[misc]  # the socket's

    def _name_to_func(self, name: str) -> Any:
        return (self._wait, _WAIT) if name == "wait" else super()._name_to_func(name)  # type: ignore[misc]  # the socket's

    def _wait(self, replicas: bytes, _: bytes) -> int:
        """As many replicas as are asked for have everything: what a store with `min_replicas` meets in good times."""
        return int(replicas)


def has_lost(socket: Any) -> bool:
    """Whether a key that a connection's socket watches was changed or has expired: an EXEC would do nothing."""
    return socket is not None and bool(socket.has_lost())


class _Socket(_ServerRules, FakeSocket):
    pass


class _AsyncSocket(_ServerRules, AsyncFakeSocket):
    pass


class _Connection(FakeRedisConnection):
    def _connect(self) -> FakeSocket:
        socket: FakeSocket = _Socket.govern(super()._connect())
        return socket


class _AsyncConnection(FakeAsyncRedisConnection):
    async def _connect(self) -> None:
        await super()._connect()
        _AsyncSocket.govern(self._sock)


class _InMemory:
    """What the clients of both flavours add."""

    server: InMemoryServer

    def simulate_concurrent_change(self, key: str) -> None:
        """The next commit that watches this key loses, as if another writer had changed it; value and TTL stay.

        `key` is a full Redis key, from `Namespace.key`. Call it inside a closure, or before `with_cas` to make the first
        attempt lose; called twice, it makes two attempts lose. No command is sent.
        """
        if not isinstance(key, str):
            raise TypeError(f"key must be a str, as Namespace.key returns it, got {type(key).__name__}")
        with self.server.lock:
            self.server.changes[key.encode()] += 1

    def advance(self, seconds: Duration) -> None:
        """Let time pass for the server: every TTL and fence gets that much older. Seconds, or a timedelta."""
        milliseconds = to_milliseconds(seconds, "seconds")
        with self.server.lock:
            self.server.ahead += milliseconds / 1000


class InMemoryClient(_InMemory, FakeRedis):
    """A `redis.Redis` on a server in memory: its own, unless it is given that of another client.

    - `decode_responses`, `protocol`: as redis-py has them.
    - `server`: that of another client, of either flavour.

    >>> from session_store import InMemoryClient, SessionStore
    >>> client = InMemoryClient()
    >>> ns = SessionStore(client, prefix="shop", default_ttl=60).namespace("user-42")
    >>> ns.set("step", "address")
    True
    >>> client.advance(61)
    >>> ns.exists("step")
    False
    """

    def __init__(
        self, *, decode_responses: bool = False, protocol: int | None = None, server: InMemoryServer | None = None
    ) -> None:
        self.server = server or InMemoryServer()
        self._options: dict[str, Any] = {"decode_responses": decode_responses}
        if protocol is not None:
            self._options["protocol"] = protocol
        super().__init__(server=self.server, connection_class=_Connection, **self._options)

    def sibling(self) -> InMemoryClient:
        """Another client of the same server, with the same options and connections of its own."""
        return type(self)(server=self.server, **self._options)


class AsyncInMemoryClient(_InMemory, FakeAsyncRedis):  # type: ignore[misc]  # fakeredis and redis-py disagree on types
    """A `redis.asyncio.Redis` on a server in memory; otherwise as `InMemoryClient`."""

    def __init__(
        self, *, decode_responses: bool = False, protocol: int | None = None, server: InMemoryServer | None = None
    ) -> None:
        self.server = server or InMemoryServer()
        self._options: dict[str, Any] = {"decode_responses": decode_responses}
        if protocol is not None:
            self._options["protocol"] = protocol
        super().__init__(server=self.server, connection_class=_AsyncConnection, **self._options)

    def sibling(self) -> AsyncInMemoryClient:
        """Another client of the same server, with the same options and connections of its own."""
        return type(self)(server=self.server, **self._options)
