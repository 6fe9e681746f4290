"""Whose snapshots there are, and which go. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from snapshots._async.conftest import together


async def ids(snapshots: Any, owner: str = "ann", limit: int = 50) -> list[str]:
    """All of a list, page by page."""
    found, cursor = [], None
    while True:
        page = await snapshots.list(owner=owner, limit=limit, cursor=cursor)
        found += [info.id for info in page]
        cursor = page.cursor
        if cursor is None:
            return found


async def test_what_a_list_tells(snapshots: Any, pass_time: Any) -> None:
    """[S5] The latest made first, each as its own snapshot tells; of this owner only."""
    for name in ("a", "b", "c"):
        await snapshots.save(name, name, tick=7, owner="ann")
        await pass_time(1)
    await snapshots.save("x", "x", owner="bob")
    await snapshots.save("y", "y")
    await snapshots.save("a", "again", owner="ann")
    page = await snapshots.list(owner="ann")
    assert ([info.id for info in page], page.cursor) == (["c", "b", "a"], None)
    loaded = await snapshots.load("b")
    info = page.items[1]
    assert (info.revision, info.tick, info.version) == (loaded.revision, 7, 1)
    assert info.saved_at == loaded.saved_at
    assert abs((info.expires_at - loaded.expires_at).total_seconds()) < 0.05
    assert "ann" not in repr(page) and "'b'" not in repr(page)


async def test_a_list_while_snapshots_come_and_go(snapshots: Any) -> None:
    """[S5, S41] None twice, and none passed over that was there throughout."""
    await together([partial(snapshots.save, f"c-{at}", "x", owner="ann") for at in range(200)])
    found, cursor, gone = [], None, set()
    for at in range(25):
        page = await snapshots.list(owner="ann", limit=20, cursor=cursor)
        found, cursor = [*found, *(info.id for info in page)], page.cursor
        await snapshots.save(f"d-{at}", "x", owner="ann")
        gone.add(f"c-{at}")
        await snapshots.delete(f"c-{at}")
        if cursor is None:
            break
    assert cursor is None
    assert len(found) == len(set(found))
    assert {f"c-{at}" for at in range(200)} - gone <= set(found)


async def test_another_owner(snapshots: Any) -> None:
    """A snapshot is in the list of one owner; who saves it without one leaves it there."""
    await snapshots.save("a", "x", owner="ann")
    await snapshots.save("a", "y")
    assert (await ids(snapshots), await ids(snapshots, "bob")) == (["a"], [])
    await snapshots.save("a", "z", owner="bob")
    assert (await ids(snapshots), await ids(snapshots, "bob")) == ([], ["a"])


async def test_a_hint_that_points_to_anothers(snapshots: Any) -> None:
    """Where a process ended before it had taken one off a list: its owner alone is shown it."""
    await snapshots.save("a", "x", owner="ann")
    await snapshots.store.directory("snapshot-owner").add("bob", "a")
    assert (await ids(snapshots), await ids(snapshots, "bob")) == (["a"], [])


async def test_a_list_lives_as_long_as_what_it_names(make: Any, pass_time: Any) -> None:
    """Though nobody names the owner again; and a minute after a save nobody has to tell it."""
    snapshots = make(ttl=100)
    await snapshots.save("a", "x", owner="ann")
    for _ in range(6):
        await pass_time(80)
        await snapshots.save("a", "y")
    assert await ids(snapshots) == ["a"]


async def test_deleted_and_saved_again_within_a_minute(make: Any) -> None:
    """By another process, which has taken it off the list: it is on the list again."""
    snapshots, other = make(), make()
    await snapshots.save("a", "x", owner="ann")
    await other.delete("a", fence=None)
    await other.store.directory("snapshot-owner").remove("ann", "a")
    await snapshots.save("a", "y", owner="ann")
    assert await ids(snapshots) == ["a"]


async def test_more_snapshots_than_are_remembered(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To have been told to lists: then they are told again, and all is well."""
    monkeypatch.setattr("session_store.snapshots._core.records._MOST_TOLD", 3)
    snapshots = make()
    for _ in range(2):
        for name in "abcd":
            await snapshots.save(name, "x", owner="ann")
    assert len(snapshots._told._ends) <= 3
    assert await ids(snapshots) == ["d", "c", "b", "a"]


async def test_pruning(snapshots: Any, pass_time: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """[S27] The 100 that were saved last stay of 150; then what was saved too long ago goes. Others' stay."""
    monkeypatch.setattr("session_store.snapshots._async.snapshots._TOGETHER", 40)
    for first in range(0, 150, 50):
        await together([partial(snapshots.save, f"c-{at}", "x", owner="ann") for at in range(first, first + 50)])
        await pass_time(10)
    await snapshots.save("x", "x", owner="bob")
    await together([partial(snapshots.save, f"c-{at}", "again", owner="ann") for at in range(50)])
    assert await snapshots.prune(owner="ann", keep=100) == 50
    assert set(await ids(snapshots)) == {f"c-{at}" for at in (*range(50), *range(100, 150))}
    assert await snapshots.prune(owner="ann", keep=100, older_than=60) == 0
    assert await snapshots.prune(owner="ann", older_than=9) == 50
    assert set(await ids(snapshots)) == {f"c-{at}" for at in range(50)}
    assert await snapshots.prune(owner="ann", keep=0) == 50
    assert (await ids(snapshots), await ids(snapshots, "bob")) == ([], ["x"])
    await snapshots.save("c-1", "no fence", owner="ann")


async def test_one_that_is_saved_while_others_are_pruned(snapshots: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays."""
    await snapshots.save("a", "x", owner="ann")
    await snapshots.save("b", "x", owner="ann")
    look = snapshots._page

    async def look_and_save(*args: Any) -> Any:
        page = await look(*args)
        await snapshots.save("b", "y", owner="ann")
        return page

    monkeypatch.setattr(snapshots, "_page", look_and_save)
    assert await snapshots.prune(owner="ann", keep=0) == 1
    assert (await snapshots.load("b")).value == "y"
