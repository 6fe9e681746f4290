"""A server whose time stands still, and clients that stop at every write until they are told to go on."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from session_store._core.scripts import BEGIN, COMMIT, known
from session_store.testing.interleavings.commands import Write
from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient, InMemoryServer, has_lost
from session_store.testing.memory import _AsyncConnection as AsyncConnection
from session_store.testing.memory import _Connection as Connection

_NOW = 1_800_000_000.0  # seconds since the epoch
_RETRIES = 10  # of a client after a lost connection, at once; more than a schedule has faults, as a rule
_LOCK_TTLS = {BEGIN.source: 3, COMMIT.source: 4}  # where their arguments say what is done about locks
_CUT = "the connection was cut: a fault of this schedule"


class StillServer(InMemoryServer):
    """A server that can be emptied, and whose clock moves only by `advance`.

    It knows the scripts of the library, and of the layers that were imported by then.

    On it, nobody holds a lock, unless `locks` says so. A task that waited for one would look again and again, and take
    real time; and locks only keep orders from happening, none of which they may be relied upon to exclude.
    """

    locks = False

    def __init__(self) -> None:
        super().__init__()
        self.empty()

    def clock(self, now: float) -> float:
        """The same at any time, but for `advance`."""
        return _NOW + self.ahead

    def given(self, script: bytes, keys: tuple[bytes, ...], args: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Leaves locks alone, whatever a store's policy says."""
        place = None if self.locks else _LOCK_TTLS.get(script)
        if place is not None:
            args = (*args[:place], b"-1", *args[place + 1 :])
        return super().given(script, keys, args)

    def empty(self) -> None:
        """Begins anew, as a server that has been running for a while."""
        with self.lock:
            for db in self.dbs.values():
                db.clear()
        self.changes.clear()
        self.ahead = 0.0
        self.script_cache = {script.digest: script.source for script in known.values()}


class Verdict(Enum):
    """What becomes of a write."""

    SEND = auto()
    LOSE_REPLY = auto()  # the server acts, and the connection is cut
    CUT_BEFORE = auto()  # the connection is cut, and the server never sees it


class _Hears(Protocol):
    def hear(self, reply: object) -> None:
        """A reply has come, or an error."""


class Gate(_Hears, Protocol):
    """Where the writes of a task stop, in its thread."""

    def stop(self, write: Write, has_lost: Callable[[], bool]) -> Verdict:
        """Returns when the task may go on. `has_lost`: whether a key that the connection watches was changed."""


class AsyncGate(_Hears, Protocol):
    """The same for a task in an event loop."""

    async def stop_async(self, write: Write, has_lost: Callable[[], bool]) -> Verdict:
        """As `Gate.stop`."""


class _GatedConnection(Connection):
    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self._watching: set[bytes] = set()

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # redis-py's
        write = Write(command if isinstance(command, bytes) else b"".join(command), self._watching)
        verdict = self._gate.stop(write, self._has_lost)
        if verdict is not Verdict.CUT_BEFORE:
            super().send_packed_command(command, check_health=check_health)  # type: ignore[no-untyped-call]  # redis-py's
            _follow(write, self._watching)
        if verdict is not Verdict.SEND:
            self.disconnect()
            raise ConnectionError(_CUT)

    def _has_lost(self) -> bool:
        return has_lost(self._sock)

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self._watching.clear()
        super().disconnect(*args, **kwargs)  # type: ignore[no-untyped-call]  # redis-py's

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            reply = super().read_response(*args, **kwargs)
        except Exception as error:
            self._gate.hear(error)
            raise
        self._gate.hear(reply)
        return reply


class _AsyncGatedConnection(AsyncConnection):
    def __init__(self, *args: Any, gate: AsyncGate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self._watching: set[bytes] = set()

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # redis-py's
        write = Write(command if isinstance(command, bytes) else b"".join(command), self._watching)
        verdict = await self._gate.stop_async(write, self._has_lost)
        if verdict is not Verdict.CUT_BEFORE:
            await super().send_packed_command(command, check_health=check_health)
            _follow(write, self._watching)
        if verdict is not Verdict.SEND:
            await self.disconnect()
            raise ConnectionError(_CUT)

    def _has_lost(self) -> bool:
        return has_lost(self._sock)

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self._watching.clear()
        await super().disconnect(*args, **kwargs)

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            reply = await super().read_response(*args, **kwargs)
        except Exception as error:
            self._gate.hear(error)
            raise
        self._gate.hear(reply)
        return reply


def _follow(write: Write, watching: set[bytes]) -> None:
    """What a connection watches after a write."""
    for command in write.commands:
        name = command[0].upper()
        if name == b"WATCH":
            watching.update(command[1:])
        elif name in (b"EXEC", b"DISCARD", b"UNWATCH"):
            watching.clear()


def _no_handshake(connection: Any) -> None:
    """There is nothing to agree on with a server in memory."""
    connection._parser.on_connect(connection)  # noqa: SLF001  # what else redis-py does; some versions ask the parser


class GatedClient(InMemoryClient):
    """The client of a task in a thread; without a gate, one that does not stop."""

    def __init__(self, server: InMemoryServer, gate: Gate | None = None) -> None:
        super().__init__(protocol=2, server=server)
        self._gate = gate
        _set_up(self.connection_pool, gate, _GatedConnection, Retry(NoBackoff(), _RETRIES))

    def sibling(self) -> GatedClient:
        """Another client of the same task."""
        return GatedClient(self.server, self._gate)


class AsyncGatedClient(AsyncInMemoryClient):
    """The client of a task in an event loop; without a gate, one that does not stop."""

    def __init__(self, server: InMemoryServer, gate: AsyncGate | None = None) -> None:
        super().__init__(protocol=2, server=server)
        self._gate = gate
        _set_up(self.connection_pool, gate, _AsyncGatedConnection, AsyncRetry(NoBackoff(), _RETRIES))

    def sibling(self) -> AsyncGatedClient:
        """Another client of the same task."""
        return AsyncGatedClient(self.server, self._gate)


def _set_up(pool: Any, gate: Gate | AsyncGate | None, gated: type, retry: Retry | AsyncRetry) -> None:
    pool.connection_kwargs.update(redis_connect_func=_no_handshake, retry=retry, socket_timeout=None)
    if gate is not None:
        pool.connection_class = gated
        pool.connection_kwargs["gate"] = gate
