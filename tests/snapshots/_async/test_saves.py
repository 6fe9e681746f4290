"""What is saved, what is refused, and what is there afterwards. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import msgspec
import pytest
from snapshots._async.conftest import DAY, together

from session_store import (
    AsyncSessionStore,
    BytesCodec,
    CodecError,
    InvalidNameError,
    NamespacePurgedError,
    ReplicationError,
    WrongTypeError,
)
from session_store.snapshots import (
    AsyncSnapshots,
    RevisionConflictError,
    Saved,
    SnapshotVersionError,
    StaleSnapshotError,
)


async def value_of(snapshots: AsyncSnapshots[Any], name: str = "a") -> Any:
    snapshot = await snapshots.load(name)
    return None if snapshot is None else snapshot.value


async def test_what_was_saved_is_loaded(snapshots: Any) -> None:
    """[S1, S26] With all that is told of it; by another object of the same store, as after a restart."""
    saved = await snapshots.save("a", "turn 7", tick=7)
    loaded = await AsyncSnapshots(snapshots.store).load("a")
    assert (loaded.value, loaded.revision, loaded.tick, loaded.version) == ("turn 7", saved.revision, 7, 1)
    assert abs((loaded.expires_at - saved.expires_at).total_seconds()) < 0.05
    assert abs((loaded.expires_at - loaded.saved_at).total_seconds() - DAY) < 0.05
    assert "turn 7" not in repr(loaded)


@pytest.mark.parametrize("backend", ["memory-json"])
async def test_what_is_changed_afterwards_does_not_show(snapshots: Any) -> None:
    """[S2, S6, S18] The value is stored, and not an object."""
    deep: Any = None
    for _ in range(50):
        deep = [deep, {}]
    value = {"turns": ["one"], "none": None, "deep": deep}
    await snapshots.save("a", value)
    value["turns"].append("two")
    loaded = await value_of(snapshots)
    assert loaded == {"turns": ["one"], "none": None, "deep": deep}
    loaded["turns"].clear()
    assert (await value_of(snapshots))["turns"] == ["one"]


async def test_there_is_none(snapshots: Any) -> None:
    """[S3, S4] Nor after it was deleted; deleting is done once."""
    assert (await snapshots.load("a"), await snapshots.load("a", touch=True), await snapshots.exists("a")) == (
        None,
        None,
        False,
    )
    await snapshots.save("a", "x")
    assert await snapshots.exists("a")
    assert [await snapshots.delete("a"), await snapshots.delete("a")] == [True, False]
    assert (await snapshots.load("a"), await snapshots.exists("a")) == (None, False)


async def test_an_earlier_turn_is_refused(snapshots: Any) -> None:
    """[S6, S32] And changes nothing; the same turn replaces. Who tells no turn is taken, and the highest stays."""
    first = await snapshots.save("a", "five", tick=5)
    with pytest.raises(StaleSnapshotError) as refused:
        await snapshots.save("a", "four", tick=4, ttl=5)
    assert (refused.value.tick, refused.value.stored) == (4, 5)
    assert (await snapshots.load("a")).revision == first.revision
    again = await snapshots.save("a", "five, again", tick=5)
    assert (again.revision, again.tick) == (first.revision + 1, 5)
    assert (await snapshots.save("a", "of no turn")).tick == 5
    with pytest.raises(StaleSnapshotError):
        await snapshots.save("a", "four", tick=4)
    assert await value_of(snapshots) == "of no turn"
    assert (await snapshots.save("a", "ten", tick=10)).tick == 10


async def test_turns_that_come_in_any_order(snapshots: Any) -> None:
    """[S7] Of 1 to 100, by 8 at once, the last is there."""
    ticks = random.sample(range(1, 101), 100)

    async def save_all(which: int) -> list[Any]:
        found = []
        for tick in ticks[which::8]:
            found += await together([lambda tick=tick: snapshots.save("a", f"turn {tick}", tick=tick)])
        return found

    outcomes = [
        each for found in await together([lambda which=which: save_all(which) for which in range(8)]) for each in found
    ]
    assert len(outcomes) == 100
    assert all(isinstance(each, (Saved, StaleSnapshotError)) for each in outcomes)
    loaded = await snapshots.load("a")
    assert (loaded.tick, loaded.value) == (100, "turn 100")


async def test_only_on_the_revision_that_was_seen(snapshots: Any) -> None:
    """[S10, S24] Of 50 that have seen the same, one is done, and the others are told what is there by now."""
    seen = (await snapshots.save("a", "0")).revision
    outcomes = await together([lambda n=n: snapshots.save("a", str(n), expected=seen) for n in range(50)])
    (done,) = [each for each in outcomes if isinstance(each, Saved)]
    conflicts = [each for each in outcomes if isinstance(each, RevisionConflictError)]
    assert len(conflicts) == 49
    assert {(each.expected, each.actual) for each in conflicts} == {(seen, done.revision)}
    await snapshots.save("a", "merged", expected=conflicts[0].actual)
    assert await value_of(snapshots) == "merged"


async def test_only_where_there_is_none(snapshots: Any) -> None:
    """[S30]"""
    outcomes = await together([lambda: snapshots.save("a", "x", expected=0)] * 5)
    assert sorted(type(each).__name__ for each in outcomes) == ["RevisionConflictError"] * 4 + ["Saved"]
    with pytest.raises(RevisionConflictError) as refused:
        await snapshots.save("b", "x", expected=7)
    assert (refused.value.expected, refused.value.actual) == (7, 0)
    assert not await snapshots.exists("b")


async def test_a_revision_never_comes_back(snapshots: Any) -> None:
    """[S31] Also where the snapshot was deleted and made anew at once."""
    seen = [(await snapshots.save("a", "x")).revision for _ in range(3)]
    await snapshots.delete("a", fence=None)
    anew = await snapshots.save("a", "y")
    assert anew.revision > max(seen)
    for revision in seen:
        with pytest.raises(RevisionConflictError):
            await snapshots.save("a", "late", expected=revision)


async def test_a_save_that_comes_late(snapshots: Any, pass_time: Any) -> None:
    """[S2, S8, S34] Does not bring back what was deleted, for as long as the fence stands."""
    await snapshots.save("a", "x", owner="ann")
    await snapshots.delete("a")
    await pass_time(1)
    with pytest.raises(NamespacePurgedError):
        await snapshots.save("a", "late", owner="ann")
    assert not await snapshots.exists("a")
    await pass_time(60)
    await snapshots.save("a", "later")
    await snapshots.delete("a", fence=5)
    await pass_time(6)
    await snapshots.save("a", "again")
    await snapshots.delete("a", fence=None)
    await snapshots.save("a", "at once")


async def test_a_save_that_knows_of_the_end(snapshots: Any) -> None:
    """[S9, S34] Takes the fence away, for itself and for those that follow."""
    assert await snapshots.save("a", "no fence", after_delete=True)
    await snapshots.delete("a")
    await snapshots.save("a", "made anew", after_delete=True)
    await snapshots.save("a", "goes on")
    assert await value_of(snapshots) == "goes on"


async def test_a_save_that_is_sent_again(snapshots: Any, lose_replies: Any) -> None:
    """[S33] Is done once, and tells what it told; also one that takes a fence away."""
    first = await snapshots.save("a", "x", owner="ann")
    lose_replies()
    second = await snapshots.save("a", "y", tick=2, owner="ann")
    assert (second.revision, second.tick) == (first.revision + 1, 2)
    await snapshots.delete("a")
    saved = await snapshots.save("a", "z", after_delete=True)
    assert (await snapshots.load("a")).revision == saved.revision


async def test_how_long_it_lives(make: Any, pass_time: Any, keys: Any) -> None:
    """[S12] After the last save, and after a load that touches it; others do not. Then all of it is gone."""
    snapshots = make(ttl=100)
    await snapshots.save("a", "x", owner="ann")
    await snapshots.save("b", "x", ttl=300)
    await pass_time(90)
    touched = await snapshots.load("a", touch=True)
    assert abs((touched.expires_at - touched.saved_at).total_seconds() - 190) < 0.1
    untouched = await snapshots.load("b")
    assert abs((untouched.expires_at - untouched.saved_at).total_seconds() - 300) < 0.1
    await pass_time(90)
    assert await snapshots.exists("a")
    await snapshots.load("b", touch=True)  # by the TTL of its own
    await pass_time(250)
    assert [await snapshots.exists(name) for name in "ab"] == [False, True]
    assert (await snapshots.list(owner="ann")).items == ()
    await pass_time(500)
    assert await keys() == []


async def test_ids_are_apart(snapshots: Any) -> None:
    """[S15, S16] Each is one of its own, or an `InvalidNameError` before anything is sent."""
    names = ["u", "u:1", "U", "*", "[u]", "ü", "u\u0308", "a" * 100]
    fits = []
    for name in [*names, "", "a" * 3000, "~x", "a\nb", "{x}"]:
        try:
            await snapshots.save(name, f"of {name}", owner="ann")
            fits.append(name)
        except InvalidNameError:
            assert name not in {"u", "U"}
    await snapshots.delete(fits[0])
    assert [await value_of(snapshots, name) for name in fits] == [None, *(f"of {name}" for name in fits[1:])]
    assert {info.id for info in (await snapshots.list(owner="ann")).items} == {*fits[1:]}


async def test_what_others_have_put_there(snapshots: Any, client: Any, prefix: str) -> None:
    """[S20] What the codec cannot read, or another type of key, is told, can be deleted, and hides nobody's list."""
    for name in "abc":
        await snapshots.save(name, "x", owner="ann")
    await client.hset(f"{prefix}:a:snapshot", "b", b"\xff\xfe")
    with pytest.raises(CodecError):
        await snapshots.load("a")
    await client.set(f"{prefix}:b:snapshot", "theirs", ex=DAY)
    for call in (snapshots.load, partial(snapshots.save, value="y")):
        with pytest.raises(WrongTypeError):
            await call("b")
    assert await client.get(f"{prefix}:b:snapshot") == b"theirs"
    assert [info.id for info in (await snapshots.list(owner="ann")).items] == ["c", "a"]
    assert await snapshots.delete("a")
    assert await snapshots.delete("b")


@pytest.mark.parametrize("backend", ["redis-encrypted"])
async def test_what_is_encrypted_belongs_to_its_id(snapshots: Any, client: Any, prefix: str) -> None:
    """[S38]"""
    await snapshots.save("a", "mine")
    await snapshots.save("b", "another's")
    body = await client.hget(f"{prefix}:a:snapshot", "b")
    assert b"mine" not in body
    await client.hset(f"{prefix}:b:snapshot", "b", body)
    with pytest.raises(CodecError):
        await snapshots.load("b")


async def test_what_an_older_program_saved(make: Any) -> None:
    """[S21, S39] Is migrated when it is loaded, and stored so by the next save; what a newer one saved is told."""
    asked = []

    def migrate(value: str, version: int) -> str:
        asked.append(version)
        return f"{value}, migrated"

    newer = make(version=3, migrate=migrate)
    await make(version=1).save("a", "old")
    for _ in range(2):
        loaded = await newer.load("a")
        assert (loaded.value, loaded.version) == ("old, migrated", 1)
    assert asked == [1, 1]
    await newer.save("a", loaded.value)
    assert (await newer.load("a")).version == 3
    assert asked == [1, 1]
    for version, why in ((2, "a newer program"), (4, "no `migrate`")):
        with pytest.raises(SnapshotVersionError, match=why) as refused:
            await make(version=version).load("a")
        assert (refused.value.stored, refused.value.version) == (3, version)


async def test_large_ones(make: Any) -> None:
    """[S18, S40] Come whole, whatever way they take; what is beyond the limit is refused before anything is sent."""
    snapshots = make(max_bytes=6_000_000)
    for size in (262_000, 300_000, 5_000_000):
        value = f"{size}" * (size // 7)
        await snapshots.save("a", value, owner="ann")
        assert await value_of(snapshots) == value
    with pytest.raises(ValueError, match="may have 6000000 bytes"):
        await snapshots.save("b", "x" * 6_000_001, owner="ann")
    assert not await snapshots.exists("b")
    (info,) = (await snapshots.list(owner="ann")).items
    assert 4_900_000 < info.size < 5_100_000


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_too_few_replicas(client: Any, prefix: str) -> None:
    """It is saved, and who wanted it safe is told."""
    store = AsyncSessionStore(client, prefix=prefix, default_ttl=DAY, min_replicas=1)
    with pytest.raises(ReplicationError) as told:
        await AsyncSnapshots(store).save("a", "x")
    assert (told.value.replicas, told.value.min_replicas) == (0, 1)
    assert await value_of(AsyncSnapshots(store)) == "x"


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_what_is_packed_by_others(client: Any, prefix: str) -> None:
    """[S42] With `BytesCodec` whatever gives bytes will do: msgpack, say."""
    snapshots = AsyncSnapshots(AsyncSessionStore(client, prefix=prefix, default_ttl=DAY, codec=BytesCodec()))
    state = {"turns": [b"\x00\xff", 1.5, None], "tick": 2**60}
    await snapshots.save("a", msgspec.msgpack.encode(state))
    assert msgspec.msgpack.decode(await value_of(snapshots)) == state
