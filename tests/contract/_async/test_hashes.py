"""Hash slots."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from support.leaks import leaks

from session_store import AsyncNamespace, AsyncSessionStore, CodecError, JsonCodec, WrongTypeError

pytestmark = pytest.mark.every_setting

FIELDS = ["", " ", "a:b{c}", "ä€😀", "~era", "\0\r\n", "x" * 1000]


async def test_a_slot_that_was_never_written_is_an_empty_hash(ns: AsyncNamespace) -> None:
    assert await ns.hget("h", "f") is None
    assert await ns.hmget("h", ["f", "g"]) == [None, None]
    assert await ns.hgetall("h") == {}
    assert await ns.hkeys("h") == []
    assert await ns.hlen("h") == 0
    assert await ns.hexists("h", "f") is False
    assert await ns.hdel("h", "f") == 0


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ascii(field[:12]))
async def test_any_string_is_a_field(ns: AsyncNamespace, field: str) -> None:
    assert await ns.hset("h", field, "v") == 1
    assert await ns.hget("h", field) == "v"
    assert await ns.hexists("h", field) is True
    assert await ns.hkeys("h") == [field]
    assert await ns.hdel("h", field) == 1


async def test_hset_counts_new_fields(ns: AsyncNamespace) -> None:
    assert await ns.hset("h", "a", "1") == 1
    assert await ns.hset("h", "a", "2") == 0
    assert await ns.hset("h", mapping={"a": "3", "b": "4", "c": ""}) == 2
    assert await ns.hgetall("h") == {"a": "3", "b": "4", "c": ""}
    assert await ns.hmget("h", ["b", "no", "a"]) == ["4", None, "3"]
    assert await ns.hmget("h", iter(["c"])) == [""]
    assert await ns.hmget("h", []) == []
    assert sorted(await ns.hkeys("h")) == ["a", "b", "c"]
    assert await ns.hlen("h") == 3


async def test_hset_takes_a_field_or_a_mapping(ns: AsyncNamespace) -> None:
    with pytest.raises(TypeError, match="and not both"):
        await ns.hset("h", "a", "1", mapping={"b": "2"})
    with pytest.raises(TypeError, match="and not both"):
        await ns.hset("h")
    with pytest.raises(TypeError, match="and not both"):
        await ns.hset("h", value="1", mapping={"b": "2"})
    with pytest.raises(ValueError, match="at least one field"):
        await ns.hset("h", mapping={})
    with pytest.raises(ValueError, match="at least one field"):
        await ns.hdel("h")
    with pytest.raises(TypeError, match="not one string"):
        await ns.hmget("h", "abc")
    assert await ns.exists("h") is False


async def test_a_forgotten_value_is_not_a_null(client: Any, ns: AsyncNamespace, prefix: str) -> None:
    """Not even where None is a value."""
    drafts = AsyncSessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()).namespace("u")
    with pytest.raises(TypeError, match="a field and a value"):
        await drafts.hset("h", "f")
    await drafts.hset("h", "g", None)
    assert await drafts.hgetall("h") == {"g": None}


async def test_more_fields_than_lua_can_unpack(ns: AsyncNamespace) -> None:
    """Ten thousand go in and out in one call each, all or none."""
    many = {f"f{number}": str(number) for number in range(10_000)}
    assert await ns.hset("h", mapping=many) == 10_000
    assert await ns.hgetall("h") == many
    assert await ns.hmget("h", list(many)) == list(many.values())
    assert await ns.hdel("h", *many) == 10_000
    assert await ns.slots() == []


async def test_writes_set_the_ttl_and_reads_do_not(ns: AsyncNamespace) -> None:
    await ns.hset("h", "a", "1", ttl=50)
    await ns.hgetall("h")
    await ns.hlen("h")
    assert await ns.ttl("h") == pytest.approx(50, abs=5)
    await ns.hset("h", mapping={"b": "2"}, ttl=70)
    assert await ns.ttl("h") == pytest.approx(70, abs=5)
    await ns.hincrby("h", "b")
    assert await ns.ttl("h") == pytest.approx(1000, abs=5)


async def test_hdel_renews_what_it_changes(ns: AsyncNamespace) -> None:
    await ns.hset("h", mapping={"a": "1", "b": "2", "c": "3"}, ttl=50)
    assert await ns.hdel("h", "nothing") == 0
    assert await ns.ttl("h") == pytest.approx(50, abs=5)
    assert await ns.hdel("h", "a", "nothing", "b") == 2
    assert await ns.ttl("h") == pytest.approx(1000, abs=5)
    assert await ns.hdel("h", "c") == 1
    assert await ns.exists("h") is False
    assert await ns.slots() == []


async def test_hincrby_adds_to_an_integer(ns: AsyncNamespace) -> None:
    assert await ns.hincrby("h", "n") == 1
    assert await ns.hincrby("h", "n", 41) == 42
    assert await ns.hincrby("h", "n", -50) == -8
    await ns.hset("h", "m", "7")
    assert await ns.hincrby("h", "m", 0) == 7
    assert await ns.hgetall("h") == {"n": "-8", "m": "7"}


@pytest.mark.parametrize("start", [2**53, 2**63 - 10, -(2**63) + 10])
async def test_hincrby_is_exact_beyond_doubles(ns: AsyncNamespace, start: int) -> None:
    await ns.hset("h", "n", str(start))
    assert await ns.hincrby("h", "n", 9) == start + 9
    assert await ns.hincrby("h", "n", -18) == start - 9


@pytest.mark.parametrize("start", [2**63 - 1, -(2**63)])
async def test_a_sum_beyond_64_bits_is_refused(ns: AsyncNamespace, start: int) -> None:
    """As Redis refuses it: with redis-py's error, and nothing is written."""
    await ns.hset("h", "n", str(start), ttl=50)
    with pytest.raises(redis.ResponseError, match="overflow"):
        await ns.hincrby("h", "n", 1 if start > 0 else -1)
    assert await ns.hget("h", "n") == str(start)
    assert await ns.ttl("h") == pytest.approx(50, abs=5)


@pytest.mark.parametrize("text", ["", "x", "1.5", " 1", "01", "+1", "9223372036854775808", "-0", "1e3"])
async def test_hincrby_refuses_what_is_no_integer(ns: AsyncNamespace, text: str) -> None:
    await ns.hset("h", "n", text)
    with pytest.raises(WrongTypeError) as caught:
        await ns.hincrby("h", "n")
    assert (caught.value.key, caught.value.operation) == (ns.key("h"), "hincrby")
    assert await ns.hgetall("h") == {"n": text}


async def test_a_string_is_not_a_hash(ns: AsyncNamespace) -> None:
    await ns.set("a", "1")
    calls = {
        "hget": lambda: ns.hget("a", "f"),
        "hmget": lambda: ns.hmget("a", ["f"]),
        "hgetall": lambda: ns.hgetall("a"),
        "hkeys": lambda: ns.hkeys("a"),
        "hlen": lambda: ns.hlen("a"),
        "hexists": lambda: ns.hexists("a", "f"),
        "hset": lambda: ns.hset("a", "f", "1"),
        "hdel": lambda: ns.hdel("a", "f"),
        "hincrby": lambda: ns.hincrby("a", "f"),
    }
    for operation, call in calls.items():
        with pytest.raises(WrongTypeError) as caught:
            await call()
        assert (caught.value.key, caught.value.operation) == (ns.key("a"), operation)
    assert await ns.get("a") == "1"


async def test_fields_and_values_that_are_no_text_are_codec_errors(ns: AsyncNamespace, raw: Any) -> None:
    await ns.hset("h", "good", "1")
    await raw.hset(ns.key("h"), b"secret\xff", b"1")
    await raw.hset(ns.key("h"), b"value", b"secret\xff")
    for call in (lambda: ns.hkeys("h"), lambda: ns.hgetall("h"), lambda: ns.hget("h", "value")):
        with pytest.raises(CodecError) as caught:
            await call()
        assert caught.value.key == ns.key("h")
        assert leaks(caught.value, "secret") == []
    assert await ns.hget("h", "good") == "1"
