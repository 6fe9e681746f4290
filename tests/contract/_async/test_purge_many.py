"""Many namespaces purged together: the sessions of a user who logs out everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncSessionStore, InvalidNameError, NamespacePurgedError


async def fill(store: AsyncSessionStore, count: int) -> list[str]:
    for number in range(count):
        await store.namespace(f"u{number}").set("a", "1")
        await store.namespace(f"u{number}").hset("b", "f", "2")
    return [f"u{number}" for number in range(count)]


async def test_each_is_purged_and_counted(store: AsyncSessionStore) -> None:
    names = await fill(store, 3)
    await store.namespace("other").set("a", "1")
    assert await store.purge_many(iter([*names, "none", "u1"])) == {"u0": 2, "u1": 2, "u2": 2, "none": 0}
    assert [name async for name in store.namespaces()] == ["other"]


async def test_it_is_two_pipelines(store: AsyncSessionStore, recorder: Any) -> None:
    names = await fill(store, 20)
    await store.purge_many(["x"])
    recorder.clear()
    await store.purge_many(names)
    assert recorder.writes == [("HKEYS",) * 20, ("EVALSHA",) * 20]


async def test_a_fence_stands_in_each(store: AsyncSessionStore) -> None:
    names = await fill(store, 2)
    await store.purge_many([*names, "none"], fence=60)
    for name in (*names, "none"):
        with pytest.raises(NamespacePurgedError):
            await store.namespace(name).set("a", "1")


async def test_a_slot_that_is_added_in_between_goes_too(store: AsyncSessionStore, monkeypatch: Any) -> None:
    """The namespace's own purge follows, which lists again."""
    names = await fill(store, 3)
    original = type(store._commands).pipelined

    async def pipelined(commands: Any, sent: Any) -> Any:
        replies = await original(commands, sent)
        if sent and sent[0][0] == "HKEYS":
            await store.namespace("u1").set("late", "1")
        return replies

    monkeypatch.setattr(type(store._commands), "pipelined", pipelined)
    assert await store.purge_many(names) == {"u0": 2, "u1": 3, "u2": 2}
    assert await store.namespace("u1").slots() == []


async def test_bad_input_is_refused_before_anything_is_sent(store: AsyncSessionStore, recorder: Any) -> None:
    for names, fence, error in [
        (["u1", "u:2"], None, InvalidNameError),
        (["~dir"], None, InvalidNameError),
        ("u1", None, TypeError),
        (["u1"], 0, ValueError),
    ]:
        with pytest.raises(error):
            await store.purge_many(names, fence=fence)
    assert await store.purge_many([]) == {}
    assert recorder.commands == []
