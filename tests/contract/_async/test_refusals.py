"""What the server refuses passes through as redis-py's error, and leaves nothing half-done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from support.servers import Server

from session_store import AsyncNamespace, AsyncSessionStore


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


async def read_unwatched(snap: Any, ops: Any) -> Any:
    return await snap.get("unwatched")


REFUSED = {
    "get": [lambda ns: ns.get("s"), lambda ns: ns.with_cas("s", write), lambda ns: ns.with_cas("h", read_unwatched)],
    "evalsha": [lambda ns: ns.set("s", "1"), lambda ns: ns.with_cas("h", write)],
    "type": [lambda ns: ns.set("s", "1"), lambda ns: ns.with_cas("h", write)],
    "hmget": [lambda ns: ns.set("s", "1"), lambda ns: ns.with_cas("h", write)],
    "hgetall": [lambda ns: ns.with_cas("old", write)],
    "hset": [lambda ns: ns.hset("h", "f", "1"), lambda ns: ns.with_cas("h", write)],
    "set": [lambda ns: ns.set("s", "1")],
}


@pytest.mark.parametrize("forbidden", REFUSED)
async def test_what_a_user_may_not_do_is_redis_pys_error(limited: Any, forbidden: str) -> None:
    """At a read, a write, or any step of a commit; the connection goes on to serve."""
    everything = await limited()
    await everything.hset("old", "f", "1")
    await everything.set("s", "0")
    ns = await limited(forbidden)
    for call in REFUSED[forbidden]:
        with pytest.raises(redis.asyncio.ResponseError, match=r"permission|can't run this command"):
            await call(ns)
        assert await ns.exists("h") is False
    assert ns._commands.client.connection_pool._in_use_connections == set()
    await limited()
    assert await everything.get("s") == "0"


@pytest.mark.parametrize("forbidden", [("dump",), ("object",), ("dump", "object"), ("watch", "multi", "exec")])
async def test_a_commit_does_without_some_rights(limited: Any, admin: Any, forbidden: tuple[str, ...]) -> None:
    """Where DUMP is refused, contents are compared at their length: slower, and the same promise."""
    ns = await limited(*forbidden)
    await ns.set("s", "0")
    await ns.hset("h", mapping={"f": "0", "long": "x" * 70_000})
    await admin.rpush(ns.key("list"), "1")
    await admin.expire(ns.key("list"), 60)
    runs: list[str] = []
    changes = [
        lambda: ns.set("s", "1"),
        lambda: ns.hset("h", "f", "1"),
        lambda: admin.rpush(ns.key("list"), "2"),
        lambda: ns.set("s", "1"),  # as it is
    ]

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(f"{await snap.get('s')} {await snap.hget('h', 'f')}")
        await changes[len(runs) - 1]()
        ops.set("n", "1")

    await ns.with_cas(["s", "h", "list", "none"], fn)
    assert runs == ["0 0", "1 0", "1 1", "1 1"]
    assert await ns.get("n") == "1"


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
