"""String slots."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from support.leaks import leaks

from session_store import AsyncNamespace, AsyncSessionStore, CodecError, JsonCodec, WrongTypeError

pytestmark = pytest.mark.every_setting

VALUES = [
    "",
    "x",
    "a b\r\nc\0d",
    "ä€😀\U0010ffff",
    "\ufeff",
    "".join(chr(plane * 0x10000 + 0x1234) for plane in range(17)),
    "x" * 2**20,
]


async def test_a_slot_that_was_never_written_reads_as_none(ns: AsyncNamespace) -> None:
    assert await ns.get("a") is None
    assert await ns.exists("a") is False
    assert await ns.ttl("a") is None


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value[:12]))
async def test_a_value_reads_back_as_it_was_written(ns: AsyncNamespace, value: str) -> None:
    assert await ns.set("a", value) is True
    assert await ns.get("a") == value
    assert await ns.exists("a") is True


async def test_set_overwrites_value_and_ttl(ns: AsyncNamespace) -> None:
    await ns.set("a", "1", ttl=50)
    await ns.set("a", "2")
    assert await ns.get("a") == "2"
    assert await ns.ttl("a") == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [(100, 100), (100.5, 100.5), (timedelta(days=30), 2_592_000), (31_556_952_000, 31_556_952_000), (10**12, 10**12)],
)
async def test_a_ttl_is_kept_exactly(ns: AsyncNamespace, raw: Any, ttl: Any, seconds: float) -> None:
    """Down to the millisecond, up to a thousand years and more; the index lives as long."""
    await ns.set("a", "1", ttl=ttl)
    left = await raw.pttl(ns.key("a"))
    assert seconds * 1000 - 5000 < left <= seconds * 1000
    assert await raw.pttl(ns.key("a").removesuffix("a") + "~index") >= left
    assert await ns.ttl("a") == pytest.approx(seconds, abs=5)


async def test_a_millisecond_is_a_ttl(ns: AsyncNamespace, pass_time: Any) -> None:
    """However soon it expires, it was written with its TTL."""
    assert await ns.set("a", "1", ttl=0.001) is True
    await pass_time(1)
    assert await ns.exists("a") is False


async def test_a_slot_expires(ns: AsyncNamespace, pass_time: Any) -> None:
    await ns.set("short", "1", ttl=100)
    await ns.set("long", "2")
    await pass_time(101)
    assert await ns.get("short") is None
    assert await ns.get("long") == "2"
    assert await ns.slots() == ["long"]


async def test_everything_expires(ns: AsyncNamespace, raw: Any, prefix: str, pass_time: Any) -> None:
    """The index and the counters too: nothing of a session is left."""
    await ns.set("a", "1")
    await ns.hset("h", "f", "1")
    await ns.incr("n")
    await pass_time(1001)
    assert [key async for key in raw.scan_iter(match=f"{prefix}:*")] == []


async def test_nx_writes_only_a_new_slot(ns: AsyncNamespace) -> None:
    assert await ns.set("a", "1", nx=True) is True
    assert await ns.set("a", "2", nx=True, ttl=50) is False
    assert await ns.get("a") == "1"
    assert await ns.ttl("a") == pytest.approx(1000, abs=5)


async def test_xx_writes_only_an_old_slot(ns: AsyncNamespace) -> None:
    assert await ns.set("a", "1", xx=True) is False
    assert await ns.exists("a") is False
    assert await ns.slots() == []
    await ns.set("a", "1")
    assert await ns.set("a", "2", xx=True, ttl=50) is True
    assert await ns.get("a") == "2"
    assert await ns.ttl("a") == pytest.approx(50, abs=5)


async def test_delete_tells_whether_there_was_a_slot(ns: AsyncNamespace) -> None:
    await ns.set("a", "1")
    await ns.hset("h", "f", "1")
    assert [await ns.delete(slot) for slot in ("a", "h", "a", "never")] == [True, True, False, False]
    assert await ns.slots() == []


async def test_a_hash_is_not_a_string(ns: AsyncNamespace) -> None:
    """Neither read nor overwritten: the basket is still there."""
    await ns.hset("h", "f", "1")
    calls = [
        ("get", lambda: ns.get("h")),
        ("set", lambda: ns.set("h", "x")),
        ("set", lambda: ns.set("h", "x", xx=True)),
    ]
    for operation, call in calls:
        with pytest.raises(WrongTypeError) as caught:
            await call()
        assert (caught.value.key, caught.value.operation) == (ns.key("h"), operation)
    assert await ns.hgetall("h") == {"f": "1"}


async def test_what_others_wrote_of_another_type_is_refused(ns: AsyncNamespace, raw: Any) -> None:
    await raw.rpush(ns.key("list"), "1")
    calls = [
        lambda: ns.get("list"),
        lambda: ns.set("list", "x"),
        lambda: ns.hset("list", "f", "x"),
        lambda: ns.incr("list"),
        lambda: ns.hgetall("list"),
    ]
    for call in calls:
        with pytest.raises(WrongTypeError):
            await call()
    assert await raw.lrange(ns.key("list"), 0, -1) == [b"1"]
    assert await ns.delete("list") is True


async def test_a_key_whose_ttl_others_took_away_lives_on_and_gets_one_again(ns: AsyncNamespace, raw: Any) -> None:
    await ns.set("a", "1")
    await raw.persist(ns.key("a"))
    assert await ns.ttl("a") == math.inf
    assert await ns.touch() == 1
    assert await ns.ttl("a") == pytest.approx(1000, abs=5)


async def test_bytes_that_are_no_text_are_a_codec_error_without_the_value(ns: AsyncNamespace, raw: Any) -> None:
    """Neither the message nor the chain of causes shows what was read."""
    await ns.set("a", "")
    await raw.append(ns.key("a"), b"secret\xff")
    with pytest.raises(CodecError) as caught:
        await ns.get("a")
    assert caught.value.key == ns.key("a")
    assert leaks(caught.value, "secret") == []


JSON_VALUES = [None, True, 0, -1.5, 2**53, 2**70, "", "ä", [], {}, [1, [2, {"a": None}]], {"sku": "A-1", "qty": 2}]


@pytest.mark.parametrize("value", JSON_VALUES, ids=str)
async def test_json_values_read_back_equal(client: Any, store: Any, prefix: str, value: Any) -> None:
    ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()).namespace("u")
    await ns.set("a", value)
    await ns.hset("h", mapping={"f": value})
    assert await ns.get("a") == value
    assert await ns.hgetall("h") == {"f": value}
    assert await ns.exists("a")


async def test_text_is_no_json(client: Any, ns: AsyncNamespace, prefix: str) -> None:
    await ns.set("a", "not json")
    other = AsyncSessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()).namespace("u")
    with pytest.raises(CodecError) as caught:
        await other.get("a")
    assert caught.value.key == ns.key("a")
    assert leaks(caught.value, "not json") == []
