"""Commands on a connection of the client's pool, on the shortest way."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hiredis import pack_command
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MaxConnectionsError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from session_store._async._flavour import close, send, sleep

T = TypeVar("T")

NO_ANSWER = (ConnectionError, TimeoutError)
REFUSALS = (MovedError, AskError, TryAgainError, ClusterDownError)  # replies that say that nothing was done
_CLASSES = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}
_IN_SCRIPT = re.compile(r"Error running script .*: -(OOM|READONLY) (.*)")
_PATIENCE = 20  # seconds that a full pool is waited for, as redis-py's BlockingConnectionPool does


def normalized(error: Exception) -> Exception:
    """An error as redis-py has a class for it, where Redis 6.2 tells it as one of the script that met it."""
    met = _IN_SCRIPT.match(str(error))
    return error if met is None else _CLASSES[met[1]](met[2])


def closed_by_others(error: AttributeError) -> ConnectionError:
    """What redis-py means by `AttributeError`: a connection in use was closed, its socket and parser are None then.

    Who disconnects a pool does so, and a cluster's client that reads the topology anew.
    """
    return ConnectionError(f"the connection was closed by another user of the client ({error})")


def _is_full(error: ConnectionError) -> bool:
    """Whether a pool has no connection to give; redis-py 6.2 has no class for it."""
    return isinstance(error, MaxConnectionsError) or str(error) == "Too many connections"


async def when_free(call: Callable[[], Awaitable[T]]) -> T:
    """What a call gives that takes a connection; where all are in use, as soon as one is free, within 20 seconds."""
    deadline, pause = 0.0, 0.001
    while True:
        try:
            return await call()
        except ConnectionError as error:
            if not _is_full(error):  # where it is, nothing was sent
                raise
            now = time.monotonic()
            deadline = deadline or now + _PATIENCE
            if now > deadline:
                raise
        await sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, 0.016)


async def exchange(pool: Any, command: tuple[object, ...], met: Exception | None = None) -> Any:
    """The reply to a command, as bytes, sent again as the client's policy says.

    `met`: what a first attempt has met already. Raises what the pool, the connection or the server raised.
    """
    data = [pack_command(command)]  # type: ignore[arg-type]  # it takes what redis-py takes
    try:
        connection = await pool.get_connection()
    except ConnectionError as error:
        if not _is_full(error):
            raise
        connection = await when_free(pool.get_connection)
    is_clean = False  # whether the reply was read: else it may come later, and the connection is closed
    try:
        if met is None:
            try:
                await send(connection, data)
                reply = await connection.read_response(disable_decoding=True)
                is_clean = True
                return reply
            except AttributeError as error:
                met = closed_by_others(error)
            except Exception as error:
                met = error
        reply = await _again(connection, data, met)
        is_clean = True
        return reply
    except ResponseError as error:
        is_clean = True
        raise normalized(error) from None
    finally:
        if not is_clean:
            await close(connection)
        await pool.release(connection)


async def _again(connection: Any, data: list[bytes], met: Exception) -> Any:
    """Leaves it to the client's policy what is done about an error, the first one too."""
    is_first = True

    async def again() -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            raise met
        await send(connection, data)
        return await connection.read_response(disable_decoding=True)

    return await connection.retry.call_with_retry(again, lambda _: close(connection))


async def exchange_all(pool: Any, commands: list[tuple[object, ...]]) -> list[Any]:
    """The replies to commands that go in one write on one connection, as bytes, errors in their places."""
    data = [b"".join(map(pack_command, commands))]  # type: ignore[arg-type]  # it takes what redis-py takes
    try:
        return await _exchanged(pool, data, len(commands))
    except AttributeError as error:
        raise closed_by_others(error) from error


async def _exchanged(pool: Any, data: list[bytes], count: int) -> list[Any]:
    connection = await when_free(pool.get_connection)
    is_clean = False

    async def again() -> list[Any]:
        await send(connection, data)
        return [await _reply(connection) for _ in range(count)]

    try:
        replies: list[Any] = await connection.retry.call_with_retry(again, lambda _: close(connection))
        is_clean = True
        return replies
    finally:
        if not is_clean:
            await close(connection)
        await pool.release(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return normalized(error)
