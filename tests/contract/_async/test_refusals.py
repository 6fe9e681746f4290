"""What the server refuses passes through as redis-py's error, and leaves nothing half-done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from support.servers import Server

from session_store import AsyncNamespace, AsyncSessionStore
from session_store._async.routing import AsyncRoute


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[Any]:
    async with redis.asyncio.Redis(port=server.port) as admin:
        yield admin


@pytest.fixture
async def limited(admin: Any, server: Server, prefix: str) -> AsyncIterator[Any]:
    """A function that gives a namespace, for a user of the server who may do all but what is named."""
    clients = []
    name = prefix

    async def limited(*forbidden: str) -> AsyncNamespace:
        rights = ["on", ">secret", "~*", "+@all", *(f"-{command}" for command in forbidden)]
        await admin.execute_command("ACL", "SETUSER", name, "reset", *rights)
        client = redis.asyncio.Redis(port=server.port, username=name, password="secret")
        clients.append(client)
        return AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("u")

    yield limited
    for client in clients:
        await client.aclose()
    await admin.execute_command("ACL", "DELUSER", name)
    keys = [key async for key in admin.scan_iter(match=f"{prefix}:*")]
    assert [key for key in keys if await admin.pttl(key) < 0] == []
    if keys:
        await admin.delete(*keys)


async def write(snap: Any, ops: Any) -> None:
    ops.hset("h", "f", "1")
    ops.set("s", "1")


@pytest.mark.parametrize("forbidden", ["get", "evalsha", "watch", "exec", "hset", "set"])
async def test_what_a_user_may_not_do_is_redis_pys_error(limited: Any, forbidden: str) -> None:
    """At a read, a write, or any step of a commit; the connection goes on to serve."""
    ns = await limited(forbidden)
    calls = {
        "get": [lambda: ns.get("s"), lambda: ns.with_cas("h", read_unwatched)],
        "evalsha": [lambda: ns.set("s", "1"), lambda: ns.with_cas("h", write)],
        "hset": [lambda: ns.hset("h", "f", "1"), lambda: ns.with_cas("h", write)],
        "set": [lambda: ns.set("s", "1")],
    }
    for call in calls.get(forbidden, [lambda: ns.with_cas("h", write)]):
        with pytest.raises(redis.asyncio.ResponseError, match=r"permission|can't run this command"):
            await call()
        assert await ns.exists("h") is False
    assert ns._commands.client.connection_pool._in_use_connections == set()


async def read_unwatched(snap: Any, ops: Any) -> Any:
    return await snap.get("unwatched")


async def test_a_full_memory_is_redis_pys_error_and_nothing_is_written(admin: Any, limited: Any) -> None:
    ns = await limited()
    await ns.hset("h", "f", "0")
    await admin.config_set("maxmemory", "1")
    try:
        for call in (lambda: ns.hset("h", "f", "1"), lambda: ns.incr("id"), lambda: ns.with_cas("h", write)):
            with pytest.raises(redis.asyncio.ResponseError, match="maxmemory"):
                await call()
    finally:
        await admin.config_set("maxmemory", "0")
    assert await ns.hgetall("h") == {"f": "0"}
    assert await ns.slots() == ["h"]
    await ns.with_cas("h", write)
    assert await ns.slots() == ["h", "s"]


async def test_a_connection_that_was_given_back_is_not_used_any_more(limited: Any) -> None:
    """By nothing that a closure may have left behind."""
    ns = await limited()
    connection = await AsyncRoute(ns._commands.client, b"any").take()
    await connection.give_back()
    with pytest.raises(RuntimeError, match="end with the closure"):
        await connection.exchange(("PING",))
