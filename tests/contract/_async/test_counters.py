"""Counters: an id is never handed out twice while anything in its namespace lives."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from session_store import AsyncNamespace, WrongTypeError

pytestmark = pytest.mark.every_setting


async def test_ids_count_from_one(ns: AsyncNamespace) -> None:
    assert [await ns.incr("id") for _ in range(3)] == [1, 2, 3]
    assert await ns.incr("id", 10) == 13
    assert await ns.get("id") == "13"
    assert await ns.ttl("id") == pytest.approx(1000, abs=5)
    assert await ns.slots() == ["id"]


async def test_counters_are_apart(ns: AsyncNamespace) -> None:
    assert [await ns.incr("a"), await ns.incr("a"), await ns.incr("b")] == [1, 2, 1]


async def test_a_lost_counter_goes_on(ns: AsyncNamespace, raw: Any) -> None:
    """Evicted or deleted by another program: the index remembers where it stood."""
    await ns.set("other", "lives")
    await ns.incr("id", 41)
    await raw.delete(ns.key("id"))
    assert await ns.exists("id") is False
    assert await ns.incr("id") == 42


async def test_an_expired_counter_goes_on(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """Also when a touch came after its expiry."""
    await ns.incr("id", 41)
    await raw.pexpire(ns.key("id"), 50_000)
    await ns.set("other", "lives")
    await pass_time(51)
    assert await ns.touch() == 1
    await pass_time(990)
    assert await ns.slots() == ["other"]
    assert await ns.incr("id") == 42


async def test_a_counter_that_others_set_back_goes_on(ns: AsyncNamespace, raw: Any) -> None:
    await ns.incr("id", 41)
    await raw.set(ns.key("id"), "7", px=60_000)
    assert await ns.incr("id") == 42


async def test_a_counter_whose_index_is_lost_goes_on_from_its_value(ns: AsyncNamespace, raw: Any) -> None:
    await ns.incr("id", 41)
    await raw.delete(ns.key("id").removesuffix("id") + "~index")
    assert await ns.incr("id") == 42


async def test_set_takes_no_id_back(ns: AsyncNamespace) -> None:
    """The slot shows the value that was set; the next id is above all that were given."""
    await ns.incr("id", 41)
    await ns.set("id", "7")
    assert await ns.get("id") == "7"
    assert await ns.incr("id") == 42
    await ns.set("id", "100")
    assert await ns.incr("id") == 101


async def test_a_counter_can_begin_at_a_value_that_was_set(ns: AsyncNamespace) -> None:
    await ns.set("id", "1000")
    assert await ns.incr("id") == 1001


async def test_delete_and_purge_begin_anew(ns: AsyncNamespace, raw: Any) -> None:
    await ns.set("other", "lives")
    await ns.incr("id", 41)
    await ns.delete("id")
    assert await ns.incr("id") == 1
    await raw.delete(ns.key("id"))
    assert await ns.delete("id") is False  # the key was gone, but the index remembered it
    assert await ns.incr("id") == 1
    await ns.incr("id", 9)
    await ns.purge()
    assert await ns.incr("id") == 1


async def test_a_hash_in_a_lost_counters_place_can_be_emptied(ns: AsyncNamespace, raw: Any) -> None:
    """The slot may become something else meanwhile; the ids stay spent."""
    await ns.incr("id", 41)
    await raw.delete(ns.key("id"))
    await ns.hset("id", "f", "1")
    with pytest.raises(WrongTypeError):
        await ns.incr("id")
    await ns.hdel("id", "f")
    assert await ns.incr("id") == 42


@pytest.mark.parametrize("text", ["", "x", "1.5", " 1", "01", "+1", "9223372036854775808", "-0"])
async def test_a_slot_that_holds_no_integer_is_no_counter(ns: AsyncNamespace, text: str) -> None:
    await ns.set("id", text)
    with pytest.raises(WrongTypeError) as caught:
        await ns.incr("id")
    assert (caught.value.key, caught.value.operation) == (ns.key("id"), "incr")
    assert await ns.get("id") == text


@pytest.mark.parametrize("start", [-5, 2**53, 2**63 - 10, -(2**63)])
async def test_ids_are_exact_beyond_doubles(ns: AsyncNamespace, raw: Any, start: int) -> None:
    await ns.set("id", str(start))
    assert await ns.incr("id", 9) == start + 9
    await raw.delete(ns.key("id"))
    if start + 9 < 2**63 - 1:
        assert await ns.incr("id") == start + 10


async def test_ids_end_at_64_bits(ns: AsyncNamespace, raw: Any) -> None:
    """With redis-py's error, and nothing is written."""
    await ns.set("id", str(2**63 - 2))
    assert await ns.incr("id") == 2**63 - 1
    for _ in range(2):
        with pytest.raises(redis.ResponseError, match="overflow"):
            await ns.incr("id")
        await raw.delete(ns.key("id"))
    assert await ns.slots() == []
