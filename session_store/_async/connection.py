"""Commands on their way: through the client, or on a connection of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from hiredis import pack_command
from redis.client import NEVER_DECODE
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError

from session_store._async._flavour import Lock, pool_of, to_the_end
from session_store._core.scripts import Script
from session_store.errors import WrongTypeError

# Replies as bytes, whatever the client's decode_responses: its decoding could fail on what others wrote.
AS_BYTES = {NEVER_DECODE: True}
_SCAN_COUNT = 1000  # keys that a SCAN looks at per step
_LOST = "the connection was lost, and with it what it watched"


def raise_reply(error: Exception, key: bytes, command: str) -> NoReturn:
    """Raises what an error reply to a read stands for."""
    if str(error).startswith("WRONGTYPE"):
        raise WrongTypeError(key.decode(), command.lower()) from error
    raise error


async def read(client: Any, command: str, key: bytes, *args: Any) -> Any:
    """One read command. `keys` is for redis-py's client-side caching, which asks for it."""
    try:
        return await client.execute_command(command, key, *args, keys=[key], **AS_BYTES)
    except ResponseError as error:
        raise_reply(error, key, command)


async def run(client: Any, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...]) -> Any:
    """One call of a script; a second one, with its source, when the server does not know it."""
    try:
        return await client.execute_command(*script.by_digest(keys, args), **AS_BYTES)
    except NoScriptError:
        return await client.execute_command(*script.by_source(keys, args), **AS_BYTES)


def scan(client: Any, pattern: bytes) -> AsyncIterator[bytes]:
    """The keys that match, in bounded steps; on a cluster those of every primary. A key may come twice."""
    keys: AsyncIterator[bytes] = client.scan_iter(match=pattern, count=_SCAN_COUNT, **AS_BYTES)
    return keys


class AsyncPinnedConnection:
    """A connection for one attempt, from the client's pool and back.

    From the first exchange on it is that connection or none: redis-py would connect anew by itself, and the new
    connection would watch nothing. It goes back with no reply on its way and nothing watched, or closed: closing is
    what an exchange that was cut short, by an error or a cancelled task, ends with.
    """

    __slots__ = ("__weakref__", "_connection", "_cut", "_given_back", "_held", "_lock", "_pool", "_settled")

    def __init__(self, pool: Any, connection: Any) -> None:
        self._pool = pool
        self._connection = connection
        self._lock = Lock()  # a closure may read in several tasks at once, and leave one behind
        self._held = False  # it must not be replaced
        self._cut = False  # an exchange is under way, or was cut short
        self._settled = True  # no reply is on its way, and nothing is watched
        self._given_back = False

    @classmethod
    async def take(cls, client: Any, key: bytes) -> AsyncPinnedConnection:
        """A connection to the server of a key. Raises the pool's errors."""
        pool = await pool_of(client, key)
        return cls(pool, await pool.get_connection())

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
            data = [b"".join(map(pack_command, commands))]
            # A health check would connect anew where it finds the connection dead.
            await self._connection.send_packed_command(data, check_health=not self._held)
            replies = [await self._reply() for _ in commands]
            self._cut = False
            return replies

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def settle(self) -> None:
        """Says that all replies have come, and that nothing is watched any more."""
        self._settled = True

    async def unwatch(self) -> None:
        """Forgets the watched keys, if the connection still stands."""
        try:
            await self.exchange(("UNWATCH",))
        except (ConnectionError, TimeoutError):
            return
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
