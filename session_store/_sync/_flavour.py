"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

import redis

from session_store._core.arguments import kind_of
from session_store._core.wrapping import unwrapped

Cluster = redis.RedisCluster
_PIPELINES = (redis.client.Pipeline, redis.cluster.ClusterPipeline)
_EXECUTE = unwrapped(redis.Redis.execute_command)
Lock = threading.Lock
_NOT_PLAIN = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
sleep = time.sleep


class Waiter:
    """A place in a line (see `Lines`)."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock: threading.Lock | None = None

    def prepare(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> None:
        """Waits until it is woken, for so long at most."""
        if self._lock is not None:
            self._lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))

    def wake(self) -> bool:
        if self._lock is not None:
            self._lock.release()
        return True


def to_the_end(step: Callable[[], None]) -> None:
    """Runs a step; nothing can be cancelled here."""
    step()


def check_closure(fn: Callable[..., Any]) -> None:
    """A closure of this flavour is a plain function."""
    if not callable(fn):
        raise TypeError(f"fn must be a function: def fn(snap, ops), got {kind_of(fn)}")
    if isinstance(fn, FunctionType) and not fn.__code__.co_flags & _NOT_PLAIN:
        return  # the usual case, decided fast
    for part in (fn, type(fn).__call__):
        if inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part) or inspect.isgeneratorfunction(part):
            raise TypeError(
                "fn must be a plain function: def fn(snap, ops), neither async (an AsyncSessionStore takes those) nor a "
                "generator"
            )


def check_result(result: object) -> None:
    """A function that returns something to await has not run."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("fn returned an awaitable: give async functions to an AsyncSessionStore")


def check_client(client: object) -> bool:
    """Whether this client is a cluster's; a client of another kind is a `TypeError`."""
    if not isinstance(client, _PIPELINES):  # which redis-py derives from its clients
        if isinstance(client, Cluster):
            return True
        if isinstance(client, redis.Redis):
            return False
    got = kind_of(client)
    if isinstance(client, (redis.asyncio.Redis, redis.asyncio.RedisCluster)):
        got = f"an async {got}, which is for AsyncSessionStore"
    raise TypeError(
        f"client must be a redis.Redis (also a Sentinel master), a redis.RedisCluster or an InMemoryClient, got {got}"
    )


def is_plain(client: Any) -> bool:
    """Whether a client does with a command what redis-py's own does, without a cache and to any of its connections.

    Others are called: somebody wants to know of every command, to trace it for example, or to do it differently.
    """
    return (
        getattr(client.execute_command, "__func__", None) is _EXECUTE
        and client.connection is None
        and getattr(client.connection_pool, "cache", None) is None
    )


def ready(client: Any) -> None:
    """Nothing to do: a cluster's client reads the topology when it is made."""


def pool_of(client: Any, key: bytes, named: tuple[str, int] | None) -> Any:
    """The pool to take a connection from that reaches the server of a key, or the node that a cluster named.

    None for a node that the client does not know.
    """
    if not isinstance(client, Cluster):
        return client.connection_pool
    node = client.get_node(*named) if named else client.get_node_from_key(key)  # type: ignore[no-untyped-call]  # redis-py's
    return None if node is None else client.get_redis_connection(node).connection_pool
