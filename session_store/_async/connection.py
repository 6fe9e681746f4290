"""Commands on a connection of one's own."""

from __future__ import annotations

import re
from typing import Any

from hiredis import pack_command
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from session_store._async._flavour import Lock, to_the_end
from session_store._core.asking import ASKING, with_asking

NO_ANSWER = (ConnectionError, TimeoutError)
REFUSALS = (MovedError, AskError, TryAgainError, ClusterDownError)  # replies that say that nothing was done
_CLASSES = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}
_IN_SCRIPT = re.compile(r"Error running script .*: -(OOM|READONLY) (.*)")
_LOST = "the connection was lost, and with it what it watched"


def typed(error: Exception) -> Exception:
    """An error as redis-py has a class for it, where Redis 6.2 tells it as one of the script that met it."""
    met = _IN_SCRIPT.match(str(error))
    return error if met is None else _CLASSES[met[1]](met[2])


def closed_by_others(error: AttributeError) -> ConnectionError:
    """What redis-py means by `AttributeError`: a cluster's client that reads the topology anew closes connections in use.

    Their sockets and parsers are None then, for whoever was waiting for them.
    """
    return ConnectionError(f"the connection was closed by another user of the client ({error})")


class AsyncPinnedConnection:
    """A connection for one attempt, from the client's pool and back.

    From the first exchange on it is that connection or none: redis-py would connect anew by itself, and the new
    connection would watch nothing. It goes back with no reply on its way and nothing watched, or closed: closing is
    what an exchange that was cut short, by an error or a cancelled task, ends with.
    """

    __slots__ = (
        *("__weakref__", "_asking", "_connection", "_cut", "_given_back", "_held", "_lock", "_pool", "_settled"),
        "refusal",
    )

    def __init__(self, pool: Any, connection: Any, *, asking: bool = False) -> None:
        self._pool = pool
        self._connection = connection
        self._asking = asking  # the server is importing the hash slot, and serves it to those who say so each time
        self._lock = Lock()  # a closure may read in several tasks at once, and leave one behind
        self._held = False  # it must not be replaced
        self._cut = False  # an exchange is under way, or was cut short
        self._settled = True  # no reply is on its way, and nothing is watched
        self._given_back = False
        self.refusal: ResponseError | None = None  # the first reply that said that the server is not the right one

    @property
    def socket_timeout(self) -> float | None:
        """Seconds that a reply may take."""
        timeout: float | None = self._connection.socket_timeout
        return timeout

    async def begin(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The first exchange, made again after a lost connection as the client's retry policy says."""

        async def close(error: Exception) -> None:
            await self._connection.disconnect()

        replies: list[Any] = await self._connection.retry.call_with_retry(lambda: self.exchange(*commands), close)
        self._held = True
        self._connection.register_connect_callback(self._refuse_another)
        return replies

    def _refuse_another(self, connection: Any) -> None:
        raise ConnectionError(_LOST)

    async def exchange(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Sends commands in one write and reads their replies, as bytes. Error replies are returned in place."""
        async with self._lock:
            if self._given_back:
                raise RuntimeError("snap and ops end with the closure that they were given to")
            if self._held and self._cut:
                raise ConnectionError(_LOST)
            self._settled = False
            self._cut = True
            sent = with_asking(commands) if self._asking else commands
            data = [b"".join(map(pack_command, sent))]
            try:
                # A health check would connect anew where it finds the connection dead.
                await self._connection.send_packed_command(data, check_health=not self._held)
                replies = [await self._reply() for _ in sent]
            except AttributeError as error:
                raise closed_by_others(error) from error
            self._cut = False
            if self._asking:
                replies = [reply for command, reply in zip(sent, replies, strict=True) if command is not ASKING]
            return replies

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            if isinstance(error, REFUSALS):
                self.refusal = self.refusal or error
            return typed(error)

    def settle(self) -> None:
        """Says that all replies have come, and that nothing is watched any more."""
        self._settled = True

    async def unwatch(self) -> None:
        """Forgets the watched keys, if the connection still stands and the user may."""
        try:
            (reply,) = await self.exchange(("UNWATCH",))
        except NO_ANSWER:
            return
        if not isinstance(reply, Exception):
            self.settle()

    async def give_back(self) -> None:
        """Returns the connection to its pool, closed if it is not settled."""
        await to_the_end(self._give_back)

    async def _give_back(self) -> None:
        try:
            if not self._settled:
                await self._connection.disconnect()
        finally:
            async with self._lock:
                self._given_back = True
                self._connection.deregister_connect_callback(self._refuse_another)
                await self._pool.release(self._connection)
