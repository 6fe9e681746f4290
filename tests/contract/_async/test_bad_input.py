"""Bad input gets a clear error, and nothing is sent."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from session_store import (
    AsyncNamespace,
    AsyncSessionStore,
    CasPolicy,
    InvalidNameError,
    JsonCodec,
    NestedCasError,
    TextCodec,
)

BAD_EVERYWHERE = ["", "x" * 513, "ä" * 257, "a{b", "a}b", "a b", "a\nb", "a\tb", "a\0b", "a\x85b", "a\u2003b", "\ud800"]
NOT_STR = [None, 1, b"a", ["a"]]
BAD_NAMESPACES = [*BAD_EVERYWHERE, *NOT_STR, "a:b"]
BAD_SLOTS = [*BAD_EVERYWHERE, *NOT_STR, "~index", "~"]
GOOD_NAMESPACES = ["x" * 512, "ä" * 256, "*?[]^\\", "index~", "é", "e\u0301", "a-b_c.d/e%f", "'\"`$;"]
GOOD_SLOTS = [*GOOD_NAMESPACES[:3], "a:b", ":", "a~", "é", "e\u0301"]
BAD_TTLS: list[Any] = [
    0,
    -1,
    -0.001,
    0.0004,
    float("nan"),
    float("inf"),
    10**13,
    10**5000,
    timedelta(0),
    timedelta(seconds=-1),
]
NO_TTLS: list[Any] = [True, False, "60", b"60", [60], 1j]
NO_TEXT: list[Any] = [None, 1, 1.5, b"bytes", ["list"], "\ud800 lone"]
NO_JSON: list[Any] = [
    b"bytes",
    {1, 2},
    (1,),
    {1: 2},
    float("nan"),
    float("inf"),
    object(),
    "\ud800",
    {"a": b"x"},
    1j,
]


def calls_with_slot(ns: AsyncNamespace, slot: Any) -> list[Any]:
    """Every method that takes a slot."""

    async def fn(snap: Any, ops: Any) -> None: ...

    return [
        lambda: ns.get(slot),
        lambda: ns.set(slot, "1"),
        lambda: ns.delete(slot),
        lambda: ns.exists(slot),
        lambda: ns.ttl(slot),
        lambda: ns.hget(slot, "f"),
        lambda: ns.hmget(slot, ["f"]),
        lambda: ns.hset(slot, "f", "1"),
        lambda: ns.hdel(slot, "f"),
        lambda: ns.hgetall(slot),
        lambda: ns.hkeys(slot),
        lambda: ns.hlen(slot),
        lambda: ns.hexists(slot, "f"),
        lambda: ns.hincrby(slot, "f"),
        lambda: ns.incr(slot),
        lambda: ns.with_cas([slot], fn),
        lambda: ns.with_cas(["good", slot], fn),
    ]


async def test_bad_slots_are_refused(ns: AsyncNamespace, recorder: Any) -> None:
    for slot in BAD_SLOTS:
        for call in calls_with_slot(ns, slot):
            with pytest.raises(InvalidNameError, match="slot must be") as caught:
                await call()
            assert caught.value.argument == "slot"
            assert caught.value.value == slot
            assert len(str(caught.value)) < 300
        with pytest.raises(InvalidNameError):
            ns.key(slot)
        assert recorder.writes == []


async def test_bad_namespaces_are_refused(store: AsyncSessionStore, recorder: Any) -> None:
    for name in BAD_NAMESPACES:
        with pytest.raises(InvalidNameError, match="namespace must be") as caught:
            store.namespace(name)
        assert (caught.value.argument, caught.value.value) == ("namespace", name)
        assert recorder.writes == []


async def test_good_namespaces_work_and_stay_apart(store: AsyncSessionStore) -> None:
    for name in GOOD_NAMESPACES:
        for each in GOOD_NAMESPACES:
            await store.namespace(each).set("a", each)
        assert await store.namespace(name).get("a") == name
        assert name in [live async for live in store.namespaces()]
        assert await store.namespace(name).purge(scan=True) == 1
        assert len([live async for live in store.namespaces()]) == len(GOOD_NAMESPACES) - 1


async def test_good_slots_work_and_stay_apart(ns: AsyncNamespace) -> None:
    for slot in GOOD_SLOTS:
        await ns.set(slot, slot)
    assert await ns.slots() == sorted(GOOD_SLOTS)
    assert [await ns.get(slot) for slot in GOOD_SLOTS] == GOOD_SLOTS


async def test_bad_fields_are_refused(ns: AsyncNamespace, recorder: Any) -> None:
    for field in ["\ud800", None, 1, b"f"]:
        calls = [
            lambda: ns.hget("h", field),
            lambda: ns.hmget("h", ["f", field]),
            lambda: ns.hset("h", mapping={field: "1"}),
            lambda: ns.hdel("h", "f", field),
            lambda: ns.hexists("h", field),
            lambda: ns.hincrby("h", field),
        ]
        for call in calls:
            with pytest.raises(InvalidNameError, match="field must be"):
                await call()
        assert recorder.writes == []


async def test_bad_ttls_are_refused(ns: AsyncNamespace, store: Any, client: Any, recorder: Any) -> None:
    for ttl in BAD_TTLS + NO_TTLS:
        error = ValueError if ttl in BAD_TTLS and not isinstance(ttl, bool) else TypeError
        calls = [
            lambda: ns.set("a", "1", ttl=ttl),
            lambda: ns.hset("a", "f", "1", ttl=ttl),
            lambda: ns.touch(ttl=ttl),
            lambda: ns.purge(fence=ttl),
            lambda: ns.create(lifetime=ttl),
        ]
        for call in calls:
            with pytest.raises(error, match=r"(ttl|fence|lifetime) must be"):
                await call()
        with pytest.raises(error, match="default_ttl must be"):
            AsyncSessionStore(client, prefix="p", default_ttl=ttl)
        assert recorder.writes == []


async def test_values_that_the_codec_does_not_take_are_refused(ns: AsyncNamespace, recorder: Any) -> None:
    """Without showing the value."""
    for value in NO_TEXT:
        calls = [
            lambda: ns.set("a", value),
            lambda: ns.hset("a", "f", value),
            lambda: ns.hset("a", mapping={"g": "1", "f": value}),
        ]
        for call in calls:
            with pytest.raises(TypeError, match="value must be a str") as caught:
                await call()
            assert "lone " not in str(caught.value).replace("lone surrogates", "")
            assert caught.value.__context__ is None
        assert recorder.writes == []


async def test_values_that_are_not_json_are_refused(client: Any, recorder: Any, prefix: str) -> None:
    for value in NO_JSON:
        ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60, codec=JsonCodec()).namespace("u")
        for call in (lambda: ns.set("a", value), lambda: ns.hset("a", "f", {"deep": [value]})):
            with pytest.raises(TypeError, match="value must be a JSON value") as caught:
                await call()
            assert caught.value.__context__ is None
        assert recorder.writes == []


async def test_amounts_are_integers_of_64_bits(ns: AsyncNamespace, recorder: Any) -> None:
    for amount in [True, 1.0, "1", None, 2**63, -(2**63) - 1, 10**5000]:
        for call in (lambda: ns.incr("n", amount), lambda: ns.hincrby("h", "f", amount)):
            with pytest.raises((TypeError, ValueError), match="amount must be"):
                await call()
        assert recorder.writes == []


async def test_ids_only_go_up(ns: AsyncNamespace, recorder: Any) -> None:
    for amount in (0, -1):
        with pytest.raises(ValueError, match="amount must be from 1"):
            await ns.incr("n", amount)
    assert recorder.writes == []


async def test_nx_and_xx_exclude_each_other(ns: AsyncNamespace, recorder: Any) -> None:
    with pytest.raises(ValueError, match="nx and xx"):
        await ns.set("a", "1", nx=True, xx=True)
    assert recorder.writes == []


async def test_bad_prefixes_are_refused(client: Any) -> None:
    for prefix in ["", "a:b", "a b", "a_b", "ä", "a*", None, b"a", "a\n"]:
        with pytest.raises(InvalidNameError, match="prefix must be") as caught:
            AsyncSessionStore(client, prefix=prefix, default_ttl=60)
        assert caught.value.argument == "prefix"


async def test_with_cas_watches_a_slot_or_several(ns: AsyncNamespace, recorder: Any) -> None:
    for slot in [[], (), None, {"a"}, b"a", 7]:

        async def fn(snap: Any, ops: Any) -> None: ...

        with pytest.raises(InvalidNameError, match="slot must be"):
            await ns.with_cas(slot, fn)
        assert recorder.writes == []


async def test_retries_are_counted(ns: AsyncNamespace, recorder: Any) -> None:
    for retries in [-1, 1.5, True, "3"]:

        async def fn(snap: Any, ops: Any) -> None: ...

        with pytest.raises((TypeError, ValueError), match="max_retries must"):
            await ns.with_cas("a", fn, max_retries=retries)
        with pytest.raises((TypeError, ValueError), match="max_retries must"):
            CasPolicy(max_retries=retries)
        assert recorder.writes == []


async def test_with_cas_inside_a_closure_of_the_same_namespace_is_refused(
    ns: AsyncNamespace, store: AsyncSessionStore
) -> None:
    """Through whatever handle; of another namespace it is allowed."""

    async def inner(snap: Any, ops: Any) -> str:
        ops.set("b", "1")
        return "inner"

    async def outer(snap: Any, ops: Any) -> str:
        with pytest.raises(NestedCasError) as caught:
            await store.namespace("u").with_cas("b", inner)
        assert caught.value.namespace == "u"
        return await store.namespace("v").with_cas("b", inner)

    assert await ns.with_cas("a", outer) == "inner"
    assert await ns.slots() == []
    assert await ns.with_cas("a", inner) == "inner"


async def test_a_client_of_another_kind_is_refused() -> None:
    client: Any
    for client in (None, "redis://", object()):
        with pytest.raises(TypeError, match="client must be"):
            AsyncSessionStore(client, prefix="p", default_ttl=60)


async def test_bad_settings_are_refused(client: Any, recorder: Any) -> None:
    """When the store is made, not at its first use."""
    for setting, values in {
        "codec": [None, TextCodec, object()],
        "cas_policy": [None, 3],
        "logger": ["shop", print, object()],
        "log_name": ["shop", True],
        "hash_tags": ["yes", 2, {}],
    }.items():
        for value in values:
            with pytest.raises(TypeError, match=f"{setting} must be"):
                AsyncSessionStore(client, prefix="p", default_ttl=60, **{setting: value})
    assert recorder.writes == []


async def test_reprs_show_no_data(store: AsyncSessionStore, ns: AsyncNamespace, prefix: str) -> None:
    await ns.set("a", "secret")
    assert repr(store) == f"{type(store).__name__}(prefix='{prefix}', default_ttl=1000)"
    assert repr(ns) == f"{type(ns).__name__}(prefix='{prefix}', name='u')"
    assert ns.name == "u"


async def test_events_reach_a_standard_logger(client: Any, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """The event is the message; its fields are attributes of the record."""
    logger = logging.getLogger(f"shop.{prefix}")
    ns = AsyncSessionStore(client, prefix=prefix, default_ttl=60, logger=logger).namespace("u")
    with caplog.at_level(logging.INFO, logger.name):
        await ns.purge()
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname, record.name) == ("session-store: purge", "INFO", logger.name)
    assert (record.namespace, record.key_count, type(record.ts)) == ("u", 0, float)
