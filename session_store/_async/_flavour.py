"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import TimeoutError

from session_store._core.arguments import kind_of

T = TypeVar("T")

Cluster = redis.asyncio.RedisCluster
_PIPELINES = (redis.asyncio.client.Pipeline, redis.asyncio.cluster.ClusterPipeline)
_SEND = redis.asyncio.connection.AbstractConnection.send_packed_command
sleep = asyncio.sleep


class Waiter:
    """How a task that waits in a queue is woken (see `Queues`)."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    async def wait(self, seconds: float) -> None:
        """Waits until it is woken, for so long at most."""
        await asyncio.wait([self._future], timeout=seconds)

    def wake(self) -> bool:
        try:  # from the thread of another loop, perhaps
            self._loop.call_soon_threadsafe(self._end)
        except RuntimeError:  # the waiter's loop is closed
            return False
        return True

    def _end(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


async def to_the_end(step: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
    """What a step gives that is to be done though the task is being cancelled, within so many seconds.

    Cancelling it again changes nothing: whoever has the task's exception raises that. Raises `TimeoutError`.
    """
    task = asyncio.get_running_loop().create_task(step())
    deadline = asyncio.get_running_loop().time() + seconds
    while not task.done():
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            task.add_done_callback(_pass_over)
            task.cancel()
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=left)
    return task.result()


def _pass_over(task: asyncio.Task[Any]) -> None:
    """Whatever comes of a task now is too late; asyncio would tell of an error that nobody has looked at."""
    if not task.cancelled():
        task.exception()


async def gathered(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """What calls give that may be made at the same time."""
    return list(await asyncio.gather(*(call() for call in calls)))


async def send(connection: Any, data: list[bytes]) -> None:
    """Sends what is packed already.

    redis-py sends in a task of its own where there is a `socket_timeout`, and before Python 3.12 that way loses a
    cancellation that comes as the data has gone: a call that waits for a lock would wait on. So only what the socket does
    not take at once is left to it.
    """
    if type(connection).send_packed_command is _SEND:
        if connection.health_check_interval:
            await connection.check_health()  # which may connect anew
        writer = connection._writer  # noqa: SLF001  # all that is public sends in a task
        if type(writer) is asyncio.StreamWriter:
            writer.writelines(data)
            if not writer.transport.get_write_buffer_size():
                return
            data = []
    await connection.send_packed_command(data)


async def close(connection: Any) -> None:
    """Closes a connection, which neither waits nor takes the place of an error that is on its way."""
    with suppress(Exception):
        await connection.disconnect(nowait=True)


def check_closure(fn: Callable[..., Any], form: str = "fn(snap, ops)") -> None:
    """A closure of this flavour is a coroutine function."""
    if not (callable(fn) and (inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__))):
        raise TypeError(f"fn must be an async function, async def {form}, got {_closure_kind(fn)}")


def _closure_kind(fn: object) -> str:
    if inspect.isasyncgenfunction(fn):
        return "an async generator: it must not yield"
    if getattr(fn, "__name__", "") == "<lambda>":
        return "a lambda, which cannot be async: give the async function itself, or functools.partial(function, ...)"
    return "a function that is not async" if callable(fn) else kind_of(fn)


def check_result(result: object) -> None:
    """Nothing to check: the result has been awaited."""


def check_client(client: object) -> bool:
    """Whether this client is a cluster's; a client of another kind is a `TypeError`."""
    if not isinstance(client, _PIPELINES):  # which redis-py derives from its clients
        if isinstance(client, Cluster):
            return True
        if isinstance(client, redis.asyncio.Redis):
            return False
    got = kind_of(client)
    if isinstance(client, (redis.Redis, redis.RedisCluster)):
        got = f"a sync {got}, which is for SessionStore"
    raise TypeError(
        "client must be a redis.asyncio.Redis (also a Sentinel master), a redis.asyncio.RedisCluster or an "
        f"AsyncInMemoryClient, got {got}"
    )


class _NodePool:
    """The connections of a cluster's node, with the methods of a pool."""

    def __init__(self, node: ClusterNode) -> None:
        self._node = node
        self.name = node.name
        self.connection_kwargs = node.connection_kwargs

    async def get_connection(self) -> Any:
        connection = self._node.acquire_connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        except BaseException:
            self._node.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        self._node.release(connection)


async def ready(client: Any) -> None:
    """Lets a cluster's client read the topology: redis-py's fails where several tasks are its first users."""
    if isinstance(client, Cluster):
        await client.initialize()


async def pool_of(client: Any, key: bytes, named: tuple[str, int] | None) -> Any:
    """The pool to take a connection from that reaches the server of a key, or the node that a cluster named.

    None for a node that the client does not know.
    """
    if not isinstance(client, Cluster):
        return client.connection_pool
    await ready(client)
    node = client.get_node(*named) if named else client.get_node_from_key(key)  # type: ignore[arg-type]  # bytes will do
    return None if node is None else _NodePool(node)
