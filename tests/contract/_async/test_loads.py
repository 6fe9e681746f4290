"""Whole slots: several of a namespace at one moment, and one of many namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import (
    AsyncNamespace,
    AsyncSessionStore,
    CasContentionError,
    CodecError,
    InvalidNameError,
    WrongTypeError,
)

pytestmark = pytest.mark.every_setting


@pytest.fixture
async def page(ns: AsyncNamespace) -> dict[str, Any]:
    """What a namespace holds."""
    await ns.set("step", "addreß")
    await ns.set("empty", "")
    await ns.hset("basket", mapping={"tea": "2", "": "x", "large": "y" * 100_000})
    await ns.incr("ids", 41)
    return {
        "step": "addreß",
        "empty": "",
        "basket": {"tea": "2", "": "x", "large": "y" * 100_000},
        "ids": "41",
    }


async def test_load_reads_all_slots(ns: AsyncNamespace, page: dict[str, Any]) -> None:
    assert await ns.load() == page


async def test_load_reads_the_named_slots(ns: AsyncNamespace, page: dict[str, Any]) -> None:
    """One that does not live is left out; one named twice is there once."""
    assert await ns.load("step", "basket", "nowhere", "step") == {"step": page["step"], "basket": page["basket"]}
    assert await ns.load("nowhere") == {}


async def test_load_of_an_empty_namespace(ns: AsyncNamespace, recorder: Any) -> None:
    assert await ns.load() == {}


async def test_load_leaves_out_what_has_expired(ns: AsyncNamespace, page: dict[str, Any], pass_time: Any) -> None:
    await ns.set("step", "soon gone", ttl=10)
    await pass_time(11)
    del page["step"]
    assert await ns.load() == page


async def test_load_moves_no_ttl_and_makes_no_writer_lose(ns: AsyncNamespace, page: dict[str, Any], raw: Any) -> None:
    runs: list[int] = []

    async def fn(snap: Any, ops: Any) -> None:
        runs.append(1)
        before = await raw.pttl(ns.key("ids"))
        await ns.load()
        assert await raw.pttl(ns.key("ids")) <= before
        ops.set("step", "on")

    await ns.with_cas(["step", "ids"], fn)
    assert runs == [1]


async def test_load_shows_one_moment(ns: AsyncNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that comes between the listing and the reading is there, and what went with it is not."""
    await ns.set("basket", "full")
    listed = type(ns)._listed

    async def stale(self: AsyncNamespace) -> list[bytes]:
        keys = await listed(self)

        async def order(snap: Any, ops: Any) -> None:
            ops.delete("basket")
            ops.set("order", "1")

        await ns.with_cas("basket", order)
        return keys

    monkeypatch.setattr(type(ns), "_listed", stale)
    assert await ns.load() == {"order": "1"}


async def test_load_gives_up_on_writers_that_never_stop(ns: AsyncNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 16 times."""
    run, calls = type(ns._commands).run, []

    async def slow(self: Any, script: Any, keys: Any, args: Any) -> Any:
        if args == ("all",):
            calls.append(1)
            await ns.set(f"new{len(calls)}", "1")
        return await run(self, script, keys, args)

    await ns.set("a", "1")
    monkeypatch.setattr(type(ns._commands), "run", slow)
    with pytest.raises(CasContentionError):
        await ns.load()
    assert len(calls) == 16


async def test_load_refuses_what_is_not_ours(ns: AsyncNamespace, raw: Any) -> None:
    await ns.set("a", "1")
    await raw.rpush(ns.key("b"), "1")
    with pytest.raises(WrongTypeError) as caught:
        await ns.load("a", "b")
    assert (caught.value.key, caught.value.operation) == (ns.key("b"), "load")
    await raw.set(ns.key("b"), b"\xff")
    with pytest.raises(CodecError) as unreadable:
        await ns.load("a", "b")
    assert unreadable.value.key == ns.key("b")
    await raw.delete(ns.key("b"))
    with pytest.raises(InvalidNameError):
        await ns.load("a", "~index")


async def test_load_is_what_it_costs(ns: AsyncNamespace, page: dict[str, Any], recorder: Any) -> None:
    await ns.load("step")  # the server knows the script now
    recorder.clear()
    await ns.load("step", "basket")
    assert recorder.writes == [("EVALSHA",)]
    recorder.clear()
    await ns.load()
    assert recorder.writes == [("HKEYS",), ("EVALSHA",)]


async def test_load_many_reads_a_slot_of_each_namespace(store: AsyncSessionStore) -> None:
    for number in range(30):
        await store.namespace(f"u{number}").hset("basket", "tea", str(number))
    await store.namespace("u30").set("basket", "a string")
    names = [f"u{number}" for number in range(40)]
    assert await store.load_many(iter([*names, "u3"]), "basket") == {
        **{f"u{number}": {"tea": str(number)} for number in range(30)},
        "u30": "a string",
    }


async def test_load_many_of_no_namespace_sends_nothing(store: AsyncSessionStore, recorder: Any) -> None:
    assert await store.load_many([], "basket") == {}
    assert recorder.commands == []


async def test_load_many_is_one_pipeline(store: AsyncSessionStore, recorder: Any) -> None:
    await store.load_many(["u1"], "basket")
    recorder.clear()
    await store.load_many([f"u{number}" for number in range(50)], "basket")
    assert recorder.writes == [("EVALSHA",) * 50]


async def test_load_many_on_a_server_that_forgot_the_script(store: AsyncSessionStore, raw: Any) -> None:
    await store.namespace("u1").set("a", "1")
    await store.namespace("u2").set("a", "2")
    await raw.script_flush()
    assert await store.load_many(["u1", "u2"], "a") == {"u1": "1", "u2": "2"}


async def test_load_many_refuses_bad_input_before_anything_is_sent(store: AsyncSessionStore, recorder: Any) -> None:
    with pytest.raises(InvalidNameError):
        await store.load_many(["u1", "u:2"], "a")
    with pytest.raises(InvalidNameError):
        await store.load_many(["u1"], "~index")
    with pytest.raises(TypeError):
        await store.load_many("u1", "a")
    assert recorder.commands == []


async def test_load_many_says_which_slot_is_not_ours(store: AsyncSessionStore, raw: Any) -> None:
    key = store.namespace("u2").key("a")
    await raw.rpush(key, "1")
    with pytest.raises(WrongTypeError) as caught:
        await store.load_many(["u1", "u2"], "a")
    assert caught.value.key == key
    await raw.delete(key)
