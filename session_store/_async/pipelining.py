"""Auto-pipelining: calls of concurrent tasks travel together (async only). While some travel, the next ones gather."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import math
from collections import deque
from contextlib import nullcontext
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import redis
from hiredis import pack_command
from redis.exceptions import AskError, ResponseError, TryAgainError

from session_store._async._flavour import close, pool_of, send
from session_store._async.commands import AsyncCommands
from session_store._async.connection import closed_by_others, exchange, normalized, when_free
from session_store._async.fast_path import is_plain, is_plain_cluster
from session_store._async.reply_timeout import ReplyTimeout
from session_store._async.routing import ASTRAY, routed

# redis-py's way to say that reading a reply has no timeout of its own, from the version on where it costs nothing.
_UNTIMED = {"timeout": math.inf} if tuple(map(int, redis.__version__.split(".")[:2])) >= (8, 1) else {}
_MOST_CALLS, _MOST_BYTES = 1_000, 4_194_304  # that gather; further callers wait
_BATCH_CALLS, _BATCH_BYTES = 500, 262_144  # that travel together


class _Request(NamedTuple):
    packed: bytes
    reply: asyncio.Future[Any]

    def __repr__(self) -> str:
        return f"_Request({len(self.packed)} bytes, ...)"  # keys and values are nobody's business


class _Blocked(NamedTuple):
    """A caller that waits because too many calls have gathered already."""

    admitted: asyncio.Future[None]
    size: int  # bytes


class _Pipeline:
    """The calls of one event loop to one server.

    A call that finds nobody on the way goes at once, by itself. Those that come meanwhile gather, and a task sends them
    for as long as there are any, batch by batch, each on a connection that is taken from the pool for it: so others who
    want one have their turn. A call whose task was cancelled before it was sent is not sent.
    """

    __slots__ = ("_alone", "_bytes", "_calls", "_resuming", "_sender", "_waiting", "pool")

    def __init__(self) -> None:
        self.pool: Any = None
        self._calls: deque[_Request] = deque()
        self._bytes = 0  # of these, and of those whose callers are about to resume
        self._waiting: deque[_Blocked] = deque()
        self._resuming = 0  # callers that were admitted from the queue, and have not resumed yet
        self._alone = False  # a call is on its way by itself
        self._sender: asyncio.Task[None] | None = None

    async def call(self, command: tuple[object, ...], loop: asyncio.AbstractEventLoop) -> Any:
        """The reply to a command. Raises what the pool, the connection or the server raised, for this call alone."""
        if self._sender is None and not self._alone:
            self._alone = True
            try:
                return await exchange(self.pool, command)
            finally:
                self._alone = False
                self._start_sender(loop)
        packed = pack_command(command)  # type: ignore[arg-type]  # it takes what redis-py takes
        if self._waiting or self._resuming or not self._has_room():
            await self._wait_for_room(_Blocked(loop.create_future(), len(packed)))
        reply = loop.create_future()
        self._calls.append(_Request(packed, reply))
        self._bytes += len(packed)
        self._start_sender(loop)
        try:
            return await reply
        except ResponseError as error:
            if not isinstance(error, _retried_by(self.pool)):
                raise
            met = error
        return await exchange(self.pool, command, met)

    def _has_room(self) -> bool:
        return len(self._calls) + self._resuming < _MOST_CALLS and self._bytes < _MOST_BYTES

    async def _wait_for_room(self, caller: _Blocked) -> None:
        self._waiting.append(caller)
        try:
            await caller.admitted
        except asyncio.CancelledError:
            if not caller.admitted.cancelled():  # it was admitted, and will not call: the next one is admitted instead
                self._resumed(caller)
                self._admit()
            raise
        self._resumed(caller)

    def _resumed(self, caller: _Blocked) -> None:
        self._resuming -= 1
        self._bytes -= caller.size

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            caller = self._waiting.popleft()
            if not caller.admitted.done():
                self._resuming += 1
                self._bytes += caller.size
                caller.admitted.set_result(None)

    def _start_sender(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._calls and self._sender is None and not self._alone:
            # In a context of its own: that of the request that happened to be the first would live as long as the loop.
            context = contextvars.Context()
            self._sender = context.run(loop.create_task, self._send_all())
            self._sender.add_done_callback(self._ended, context=context)

    def _ended(self, sender: asyncio.Task[None]) -> None:
        """A sender that was cancelled, as all tasks are when the loop ends, perhaps before it had begun.

        What has gathered is left to another one: tasks may still tidy up.
        """
        if self._sender is sender:
            self._sender = None
            for _ in range(len(self._calls)):
                call = self._calls.popleft()
                if call.reply.done():
                    self._bytes -= len(call.packed)
                else:
                    self._calls.append(call)
            self._admit()
            self._start_sender(sender.get_loop())

    async def _send_all(self) -> None:
        batch: deque[_Request] = deque()
        try:
            while self._calls:
                self._gather(batch)
                if batch:
                    await self._send(batch)
                if not self._calls:  # tasks whose replies have just come may call again at once
                    await asyncio.sleep(0)
            self._sender = None
        except asyncio.CancelledError:  # the loop ends
            for call in batch:
                call.reply.cancel()
            raise

    def _gather(self, batch: deque[_Request]) -> None:
        """Moves calls into a batch, and admits as many callers that wait."""
        size = 0
        while self._calls and len(batch) < _BATCH_CALLS and size < _BATCH_BYTES:
            call = self._calls.popleft()
            self._bytes -= len(call.packed)
            if not call.reply.done():
                batch.append(call)
                size += len(call.packed)
        self._admit()

    async def _send(self, batch: deque[_Request]) -> None:
        """Sends a batch until every call has its reply, or until the client's policy has it fail."""
        pool = self.pool  # `self.pool` may be another one when the connection goes back
        try:
            connection = await when_free(pool.get_connection)
            try:
                await self._exchange(connection, batch)
            finally:
                if batch:  # replies may be on their way
                    await close(connection)
                await pool.release(connection)
        except Exception as error:
            while batch:
                _fail(batch.popleft(), error)

    async def _exchange(self, connection: Any, batch: deque[_Request]) -> None:
        async def exchange() -> None:
            for _ in range(len(batch)):  # those whose tasks were cancelled are not sent, nor sent again
                call = batch.popleft()
                if not call.reply.done():
                    batch.append(call)
            if not batch:
                return
            try:
                await send(connection, [b"".join([call.packed for call in batch])])
                seconds = connection.socket_timeout if _UNTIMED else None
                async with nullcontext() if seconds is None else ReplyTimeout(batch, seconds):
                    await _read(connection, batch)
            except AttributeError as error:
                raise closed_by_others(error) from error

        await connection.retry.call_with_retry(exchange, lambda _: close(connection))


async def _read(connection: Any, batch: deque[_Request]) -> None:
    while batch:
        try:
            reply = await connection.read_response(disable_decoding=True, **_UNTIMED)
        except ResponseError as error:  # noqa: PERF203  # the error is this call's alone
            _fail(batch.popleft(), error)
        else:
            call = batch.popleft()
            if not call.reply.done():
                call.reply.set_result(reply)


def _fail(call: _Request, error: Exception) -> None:
    """An error of its own for each: they are raised, and so changed, in several tasks."""
    if not call.reply.done():
        try:
            again = copy.copy(error)
            again.__cause__ = error.__cause__
        except Exception:  # a class that copy.copy cannot copy
            again = error
        call.reply.set_exception(again)


def _retried_by(pool: Any) -> tuple[type[Exception], ...]:
    """Errors after which the client sends again."""
    settings = getattr(pool, "connection_kwargs", {})
    named = settings.get("retry_on_error") or ()
    return (*named, *getattr(settings.get("retry"), "_supported_errors", ()))  # nothing public tells


class PipeliningCommands(AsyncCommands):
    """Commands that travel in pipelines: one for each event loop, and in a cluster for each node."""

    __slots__ = ("_pipelines",)

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._pipelines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Pipeline]] = WeakKeyDictionary()

    def _pipeline(self, name: str, pool: Any, loop: asyncio.AbstractEventLoop) -> _Pipeline:
        pipelines = self._pipelines.get(loop)
        if pipelines is None:
            pipelines = self._pipelines[loop] = {}
        pipeline = pipelines.get(name)
        if pipeline is None:
            pipeline = pipelines[name] = _Pipeline()
        pipeline.pool = pool
        return pipeline

    async def _execute(self, key: bytes, command: tuple[object, ...], **options: Any) -> Any:
        client = self.client
        loop = asyncio.get_running_loop()
        if is_plain(client):
            try:
                return await self._pipeline("", client.connection_pool, loop).call(command, loop)
            except ResponseError as error:
                raise normalized(error) from None
        elif is_plain_cluster(client):
            try:
                pool = await pool_of(client, key, None)
                return await self._pipeline(pool.name, pool, loop).call(command, loop)
            except (*ASTRAY, AttributeError) as error:
                # redis-py's async client announces itself (ASKING) on one connection of its pool and calls on another one:
                # several calls at once would go to and fro. All but these two it knows better.
                if type(error) in (AskError, TryAgainError):
                    named = (error.host, error.port) if isinstance(error, AskError) else None
                    (reply,) = await routed(client, key, command, named=named)
                    return reply
            except ResponseError as error:
                raise normalized(error) from None
        return await super()._execute(key, command, **options)
