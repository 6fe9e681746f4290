"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.asyncio.cluster import ClusterNode

Cluster = redis.asyncio.RedisCluster
_PIPELINES = (redis.asyncio.client.Pipeline, redis.asyncio.cluster.ClusterPipeline)
Lock = asyncio.Lock
sleep = asyncio.sleep


async def to_the_end(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a step that must not stop half-way: cancelling the task waits for it, and takes effect after it."""
    task = asyncio.ensure_future(step())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():  # however often it is cancelled
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def check_closure(fn: Callable[..., Any]) -> None:
    """A closure of this flavour is a coroutine function."""
    if not (callable(fn) and (inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__))):
        raise TypeError("fn must be an async function: async def fn(snap, ops)")


def check_result(result: object) -> None:
    """Nothing to check: the result has been awaited."""


def check_client(client: object) -> bool:
    """Whether this client is a cluster's; a client of another kind is a `TypeError`."""
    if not isinstance(client, _PIPELINES):  # which redis-py derives from its clients
        if isinstance(client, Cluster):
            return True
        if isinstance(client, redis.asyncio.Redis):
            return False
    raise TypeError(
        "client must be a redis.asyncio.Redis (also a Sentinel master), a redis.asyncio.RedisCluster or an "
        f"AsyncInMemoryClient, got {type(client).__name__}"
    )


class _NodePool:
    """The connections of a cluster's node, with the methods of a pool."""

    def __init__(self, node: ClusterNode) -> None:
        self._node = node

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
