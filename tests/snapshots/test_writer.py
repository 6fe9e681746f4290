"""Saves that nobody waits for. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncSessionStore, InMemoryClient, JsonCodec, SessionStore
from session_store.snapshots import AsyncSnapshots, Saved, Snapshots, StaleSnapshotError


@pytest.fixture
async def snapshots() -> Any:
    client = AsyncInMemoryClient()
    yield AsyncSnapshots(AsyncSessionStore(client, prefix="p", default_ttl=600, codec=JsonCodec()), max_bytes=100)
    await client.aclose()


class Gate:
    """Holds saves up, and takes note of which were sent."""

    def __init__(self, snapshots: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[int | None] = []
        self.most = self.under_way = 0
        self.begun, self.three, self.open = asyncio.Event(), asyncio.Event(), asyncio.Event()
        send = snapshots._send

        async def held(save: Any) -> Saved:
            self.sent.append(save.tick)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.begun.set()
            if self.under_way == 3:
                self.three.set()
            await self.open.wait()
            self.under_way -= 1
            return await send(save)

        monkeypatch.setattr(snapshots, "_send", held)


@pytest.fixture
def gate(snapshots: Any, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(snapshots, monkeypatch)


async def test_the_newest_wins(snapshots: Any, gate: Gate) -> None:
    """[S1, S36] Of a thousand saves while one is under way one more is sent, and it is the last."""
    async with snapshots.writer() as writer:
        writer.save("a", 0, tick=0)
        await gate.begun.wait()
        for tick in range(1, 1001):
            writer.save("a", tick, tick=tick)
        gate.open.set()
        assert await writer.drain() == []
        assert (gate.sent, gate.most) == ([0, 1000], 1)
    loaded = await snapshots.load("a")
    assert (loaded.value, loaded.tick) == (1000, 1000)


async def test_a_turn_that_ends_late(snapshots: Any, gate: Gate) -> None:
    """[S7] Does not take the place of a later one that waits."""
    async with snapshots.writer() as writer:
        writer.save("a", "1", tick=1)
        await gate.begun.wait()
        writer.save("a", "3", tick=3)
        writer.save("a", "2", tick=2)
        gate.open.set()
    assert gate.sent == [1, 3]


async def test_snapshots_do_not_wait_for_one_another(snapshots: Any, gate: Gate) -> None:
    async with snapshots.writer() as writer:
        for name in "abc":
            writer.save(name, name)
        await gate.three.wait()
        gate.open.set()


async def test_leaving_waits_for_what_is_to_be_saved(snapshots: Any, gate: Gate) -> None:
    """[S23] Also where an error ends the application's block."""
    asyncio.get_running_loop().call_later(0.01, gate.open.set)
    with pytest.raises(LookupError):
        async with snapshots.writer() as writer:
            writer.save("a", "x", owner="ann")
            raise LookupError
    assert await snapshots.exists("a")
    with pytest.raises(RuntimeError, match="with"):
        writer.save("a", "y")
    assert await writer.drain() == []


async def test_what_is_saved_is_what_it_was(snapshots: Any, gate: Gate) -> None:
    """[S2] When `save` was called. What is wrong with it is told there."""
    state = {"turns": 1}
    async with snapshots.writer() as writer:
        writer.save("a", state, ttl=5)
        state["turns"] = 2
        for bad, error in ((object(), TypeError), ("x" * 200, ValueError)):
            with pytest.raises(error):
                writer.save("a", bad)
        with pytest.raises(ValueError, match="tick"):
            writer.save("a", state, tick=-1)
        gate.open.set()
    loaded = await snapshots.load("a")
    assert loaded.value == {"turns": 1}
    assert (loaded.expires_at - loaded.saved_at).total_seconds() < 5.1


async def test_a_save_that_is_not_done_in_time(snapshots: Any, gate: Gate) -> None:
    """Is told as such, and may be done later."""
    async with snapshots.writer() as writer:
        writer.save("a", "x", tick=4)
        (failed,) = await writer.drain(timeout=0.01)
        assert (failed.id, failed.tick, type(failed.error)) == ("a", 4, TimeoutError)
        gate.open.set()
        assert await writer.drain() == []
    assert await snapshots.exists("a")


async def test_a_save_that_fails(snapshots: Any) -> None:
    """[S22] Is told to who asks, once; the next one is done. What `on_error` raises is in nobody's way."""
    told = []

    async def on_error(failed: Any) -> None:
        told.append(failed)
        raise LookupError

    await snapshots.save("a", "five", tick=5)
    async with snapshots.writer(on_error=on_error) as writer:
        writer.save("a", "four", tick=4)
        (failed,) = await writer.drain()
        assert (failed.id, failed.tick, type(failed.error)) == ("a", 4, StaleSnapshotError)
        assert told == [failed]
        assert "'a'" not in repr(failed)
        writer.save("a", "six", tick=6)
        assert await writer.drain() == []
    assert (await snapshots.load("a")).value == "six"


async def test_a_server_that_is_away(caplog: pytest.LogCaptureFixture, prefix: str) -> None:
    """[S37] The turn goes on; the store's logger is told, without the id and the content; the next save is done."""
    server = Server()
    client = redis.asyncio.Redis(port=server.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    store = AsyncSessionStore(
        client, prefix=prefix, default_ttl=600, logger=logging.getLogger("shop"), log_name=lambda name: "..."
    )
    snapshots: AsyncSnapshots[str] = AsyncSnapshots(store)
    try:
        async with snapshots.writer() as writer:
            server.kill()
            writer.save("agent-1", "the state", tick=1)
            (failed,) = await writer.drain()
            assert isinstance(failed.error, redis.exceptions.ConnectionError)
            server.start()
            writer.save("agent-1", "the state", tick=2)
            assert await writer.drain() == []
        assert (await snapshots.load("agent-1")).tick == 2
    finally:
        await client.aclose()
        server.stop()
    (record,) = [each for each in caplog.records if each.name == "shop"]
    assert (record.message, record.namespace, record.error) == (  # type: ignore[attr-defined]
        "session-store: snapshot-save-failed",
        "...",
        "ConnectionError",
    )
    assert "agent-1" not in str(vars(record)) and "the state" not in str(vars(record))


def test_in_threads() -> None:
    """[S22, S23, S36] The sync flavour: the newest wins, what fails is told, leaving waits."""
    snapshots: Snapshots[Any] = Snapshots(
        SessionStore(InMemoryClient(), prefix="p", default_ttl=600, codec=JsonCodec())
    )
    begun, may_go_on, sent, told = threading.Event(), threading.Event(), [], []
    send = snapshots._send

    def held(save: Any) -> Saved:
        sent.append(save.tick)
        begun.set()
        assert may_go_on.wait(30)
        return send(save)

    snapshots._send = held  # type: ignore[method-assign]
    with snapshots.writer(on_error=told.append) as writer:
        writer.save("a", 0, tick=5)
        assert begun.wait(30)
        for tick in range(10, 1010):
            writer.save("a", tick, tick=tick)
        (failed,) = writer.drain(timeout=0.01)
        assert isinstance(failed.error, TimeoutError)
        may_go_on.set()
        assert writer.drain() == []
        assert sent == [5, 1009]
        writer.save("a", "late", tick=3)
        (failed,) = writer.drain()
        assert isinstance(failed.error, StaleSnapshotError)
        assert told == [failed]
        writer.save("b", "x")
    assert snapshots.exists("b")
    with pytest.raises(RuntimeError, match="with"):
        writer.save("b", "y")
    loaded = snapshots.load("a")
    assert loaded is not None and loaded.value == 1009
