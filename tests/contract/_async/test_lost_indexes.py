"""What a namespace is when its index is gone, evicted or deleted by another program, and how the index comes back."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from session_store import AsyncNamespace, AsyncSessionStore


async def lose_index(ns: AsyncNamespace, raw: Any) -> None:
    assert await raw.delete(ns.key("x")[:-1] + "~index") == 1


async def fill(ns: AsyncNamespace) -> None:
    await ns.set("a:b", "text")
    await ns.hset("h", "f", "1")
    for _ in range(3):
        await ns.incr("n")


async def test_touch_with_scan_names_every_slot_again(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """And renews them all, and the index with them."""
    await fill(ns)
    await lose_index(ns, raw)
    assert await ns.slots() == []
    assert await ns.touch() == 0
    assert await ns.touch(ttl=500, scan=True) == 3
    assert await ns.slots() == ["a:b", "h", "n"]
    assert [await ns.ttl(slot) for slot in ("a:b", "h", "n")] == [pytest.approx(500, abs=5)] * 3
    await pass_time(490)
    assert await ns.touch() == 3
    assert await ns.purge() == 3


async def test_an_index_that_is_whole_stays_as_it_is(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """A counter's last value in it, too, which its key may have lost."""
    await fill(ns)
    await ns.set("short", "1", ttl=100)
    await raw.delete(ns.key("n"))
    await pass_time(200)
    assert await ns.touch(scan=True) == 2
    assert await ns.slots() == ["a:b", "h"]
    assert await ns.incr("n") == 4


async def test_a_counter_goes_on_from_an_index_that_was_made_anew(ns: AsyncNamespace, raw: Any) -> None:
    """Even when its own key is lost afterwards."""
    await fill(ns)
    await lose_index(ns, raw)
    await ns.touch(scan=True)
    await raw.delete(ns.key("n"))
    assert await ns.incr("n") == 4


@pytest.mark.parametrize("value", ["0", "-1", "007", "1.5", "9223372036854775808", "1" * 20, "", "12a"])
async def test_what_is_no_counter_is_a_slot_like_others(ns: AsyncNamespace, raw: Any, value: str) -> None:
    """A counter that begins in its slot later begins with 1."""
    await ns.set("a", value)
    await lose_index(ns, raw)
    assert await ns.touch(scan=True) == 1
    assert await ns.get("a") == value
    await raw.delete(ns.key("a"))
    assert await ns.incr("a") == 1


async def test_the_largest_id_is_remembered(ns: AsyncNamespace, raw: Any) -> None:
    await ns.incr("n", 2**63 - 2)
    await lose_index(ns, raw)
    await ns.touch(scan=True)
    await raw.delete(ns.key("n"))
    assert await ns.incr("n") == 2**63 - 1
    await lose_index(ns, raw)
    await ns.touch(scan=True)
    await raw.delete(ns.key("n"))
    with pytest.raises(redis.ResponseError, match="overflow"):
        await ns.incr("n")


async def test_slots_that_others_wrote_become_slots_of_the_namespace(ns: AsyncNamespace, raw: Any, prefix: str) -> None:
    """They get a TTL. What no slot can be is left alone: other types, and names that break a rule."""
    await fill(ns)
    more = {f"{prefix}:u:x{number}": "1" for number in range(2500)}
    await raw.mset(more)
    alien = [f"{prefix}:u:list", f"{prefix}:u:~other", f"{prefix}:u:two words", f"{prefix}:u:\udcff"]
    await raw.rpush(alien[0], "1")
    for key in alien[1:]:
        await raw.set(key.encode(errors="surrogateescape"), "1")
    assert await ns.touch(scan=True) == 2503
    assert len(await ns.slots()) == 2503
    assert await ns.ttl("x7") == pytest.approx(1000, abs=5)
    assert [await raw.ttl(key.encode(errors="surrogateescape")) for key in alien] == [-1] * 4
    assert await ns.purge(scan=True) == 2503 + 3  # all but the name with a tilde is counted


@pytest.mark.parametrize(
    ("name", "neighbour"), [("u", "u*"), ("u*", "uu"), ("[u]", "u"), ("u\\", "u\\\\"), ("A", "AB")]
)
async def test_neighbours_are_left_alone(store: AsyncSessionStore, raw: Any, name: str, neighbour: str) -> None:
    """Whatever glob characters a name holds, and in both directions."""
    for mine, other in (
        (store.namespace(name), store.namespace(neighbour)),
        (store.namespace(neighbour), store.namespace(name)),
    ):
        await fill(mine)
        await fill(other)
        await raw.set(other.key("foreign"), "1", px=900_000)
        assert await mine.touch(ttl=2000, scan=True) == 3
        assert await other.slots() == ["a:b", "h", "n"]
        assert await other.ttl("h") == pytest.approx(1000, abs=5)
        assert await other.purge(scan=True) == 4
        assert await mine.purge() == 3


async def test_a_commit_that_watches_a_slot_is_not_disturbed(ns: AsyncNamespace, raw: Any) -> None:
    """To name a slot again writes the index, which nobody watches."""
    await ns.set("a", "1")
    runs = []

    async def closure(snap: Any, ops: Any) -> None:
        runs.append(await snap.get("a"))
        await lose_index(ns, raw)
        assert await ns.touch(scan=True) == 1
        ops.set("a", "2")

    await ns.with_cas("a", closure)
    assert runs == ["1"]
    assert await ns.get("a") == "2"
