"""Snapshots and what a server, others, and a way there that is bad do to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import OutOfMemoryError
from support.proxy import proxied
from support.servers import Server
from support.together import at_once

from session_store import AsyncSessionStore, JsonCodec, NamespacePurgedError, SessionStore
from session_store.snapshots import AsyncSnapshots, Snapshots

LARGE = "x" * 5_000_000


@pytest.mark.long
def test_saves_that_come_late(server: Server, prefix: str) -> None:
    """[S8] In 200 rounds, by four others who go on until they are refused: nothing is brought back."""
    with redis.Redis(port=server.port) as client, ThreadPoolExecutor(4) as threads:
        snapshots = Snapshots(SessionStore(client, prefix=prefix, default_ttl=60))

        def save_until_refused(name: str, barrier: threading.Barrier) -> int:
            barrier.wait(30)
            for tick in range(1_000):
                try:
                    snapshots.save(name, "late", owner="ann")
                except NamespacePurgedError:
                    return tick
            raise AssertionError("never refused")

        rounds = []
        for number in range(200):
            name, barrier = f"agent-{number}", threading.Barrier(5)
            others = [threads.submit(save_until_refused, name, barrier) for _ in range(4)]
            barrier.wait(30)
            snapshots.delete(name)
            rounds.append(sum(other.result() for other in others))
            assert not snapshots.exists(name)
        assert any(rounds)  # some were saved before


MERGING = """
import json, sys
import redis
from session_store import JsonCodec, SessionStore
from session_store.snapshots import RevisionConflictError, Snapshots

port, prefix, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with redis.Redis(port=port) as client:
    snapshots = Snapshots(SessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()))
    print("ready", flush=True)
    sys.stdin.readline()
    conflicts = 0
    for turn in range(50):
        while True:
            seen = snapshots.load("a")
            try:
                snapshots.save("a", [*(seen.value if seen else []), [name, turn]], expected=seen.revision if seen else 0)
                break
            except RevisionConflictError:
                conflicts += 1
    print(json.dumps(conflicts), flush=True)
"""


@pytest.mark.long
def test_processes_that_merge(server: Server, prefix: str) -> None:
    """[S24] Every turn of each is there once, in its order."""
    at_once(MERGING, server.port, prefix, processes=2)
    with redis.Redis(port=server.port) as client:
        loaded = Snapshots(SessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec())).load("a")
    assert loaded is not None
    turns: Any = loaded.value
    for name in ("0", "1"):
        assert [turn for of, turn in turns if of == name] == list(range(50))


@pytest.mark.parametrize("call", ["save", "load"])
async def test_a_large_one_delays_nobody(
    server: Server, prefix: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[S43] A hundred reads are answered while it is on its way, whose turn would come after it on its connection."""
    with proxied(server.port) as proxy:
        client = redis.asyncio.Redis(port=proxy.port)
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=60)
        snapshots, ns = AsyncSnapshots(store), store.namespace("other")
        await snapshots.save("a", LARGE)
        await ns.set("slot", "value")
        found, on_its_way = snapshots._found, asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(command: str) -> Any:
            return proxy.hold(command, then=lambda: loop.call_soon_threadsafe(on_its_way.set), cut=False)

        async def found_in_two_steps(extension: Any, most: object) -> Any:
            if most == "":
                held.append(hold("LOAD"))
            return await found(extension, most)

        monkeypatch.setattr(snapshots, "_found", found_in_two_steps)
        held = [hold("SAVE")] if call == "save" else []
        large = asyncio.create_task(snapshots.save("a", LARGE) if call == "save" else snapshots.load("a"))  # type: ignore[arg-type]
        await on_its_way.wait()
        assert await asyncio.gather(*(ns.get("slot") for _ in range(100))) == ["value"] * 100
        assert not large.done()
        large.cancel()
        await asyncio.wait([large])
        await asyncio.to_thread(held[0].release)
        await client.aclose()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that is full at times."""
    server = Server()
    yield server
    server.stop()


def test_a_full_memory(own_server: Server, prefix: str) -> None:
    """What was saved stays, and is deleted; a fence is not taken away by a save that is refused."""
    with redis.Redis(port=own_server.port) as client:
        snapshots = Snapshots(SessionStore(client, prefix=prefix, default_ttl=60))
        first = snapshots.save("a", "x", owner="ann")
        snapshots.save("b", "x")
        snapshots.delete("b")
        client.config_set("maxmemory", 1)
        for name, options in (("a", {}), ("a", {"owner": "bob"}), ("b", {"after_delete": True}), ("c", {})):
            with pytest.raises(OutOfMemoryError):
                snapshots.save(name, "y", **options)  # type: ignore[arg-type]
        loaded = snapshots.load("a", touch=True)
        assert loaded is not None and (loaded.value, loaded.revision) == ("x", first.revision)
        assert snapshots.delete("a")
        client.config_set("maxmemory", 0)
        for name in "ab":
            with pytest.raises(NamespacePurgedError):
                snapshots.save(name, "late")
        assert not snapshots.exists("c")
