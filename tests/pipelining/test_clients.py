"""Which clients the pipeline serves, and which go their own way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio
from pipelining.gate import Gate
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncSessionStore

TASKS = 20


async def use(ns: Any) -> None:
    assert await asyncio.gather(*(ns.set(f"s{n}", f"value {n}") for n in range(TASKS))) == [True] * TASKS
    assert await asyncio.gather(*(ns.get(f"s{n}") for n in range(TASKS))) == [f"value {n}" for n in range(TASKS)]
    assert sorted(await asyncio.gather(*(ns.incr("ids") for _ in range(TASKS)))) == list(range(1, TASKS + 1))


def pipelines(store: Any) -> list[Any]:
    return [pipeline for pipelines in store._commands._pipelines.values() for pipeline in pipelines.values()]


@pytest.mark.parametrize("options", [{}, {"protocol": 3, "decode_responses": True}], ids=["resp2", "resp3-str"])
async def test_a_client_in_memory(options: dict[str, Any]) -> None:
    client = AsyncInMemoryClient(**options)
    store = AsyncSessionStore(client, prefix="p", default_ttl=60)
    await use(store.namespace("n"))
    assert len(pipelines(store)) == 1
    await client.aclose()


class Telling(redis.asyncio.Redis):
    """A client of somebody who wants to know of every command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.told: list[str] = []

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.told.append(args[0])
        return await super().execute_command(*args, **options)


async def test_a_client_that_overrides_execute_command(gate: Gate, store_of: Any) -> None:
    """It is told of every command."""
    async with Telling(port=gate.port) as client:
        store = store_of(client)
        await use(store.namespace("n"))
        assert pipelines(store) == []
        assert client.told.count("GET") == TASKS
        assert client.told.count("EVALSHA") == 2 * TASKS
        assert {len(write) for write in gate.writes} == {1}


async def test_a_client_whose_execute_command_is_wrapped(
    gate: Gate, store_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the object, or on the class, as tracing does it, before the store is made or after."""
    told: list[str] = []
    for on_the_class in (False, True):
        async with redis.asyncio.Redis(port=gate.port) as client:
            store = store_of(client)
            original = redis.asyncio.Redis.execute_command

            async def wrapped(self: Any, *args: Any, original: Any = original, **options: Any) -> Any:
                told.append(args[0])
                return await original(self, *args, **options)

            with monkeypatch.context() as patch:
                if on_the_class:
                    patch.setattr(redis.asyncio.Redis, "execute_command", wrapped)
                else:
                    patch.setattr(client, "execute_command", wrapped.__get__(client))
                told.clear()
                await use(store.namespace(f"n{on_the_class}"))
                assert told.count("GET") == TASKS
                assert pipelines(store) == []
            assert await store.namespace("n").get("x") is None  # it is not wrapped any more
            assert len(pipelines(store)) == 1


@pytest.mark.parametrize("initialized", [True, False])
async def test_a_client_of_one_connection(gate: Gate, store_of: Any, *, initialized: bool) -> None:
    """It has one, for all that is sent; also when the store's first call is its first command."""
    client = redis.asyncio.Redis(port=gate.port, single_connection_client=True)
    if initialized:
        await client.initialize()
    store = store_of(client)
    await use(store.namespace("n"))
    await client.ping()
    assert pipelines(store) == []
    assert gate.connections == 1
    await client.aclose()


async def test_two_stores_share_a_client(server: Server, client_of: Any, store_of: Any) -> None:
    """Each has a pipeline of its own."""
    client = client_of(server.port, max_connections=2)
    stores = [store_of(client) for _ in range(2)]
    await asyncio.gather(*(use(store.namespace(f"n{number}")) for number, store in enumerate(stores)))
    assert [len(pipelines(store)) for store in stores] == [1, 1]
    assert pipelines(stores[0]) != pipelines(stores[1])
