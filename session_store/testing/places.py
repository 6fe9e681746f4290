"""Where the data of one test lives: in memory, or under a prefix of its own on a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from uuid import uuid4

import redis
import redis.asyncio

from session_store._sync.commands import scan
from session_store.testing.loops import PoolPerLoop

_STEP = 1000  # keys that are removed together
_CHECK_SECONDS = 5


class Clients(NamedTuple):
    """The clients of one test."""

    prefix: str
    client: Any
    async_client: Any


def _in_memory_only(method: str, *_: object, **__: object) -> None:
    raise NotImplementedError(
        f"{method} is for clients in memory: nothing like it can be done to a real server. Run this test without "
        "--session-store-url; while that is given, skip it (isinstance(client, InMemoryClient) tells), or wait for a short TTL"
    )


def _say_so(client: Any) -> None:
    """Lets a server's client say what it does not have, where a test was written for one in memory."""
    for method in ("advance", "simulate_concurrent_change", "sibling"):
        setattr(client, method, partial(_in_memory_only, method))


@contextmanager
def in_memory() -> Iterator[Clients]:
    """A fresh server in memory. Raises `ImportError` where the extra `testing` is missing."""
    from session_store.testing import AsyncInMemoryClient, InMemoryClient

    client = InMemoryClient()
    async_client = AsyncInMemoryClient(server=client.server)
    with _loop_by_loop(async_client, lambda: AsyncInMemoryClient(server=client.server)), client:
        yield Clients("test", client, async_client)


@contextmanager
def on_server(url: str) -> Iterator[Clients]:
    """A server, on which every key of a new prefix is removed afterwards, and nothing else is touched."""
    prefix = f"pytest-{uuid4().hex[:12]}"  # not from `random`: that may be seeded alike in every test process
    async_client = redis.asyncio.Redis.from_url(url)
    with redis.Redis.from_url(url) as client, ExitStack() as afterwards:
        _say_so(client)
        _say_so(async_client)
        afterwards.callback(remove, client, prefix)
        afterwards.enter_context(_loop_by_loop(async_client, lambda: redis.asyncio.Redis.from_url(url)))
        yield Clients(prefix, client, async_client)


@contextmanager
def _loop_by_loop(client: Any, make_another: Any) -> Iterator[None]:
    """Lets every event loop use an async client, and closes its connections."""
    client.connection_pool = pool = PoolPerLoop(lambda: make_another().connection_pool)
    try:
        yield
    finally:
        pool.close()


def remove(client: Any, prefix: str) -> None:
    """Removes every key under a prefix: SCAN in steps of 1,000, and one UNLINK for each 1,000 keys found."""
    keys = scan(client, f"{prefix}:*".encode())
    while batch := list(islice(keys, _STEP)):
        client.unlink(*batch)


def refusal(url: str) -> str | None:
    """Why tests cannot run on a server, in one line without its password, or None. Sends a PING."""
    at_most = {"socket_connect_timeout": _CHECK_SECONDS, "socket_timeout": _CHECK_SECONDS}
    try:
        with redis.Redis.from_url(url, retry=None, **at_most) as client:
            client.ping()
    except (ValueError, TypeError):  # their text may hold a part of the URL
        return f"{shown(url)} must be a URL that redis.Redis.from_url takes: redis://, rediss:// or unix://"
    except (redis.RedisError, OSError) as error:
        return f"no Redis server to use at {shown(url)}: {' '.join(str(error).split())}"
    return None


def shown(url: str) -> str:
    """A URL without its user and passwords."""
    return re.sub(r"(password=)[^&]*", r"\1***", re.sub("(?<=//).*@", "***@", url))
