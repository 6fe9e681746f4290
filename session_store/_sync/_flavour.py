"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import FunctionType
from typing import Any, TypeVar

import redis

from session_store._core.arguments import kind_of

T = TypeVar("T")

Cluster = redis.RedisCluster
_PIPELINES = (redis.client.Pipeline, redis.cluster.ClusterPipeline)
_NOT_PLAIN = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
sleep = time.sleep


class Waiter:
    """How a thread that waits in a queue is woken (see `Queues`)."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> None:
        """Waits until it is woken, for so long at most."""
        self._lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))

    def wake(self) -> bool:
        self._lock.release()  # once: whoever is woken is the first, and stays it
        return True


def to_the_end(step: Callable[[], T], seconds: float) -> T:
    """What a step gives that is to be done though the call was struck, within so many seconds. Raises `TimeoutError`.

    It has a thread of its own: a client may wait for a server that stands still for longer, or for ever.
    """
    done: Future[T] = Future()

    def do() -> None:
        try:
            done.set_result(step())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(do,), daemon=True).start()
    return done.result(seconds)


def gathered(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What calls give, one after the other."""
    return [call() for call in calls]


def send(connection: Any, data: list[bytes]) -> None:
    """Sends what is packed already."""
    connection.send_packed_command(data)


def close(connection: Any) -> None:
    """Closes a connection, which does not take the place of an error that is on its way."""
    with suppress(Exception):
        connection.disconnect()


def check_closure(fn: Callable[..., Any], form: str = "fn(snap, ops)") -> None:
    """A closure of this flavour is a plain function."""
    if not callable(fn):
        raise TypeError(f"fn must be a function: def {form}, got {kind_of(fn)}")
    if isinstance(fn, FunctionType) and not fn.__code__.co_flags & _NOT_PLAIN:
        return  # the usual case, decided fast
    for part in (fn, type(fn).__call__):
        if inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part) or inspect.isgeneratorfunction(part):
            raise TypeError(
                f"fn must be a plain function: def {form}, neither async (an AsyncSessionStore takes those) nor a "
                "generator"
            )


def check_result(result: object) -> None:
    """A function that returns something to await has not run."""
    if result is not None and inspect.isawaitable(result):
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
