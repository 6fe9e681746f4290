"""Single commands: the client finds the server, and says how often they are sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from hiredis import pack_command
from redis.client import NEVER_DECODE
from redis.exceptions import ClusterError, NoScriptError, ResponseError

from session_store._async._flavour import Cluster, is_plain, ready
from session_store._async.connection import typed
from session_store._async.routing import routed
from session_store._core.operations import Call
from session_store._core.replies import checked, read_reply
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


async def exchange(pool: Any, command: tuple[object, ...], met: Exception | None = None) -> Any:
    """The reply to a command, as the client would get it, on the shortest way.

    `met`: what a first attempt has met already.
    """
    data = [pack_command(command)]  # type: ignore[arg-type]  # it takes what redis-py takes
    connection = await pool.get_connection()
    whole = False

    async def send() -> Any:
        nonlocal met
        if met is not None:
            error, met = met, None
            raise error
        await connection.send_packed_command(data)
        return await connection.read_response(disable_decoding=True)

    async def close(error: Exception) -> None:
        await connection.disconnect()

    try:
        reply = await connection.retry.call_with_retry(send, close)
        whole = True
        return reply
    except ResponseError as error:
        whole = True
        raise typed(error) from None
    finally:
        try:
            if not whole:  # a reply may be on its way
                await connection.disconnect()
        finally:
            await pool.release(connection)


class AsyncCommands:
    """The commands of one store, on their way through its client."""

    __slots__ = ("client",)

    def __init__(self, client: Any) -> None:
        self.client = client

    async def _execute(self, key: bytes, command: tuple[object, ...], **options: Any) -> Any:
        client = self.client
        if is_plain(client):
            return await exchange(client.connection_pool, command)
        await ready(client)
        try:
            return await client.execute_command(*command, **options, **AS_BYTES)
        except ResponseError as error:
            raise typed(error) from None
        except (
            ClusterError
        ):  # sent to and fro, executed nowhere: redis-py's async client says ASKING on one connection of
            pass  # its pool, and sends the command on another one
        except AttributeError:  # see `closed_by_others`; it may have been executed, and is then recognised by its token
            if not isinstance(client, Cluster):
                raise
        (reply,) = await routed(client, key, command)
        return reply

    async def read(self, command: str, key: bytes, *args: Any) -> Any:
        """One read command. `keys` is for redis-py's client-side caching, which asks for it."""
        try:
            return read_reply(command, await self._execute(key, (command, key, *args), keys=[key]))
        except ResponseError as error:
            raise_reply(error, key, command)

    async def run(self, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...]) -> Any:
        """One call of a script; a second one, with its source, when the server does not know it."""
        try:
            return await self._execute(keys[0], script.by_digest(keys, args))
        except NoScriptError:
            return await self._execute(keys[0], script.by_source(keys, args))

    async def run_each(self, script: Script, calls: list[Call]) -> list[Any]:
        """Several calls of a script that only reads, in one pipeline; in a second one those that did not know it."""
        replies = await self.pipelined([script.by_digest(*call) for call in calls])
        unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = await self.pipelined([script.by_source(*calls[number]) for number in unknown])
        for number, reply in zip(unknown, again, strict=True):
            replies[number] = reply
        return checked(replies)

    async def pipelined(self, commands: list[tuple[object, ...]]) -> list[Any]:
        """The replies to commands that travel together, errors in place."""
        if not commands:
            return []
        await ready(self.client)
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **AS_BYTES)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def run_replicated(
        self, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...], min_replicas: int
    ) -> tuple[Any, Any]:
        """The same, and what WAIT says of it, which has to come from the connection that wrote."""
        by_digest, by_source = script.by_digest(keys, args), script.by_source(keys, args)
        try:
            reply, replicas = await routed(self.client, keys[0], by_digest, min_replicas=min_replicas)
        except NoScriptError:
            reply, replicas = await routed(self.client, keys[0], by_source, min_replicas=min_replicas)
        return reply, replicas


def scan(client: Any, pattern: bytes) -> AsyncIterator[bytes]:
    """The keys that match, in bounded steps; on a cluster those of every primary. A key may come twice."""
    keys: AsyncIterator[bytes] = client.scan_iter(match=pattern, count=_SCAN_COUNT, **AS_BYTES)
    return keys
