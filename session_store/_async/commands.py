"""Commands that travel through the client: it finds the server, and sends again, as it is configured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from redis.client import NEVER_DECODE
from redis.exceptions import ClusterError, NoScriptError, ResponseError

from session_store._async._flavour import Cluster, ready
from session_store._async.connection import typed
from session_store._async.routing import routed
from session_store._core.scripts import Script
from session_store.errors import WrongTypeError

# Replies as bytes, whatever the client's decode_responses: its decoding could fail on what others wrote.
AS_BYTES = {NEVER_DECODE: True}
_SCAN_COUNT = 1000  # keys that a SCAN looks at per step


def raise_reply(error: Exception, key: bytes, command: str) -> NoReturn:
    """Raises what an error reply to a read stands for."""
    if str(error).startswith("WRONGTYPE"):
        raise WrongTypeError(key.decode(), command.lower()) from error
    raise error


async def _execute(client: Any, key: bytes, command: tuple[object, ...], **options: Any) -> Any:
    await ready(client)
    try:
        return await client.execute_command(*command, **options, **AS_BYTES)
    except ResponseError as error:
        raise typed(error) from None
    except ClusterError:  # sent to and fro, executed nowhere: redis-py's async client says ASKING on one connection of
        pass  # its pool, and sends the command on another one
    except AttributeError:  # see `closed_by_others`; it may have been executed, and is then recognised by its token
        if not isinstance(client, Cluster):
            raise
    (reply,) = await routed(client, key, command)
    return reply


async def read(client: Any, command: str, key: bytes, *args: Any) -> Any:
    """One read command. `keys` is for redis-py's client-side caching, which asks for it."""
    try:
        return await _execute(client, key, (command, key, *args), keys=[key])
    except ResponseError as error:
        raise_reply(error, key, command)


async def run(client: Any, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...]) -> Any:
    """One call of a script; a second one, with its source, when the server does not know it."""
    try:
        return await _execute(client, keys[0], script.by_digest(keys, args))
    except NoScriptError:
        return await _execute(client, keys[0], script.by_source(keys, args))


async def run_replicated(
    client: Any, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...], min_replicas: int
) -> tuple[Any, Any]:
    """The same, and what WAIT says of it, which has to come from the connection that wrote."""
    try:
        reply, replicas = await routed(client, keys[0], script.by_digest(keys, args), min_replicas=min_replicas)
    except NoScriptError:
        reply, replicas = await routed(client, keys[0], script.by_source(keys, args), min_replicas=min_replicas)
    return reply, replicas


def scan(client: Any, pattern: bytes) -> AsyncIterator[bytes]:
    """The keys that match, in bounded steps; on a cluster those of every primary. A key may come twice."""
    keys: AsyncIterator[bytes] = client.scan_iter(match=pattern, count=_SCAN_COUNT, **AS_BYTES)
    return keys
