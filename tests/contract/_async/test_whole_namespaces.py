"""What works on all slots of a namespace: touch, purge, the fence, slots, namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore, CasContentionError, NamespacePurgedError
from session_store._async.commands import AsyncCommands
from session_store._core.scripts import PURGE

NEIGHBOURS = [
    ("A", "AB"),
    ("u", "u*"),
    ("u*", "uu"),
    ("u?", "ux"),
    ("[u]", "u"),
    ("[^x]", "u"),
    ("u\\", "u\\\\"),
    ("é", "e\u0301"),
]


async def fill(ns: AsyncNamespace) -> None:
    await ns.set("a:b", "1")
    await ns.hset("h", "f", "1")
    await ns.incr("n")


async def test_touch_renews_every_slot_and_counts_the_live_ones(ns: AsyncNamespace, pass_time: Any) -> None:
    await fill(ns)
    await ns.set("short", "1", ttl=100)
    await pass_time(400)
    assert await ns.touch() == 3
    assert [await ns.ttl(slot) for slot in ("a:b", "h", "n")] == [pytest.approx(1000, abs=5)] * 3
    assert await ns.ttl("short") is None
    assert await ns.touch(ttl=5000) == 3
    assert await ns.ttl("h") == pytest.approx(5000, abs=5)
    assert await ns.touch(ttl=50) == 3
    assert await ns.ttl("h") == pytest.approx(50, abs=5)


async def test_a_touched_namespace_lives_on(ns: AsyncNamespace, pass_time: Any) -> None:
    """The index too: purge still finds everything."""
    await fill(ns)
    for _ in range(5):
        await pass_time(600)
        assert await ns.touch() == 3
    assert await ns.purge() == 3


async def test_a_touch_keeps_the_index_for_what_others_made_live_longer(
    ns: AsyncNamespace, raw: Any, pass_time: Any
) -> None:
    """A slot that needs no new TTL itself: purge still finds it when the index would have expired."""
    await ns.set("a", "1", ttl=90)
    await raw.pexpire(ns.key("a"), 330_000)
    assert await ns.touch(ttl=330) == 1
    await pass_time(100)
    assert await ns.slots() == ["a"]
    assert await ns.purge() == 1


async def test_a_touch_always_renews(ns: AsyncNamespace, raw: Any) -> None:
    """However little it moves."""
    await ns.set("a", "1", ttl=999.5)
    await ns.touch(ttl=999.6)
    assert await raw.pttl(ns.key("a")) > 999_500 - 5_000
    await raw.pexpire(ns.key("a"), 999_000)
    await ns.touch(ttl=999.5)
    assert 999_000 < await raw.pttl(ns.key("a")) <= 999_500


async def test_touch_renews_the_slots_that_are_named(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """And no others; also one that the index had forgotten. A name that comes twice counts once."""
    await fill(ns)
    await ns.set("short", "1", ttl=100)
    await raw.hdel(ns.key("x")[:-1] + "~index", "h")
    await pass_time(400)
    assert await ns.touch("h", "n", "short", "never", "h", ttl=5000) == 2
    assert [await ns.ttl(slot) for slot in ("h", "n")] == [pytest.approx(5000, abs=5)] * 2
    assert await ns.ttl("a:b") == pytest.approx(600, abs=5)
    assert await ns.slots() == ["a:b", "h", "n"]
    await pass_time(900)
    assert await ns.purge() == 2


async def test_touch_takes_names_or_scans(ns: AsyncNamespace) -> None:
    with pytest.raises(TypeError, match="not both"):
        await ns.touch("a", scan=True)


async def test_an_empty_namespace_is_touched_and_purged_as_well(ns: AsyncNamespace) -> None:
    assert await ns.touch() == 0
    assert await ns.purge() == 0
    assert await ns.slots() == []


async def test_purge_deletes_every_slot(ns: AsyncNamespace, raw: Any, prefix: str) -> None:
    await fill(ns)
    assert await ns.slots() == ["a:b", "h", "n"]
    assert await ns.purge() == 3
    assert await ns.slots() == []
    assert [key async for key in raw.scan_iter(match=f"{prefix}:*")] == []


async def test_purge_counts_only_what_lives(ns: AsyncNamespace, pass_time: Any) -> None:
    await fill(ns)
    await ns.set("short", "1", ttl=100)
    await pass_time(101)
    assert await ns.purge() == 3


async def test_purge_with_scan_finds_what_others_wrote(ns: AsyncNamespace, raw: Any, prefix: str) -> None:
    """Many of them, in steps, and with them what the index said."""
    await fill(ns)
    foreign = {f"{prefix}:u:x{number}": "1" for number in range(2500)}
    await raw.mset(foreign)
    await raw.rpush(f"{prefix}:u:list", "1")
    assert await ns.purge() == 3
    assert await raw.exists(*foreign) == 2500
    await fill(ns)
    assert await ns.purge(scan=True) == 3 + 2501
    assert [key async for key in raw.scan_iter(match=f"{prefix}:*")] == []


@pytest.mark.parametrize(("name", "neighbour"), NEIGHBOURS)
async def test_neighbours_are_left_alone(
    store: AsyncSessionStore, raw: Any, pass_time: Any, name: str, neighbour: str
) -> None:
    """Whatever glob characters a name holds, and in both directions."""
    for mine, other in (
        (store.namespace(name), store.namespace(neighbour)),
        (store.namespace(neighbour), store.namespace(name)),
    ):
        await fill(mine)
        await fill(other)
        await raw.set(other.key("foreign"), "1", px=900_000)
        await pass_time(100)
        assert await mine.touch() == 3
        assert await other.ttl("h") == pytest.approx(900, abs=5)
        assert await mine.purge() == 3
        assert await mine.purge(scan=True) == 0
        assert await other.slots() == ["a:b", "h", "n"]
        assert await raw.exists(other.key("foreign")) == 1
        assert await other.purge(scan=True) == 4


async def test_a_fence_refuses_writes(ns: AsyncNamespace, store: AsyncSessionStore, raw: Any, pass_time: Any) -> None:
    """Every write, by every handle, until it ends; reads, touch and purge go on."""
    await fill(ns)
    assert await ns.purge(fence=100) == 3
    late = store.namespace("u")
    calls = [
        lambda: late.set("a", "1"),
        lambda: late.delete("a"),
        lambda: late.hset("h", "f", "1"),
        lambda: late.hdel("h", "f"),
        lambda: late.hincrby("h", "f"),
        lambda: late.incr("n"),
    ]
    for call in calls:
        with pytest.raises(NamespacePurgedError) as caught:
            await call()
        assert caught.value.namespace == "u"
    assert await late.get("a") is None
    assert await late.touch() == 0
    assert await late.purge() == 0
    assert await late.slots() == []
    await pass_time(99)
    with pytest.raises(NamespacePurgedError):
        await late.set("a", "1")
    await pass_time(2)
    assert await late.set("a", "1") is True
    assert await raw.hexists(ns.key("a").removesuffix("a") + "~index", "~fence") == 0


async def test_a_scan_leaves_the_fence_standing(ns: AsyncNamespace, raw: Any) -> None:
    await fill(ns)
    await raw.set(ns.key("foreign"), "1", px=60_000)
    assert await ns.purge(fence=100, scan=True) == 4
    with pytest.raises(NamespacePurgedError):
        await ns.set("a", "1")


async def test_a_fence_is_not_shortened(ns: AsyncNamespace, pass_time: Any) -> None:
    await ns.purge(fence=100)
    await ns.purge(fence=10)
    await ns.purge()
    await pass_time(50)
    with pytest.raises(NamespacePurgedError):
        await ns.set("a", "1")


async def test_a_fence_expires_by_itself(ns: AsyncNamespace, raw: Any, prefix: str, pass_time: Any) -> None:
    await ns.purge(fence=100)
    await pass_time(101)
    assert [key async for key in raw.scan_iter(match=f"{prefix}:*")] == []


async def test_a_fence_stands_in_one_namespace(ns: AsyncNamespace, store: AsyncSessionStore) -> None:
    await ns.purge(fence=100)
    assert await store.namespace("v").set("a", "1") is True


async def test_purge_takes_what_was_added_while_it_listed(ns: AsyncNamespace, store: Any, monkeypatch: Any) -> None:
    """A slot that comes between the two round trips goes with the others: all or none."""
    await fill(ns)
    listed = type(ns)._listed

    async def slow(self: Any) -> Any:
        keys = await listed(self)
        await store.namespace("u").set("new", "1")
        return keys

    monkeypatch.setattr(type(ns), "_listed", slow)
    assert await ns.purge() == 4
    assert await ns.slots() == []


async def test_purge_gives_up_on_writers_that_never_stop(ns: AsyncNamespace, monkeypatch: Any) -> None:
    """In bounded time, and without having deleted half."""
    await fill(ns)
    monkeypatch.setattr("session_store._async.bulk.listed_keys", lambda base, fields: [])
    with pytest.raises(CasContentionError) as caught:
        await ns.purge()
    assert (caught.value.key, caught.value.attempts) == (ns.key("a").removesuffix("a") + "~index", 16)
    monkeypatch.undo()
    assert await ns.slots() == ["a:b", "h", "n"]


@pytest.mark.parametrize("fence", [None, 100])
async def test_a_purge_with_a_fence_has_its_way(
    ns: AsyncNamespace, store: Any, monkeypatch: Any, fence: float | None
) -> None:
    """Where a writer adds a slot after each look at the index: with a fence nobody does after the first."""
    await fill(ns)
    listed, run = type(ns)._listed, AsyncCommands.run
    outcomes = []

    async def add() -> None:
        try:
            outcomes.append(await store.namespace("u").set(f"new-{len(outcomes)}", "1"))
        except NamespacePurgedError:
            outcomes.append("refused")

    async def list_and_add(self: Any) -> Any:
        keys = await listed(self)
        await add()
        return keys

    async def run_and_add(client: Any, script: Any, *keys_and_args: Any) -> Any:
        reply = await run(client, script, *keys_and_args)
        if script is PURGE:
            await add()
        return reply

    monkeypatch.setattr(type(ns), "_listed", list_and_add)
    monkeypatch.setattr(AsyncCommands, "run", run_and_add)
    if fence is None:
        with pytest.raises(CasContentionError):
            await ns.purge()
        assert outcomes == [True] * 17
    else:
        assert await ns.purge(fence=fence) == 4
        assert outcomes == [True, "refused", "refused"]
    monkeypatch.undo()
    assert len(await ns.slots()) == (20 if fence is None else 0)


@pytest.mark.parametrize(("fence", "left"), [(100, ["a:b", "h", "n"]), (5000, [])])
async def test_a_purge_that_is_cut_short_has_its_fence_standing(
    ns: AsyncNamespace, pass_time: Any, monkeypatch: Any, fence: float, left: list[str]
) -> None:
    """After the look at the index that found more slots: for its whole time, and the index still names every slot."""
    await fill(ns)
    run = AsyncCommands.run

    async def run_and_cut(*call: Any) -> Any:
        await run(*call)
        raise ConnectionError

    async def nothing_listed(self: Any) -> Any:
        return []

    monkeypatch.setattr(type(ns), "_listed", nothing_listed)
    monkeypatch.setattr(AsyncCommands, "run", run_and_cut)
    with pytest.raises(ConnectionError):
        await ns.purge(fence=fence)
    monkeypatch.undo()
    await pass_time(fence - 1)
    with pytest.raises(NamespacePurgedError):
        await ns.set("a:b", "1")
    await pass_time(2)
    assert await ns.slots() == left
    assert await ns.purge() == len(left)


async def test_namespaces_names_those_with_a_live_slot(
    store: AsyncSessionStore, raw: Any, prefix: str, pass_time: Any
) -> None:
    names = [f"n{number}" for number in range(1200)] + ["u*", "ä"]
    for name in names:
        await store.namespace(name).set("a", "1")
    await store.namespace("expired").set("a", "1", ttl=50)
    await store.namespace("fenced").purge(fence=100)
    await store.namespace("deleted").set("a", "1")
    await store.namespace("deleted").delete("a")
    await store.namespace("n1").set("x:~index", "a slot that looks like an index")
    await raw.set(f"{prefix}:odd:~index", "of another program", px=500_000)
    await raw.set(f"{prefix}:{{odd}}:~index", "of another program", px=500_000)
    await raw.set(f"{prefix}:odd\udcff:~index".encode(errors="surrogateescape"), "of another program", px=500_000)
    await pass_time(51)
    assert sorted([name async for name in store.namespaces()]) == sorted(names)
    odd = [key async for key in raw.scan_iter(match=f"{prefix}:*odd*")]
    assert await raw.delete(*odd) == 3


async def test_a_prefix_without_namespaces(store: AsyncSessionStore) -> None:
    assert [name async for name in store.namespaces()] == []


@pytest.mark.parametrize("hash_tags", [True, False])
async def test_keys_have_their_documented_shape(
    client: Any, store: Any, raw: Any, prefix: str, hash_tags: bool
) -> None:
    tagged = AsyncSessionStore(client, prefix=prefix, default_ttl=60, hash_tags=hash_tags)
    ns = tagged.namespace("u")
    base = f"{prefix}:{{u}}:" if hash_tags else f"{prefix}:u:"
    assert ns.key("a:b") == f"{base}a:b"
    await fill(ns)
    assert {key async for key in raw.scan_iter(match=f"{prefix}:*")} == {
        f"{base}{slot}".encode() for slot in ("a:b", "h", "n", "~index")
    }
    assert [name async for name in tagged.namespaces()] == ["u"]
    assert await ns.purge(scan=True) == 3
