"""Which clients a command may pass by, on the shortest way: to a connection of their pool.

A client whose `execute_command` is redis-py's own does nothing with a command that we do not do as well. Any other is
called for each: somebody traces commands, rewrites or routes them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import redis.asyncio

ENABLED = True  # False: every command goes through its client


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function, if it is what a module of redis-py defines; None where tracing, say, has replaced it."""
    if (
        isinstance(function, FunctionType)
        and function.__module__.partition(".")[0] == "redis"
        and function.__globals__["__name__"] == function.__module__
    ):
        code = function.__code__
        if code.co_name == function.__name__ and not hasattr(function, "__wrapped__"):
            return function
    return None


_EXECUTE = unwrapped(redis.asyncio.Redis.execute_command)
_EXECUTE_IN_CLUSTER = unwrapped(redis.asyncio.RedisCluster.execute_command)


def _is_method(method: object, function: object) -> bool:
    """Whether a method is a function of redis-py; what somebody has put around it may say so, but is of another type."""
    return type(method) is MethodType and method.__func__ is function


def is_plain(client: Any) -> bool:
    """Whether it is redis-py's own client of one server, without a cache, and free to use any of its connections."""
    return (
        ENABLED
        and _is_method(client.execute_command, _EXECUTE)
        and client.connection is None
        and not client.single_connection_client  # async only: its connection is taken when it is first used
        and getattr(client.connection_pool, "cache", None) is None
    )


def is_plain_cluster(client: Any) -> bool:
    """Whether it is redis-py's own client of a cluster."""
    return (
        ENABLED
        and _is_method(client.execute_command, _EXECUTE_IN_CLUSTER)
        and not client.read_from_replicas  # async only: it knows which node a read goes to
        and client.load_balancing_strategy is None  # async only
    )
