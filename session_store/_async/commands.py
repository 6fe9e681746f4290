"""Single commands: the client finds the server, and says how often they are sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NoReturn

from redis.client import NEVER_DECODE
from redis.exceptions import ClusterError, NoScriptError, ResponseError

from session_store._async._flavour import Cluster, gathered, pool_of, ready
from session_store._async.connection import exchange, normalized, when_free
from session_store._async.fast_path import is_plain, is_plain_cluster
from session_store._async.routing import routed
from session_store._core.replication import wait_command
from session_store._core.replies import checked, read_reply
from session_store._core.scripts import NAME, REWRITE, Script, ScriptCall
from session_store.errors import WrongTypeError

# Replies as bytes, whatever the client's decode_responses: its decoding could fail on what others wrote.
AS_BYTES = {NEVER_DECODE: True}
_SCAN_COUNT = 1000  # keys that a SCAN looks at per step


def raise_reply(error: Exception, key: bytes, command: str) -> NoReturn:
    """Raises what an error reply to a read stands for."""
    if "WRONGTYPE " in str(error):  # Redis 6.2 puts the line of the script before it
        raise WrongTypeError(key.decode(), command.lower()) from error
    raise error


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
            return await when_free(lambda: client.execute_command(*command, **options, **AS_BYTES))
        except ResponseError as error:
            raise normalized(error) from None
        except ClusterError:
            # Redirections without an end, and executed nowhere: redis-py's async client says ASKING on one connection of its
            # pool, and sends the command on another one.
            pass
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

    async def run_each(self, script: Script, calls: list[ScriptCall]) -> list[Any]:
        """Several calls of a script that may be applied twice, in one pipeline; again those that did not know it."""
        replies = await self.pipelined([script.by_digest(*call) for call in calls])
        unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = await self.pipelined([script.by_source(*calls[number]) for number in unknown])
        for number, reply in zip(unknown, again, strict=True):
            replies[number] = reply
        return checked(replies)

    async def pipelined(self, commands: list[tuple[object, ...]]) -> list[Any]:
        """The replies to commands that each begin with a name and a key, errors in place. They travel together.

        A client that wants to know of every command is given one by one: a pipeline of redis-py does not call it.
        """
        if not commands:
            return []
        await ready(self.client)
        if not (is_plain(self.client) or is_plain_cluster(self.client)):
            return await gathered([partial(self._reply, command) for command in commands])
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **AS_BYTES)
        replies: list[Any] = await when_free(lambda: pipeline.execute(raise_on_error=False))
        return replies

    async def _reply(self, command: tuple[object, ...]) -> Any:
        try:
            return read_reply(str(command[0]), await self._execute(_key_of(command), command))
        except ResponseError as error:
            return error

    async def run_replicated(
        self, script: Script, keys: tuple[bytes, ...], args: tuple[object, ...], proof: tuple[bytes, bytes], least: int
    ) -> tuple[Any, Any]:
        """A script call's reply, and what WAIT says of how many replicas have it.

        WAIT has to come from the connection that wrote. `proof`: a field of the index, and a text that it holds once the
        call was applied. By it a client that is called for every command is served, which sends each by any connection:
        once it has answered, a connection of ours writes to the same index again, if the field says so, and waits.
        """
        client, (key, *_) = self.client, keys
        if is_plain(client) or is_plain_cluster(client):
            try:
                reply, replicas = await self._waited(script.by_digest(keys, args), key, least)
            except NoScriptError:
                reply, replicas = await self._waited(script.by_source(keys, args), key, least)
            return reply, replicas
        reply = await self.run(script, keys, args)
        key = await self.run(NAME, (key,), ())  # under the name that a client which rewrites keys has given it
        written, replicas = await self._waited(REWRITE.by_source((key,), proof), key, least)
        return reply, replicas if written else 0

    async def _waited(self, command: tuple[object, ...], key: bytes, least: int) -> list[Any]:
        pool = await pool_of(self.client, key, None)
        timeout = getattr(pool, "connection_kwargs", {}).get("socket_timeout")
        return await routed(self.client, key, command, wait_command(least, timeout))


def _key_of(command: tuple[object, ...]) -> bytes:
    """The first key of a command."""
    key = command[3 if command[0] in ("EVAL", "EVALSHA") else 1]
    return key if isinstance(key, bytes) else b""


def scan(client: Any, pattern: bytes) -> AsyncIterator[bytes]:
    """The keys that match, in bounded steps; on a cluster those of every primary. A key may come twice."""
    keys: AsyncIterator[bytes] = client.scan_iter(match=pattern, count=_SCAN_COUNT, **AS_BYTES)
    return keys
