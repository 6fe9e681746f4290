"""How long the server remembers calls: for 10 minutes, and not for ever; and how large an index gets."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore
from session_store._core import tokens
from session_store.testing._async._flavour import gather

KEPT = 600  # seconds
MANY = 5_000
AT_ONCE = 64


class Process:
    """One that makes a call at a time in a namespace. It stands for those that come and go."""

    def __init__(self, ns: AsyncNamespace, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ns = ns
        self._recorder = recorder
        self._patch = monkeypatch
        self._identity = tokens._Identity()
        self.field = self._identity.name + b"0"
        self.sent: list[bytes] = []  # its latest call

    async def incr(self) -> int:
        self._patch.setattr(tokens, "_identity", self._identity)
        self._recorder.clear()
        number = await self._ns.incr("id")
        ((self.sent,),) = self._recorder.commands[-1:]
        return number


@pytest.fixture
def make_process(ns: AsyncNamespace, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes a process, of the namespace `ns` unless it is given another."""
    return lambda namespace=ns: Process(namespace, recorder, monkeypatch)


@pytest.fixture
def index(prefix: str) -> str:
    return f"{prefix}:u:~index"


async def writers(raw: Any, index: str) -> set[bytes]:
    """The fields of those whose latest call the index remembers."""
    return {field for field in await raw.hkeys(index) if field.startswith(b"~")} - {b"~fence"}


@pytest.mark.parametrize("age", [1, 300, KEPT - 3])
async def test_a_call_is_recognised_for_ten_minutes(
    ns: AsyncNamespace, raw: Any, make_process: Any, pass_time: Any, age: int
) -> None:
    """Whoever comes then, and tidies the index."""
    process = make_process()
    assert await process.incr() == 1
    await pass_time(age)
    await make_process().incr()
    await pass_time(KEPT - 2 - age)
    assert await make_process().incr() == 3
    assert await raw.execute_command(*process.sent) == b"1"
    assert await ns.get("id") == "3"


async def test_the_next_one_who_comes_drops_a_record_that_is_older(
    raw: Any, index: str, make_process: Any, pass_time: Any, draw: Any
) -> None:
    """One who has a record need not."""
    draw("does not")
    old, busy, new = (make_process() for _ in range(3))
    await old.incr()
    await busy.incr()
    await pass_time(KEPT + 2)
    await busy.incr()
    assert await writers(raw, index) == {old.field, busy.field}
    await new.incr()
    assert await writers(raw, index) == {busy.field, new.field}


async def test_one_call_in_some_drops_old_records_where_nobody_comes(
    raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    """One process that stays is enough, and what is random decides at which of its calls."""
    processes = [make_process() for _ in range(5)]
    for process in processes:
        await process.incr()
    await pass_time(KEPT + 2)
    calls = 0
    while len(await writers(raw, index)) > 1:
        await processes[0].incr()
        calls += 1
        assert calls < 1_000
    assert await writers(raw, index) == {processes[0].field}


async def test_dropping_records_leaves_the_rest_of_the_index(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any, draw: Any
) -> None:
    """Slots, whatever their names and values, and where counters stand: those at nought and below as well."""
    slots = ["a", "h", "nine-long", "\u0394\u0394\u0394\u0394x", "x" * 300, "-1", "=1", "0"]
    for slot in slots:
        await ns.hset(slot, "f", "1")
    await ns.set("00000000", "a value like a second")
    await ns.set("below", "-9")
    assert await ns.incr("below", 2) == -7
    await ns.set("nought", "-1")
    assert await ns.incr("nought") == 0
    old, new = make_process(), make_process()
    assert await old.incr() == 1
    await ns.touch(ttl=5 * KEPT)
    await raw.delete(ns.key("below"), ns.key("nought"))
    await pass_time(KEPT + 2)
    draw("tidies")
    for _ in range(3):
        await new.incr()
    assert await writers(raw, index) == {new.field}
    assert await ns.slots() == sorted([*slots, "00000000", "id"])
    assert (await ns.incr("below"), await ns.incr("nought")) == (-6, 1)


async def test_a_fence_that_was_raised_before_is_kept(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    await make_process().incr()
    await ns.purge(fence=3 * KEPT)
    assert await raw.hkeys(index) == [b"~fence"]
    await pass_time(3 * KEPT - 2)
    assert await raw.hkeys(index) == [b"~fence"]
    await pass_time(3)
    assert await make_process().incr() == 1


async def test_a_clock_that_went_back_forgets_nothing(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, set_clock_back: Any, pass_time: Any
) -> None:
    """A clock that was a day ahead is set right: records are then kept for 10 minutes more, and not for a day."""
    process = make_process()
    await process.incr()
    await set_clock_back(86_400)
    await make_process().incr()
    await pass_time(KEPT - 2)
    await make_process().incr()
    assert await raw.execute_command(*process.sent) == b"1"
    assert await ns.get("id") == "3"
    assert len(await writers(raw, index)) == 3
    await pass_time(4)
    last = make_process()
    await last.incr()
    assert process.field not in await writers(raw, index)
    assert len(await writers(raw, index)) == 2


@pytest.fixture
async def crowded(ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any) -> None:
    """An index with thousands of records that are old, and one that is not, of a counter."""
    old = make_process()
    await old.incr()
    record = await raw.hget(index, old.field)
    await raw.hset(index, mapping={b"~%08d0" % number: record for number in range(MANY)})
    await ns.touch(ttl=5 * KEPT)
    await pass_time(KEPT + 2)


async def test_thousands_of_records_go_by_and_by(
    ns: AsyncNamespace, raw: Any, index: str, crowded: None, make_process: Any, draw: Any
) -> None:
    """No call does much, and all calls together do it."""
    before = await raw.hlen(index)
    process = make_process()
    await process.incr()
    assert before - 64 <= await raw.hlen(index) <= before
    draw("tidies")
    for _ in range(3 * MANY // 64):
        await process.incr()
    assert await raw.hlen(index) < 0.1 * MANY
    assert await raw.execute_command(*process.sent) == b"%d" % (2 + 3 * MANY // 64)


async def test_thousands_of_slots_that_lived_shortly_leave_the_index(
    ns: AsyncNamespace, raw: Any, index: str, pass_time: Any, draw: Any
) -> None:
    """In normal work; nobody need call touch. Where a counter stood is remembered."""
    await ns.incr("id", 41)

    async def fill(snap: Any, ops: Any) -> None:
        for number in range(MANY):
            ops.set(f"form-{number}", "1", ttl=50)

    await ns.with_cas("a", fill)
    await raw.delete(ns.key("id"))
    assert await raw.hlen(index) > MANY
    await pass_time(60)
    draw("tidies")
    for _ in range(3 * MANY // 64):
        await ns.hset("basket", "f", "1")
    assert await raw.hlen(index) < 0.1 * MANY
    assert await ns.slots() == ["basket"]
    assert await ns.incr("id") == 42


async def test_a_slot_that_lives_is_not_forgotten(ns: AsyncNamespace, pass_time: Any, draw: Any) -> None:
    """By nobody who tidies, whatever gave it its TTL."""
    draw("tidies")
    await ns.set("long", "1", ttl=500)
    await ns.set("touched", "1", ttl=100)
    await ns.touch("touched", ttl=500)
    await ns.set("kept", "1", ttl=500)
    await ns.set("kept", "2", ttl=100, keepttl=True)
    await ns.hset("hash", "f", "1", ttl=500)
    await ns.hincrby("hash", "n", ttl=100, keepttl=True)
    await ns.hdel("hash", "f", ttl=100, keepttl=True)
    await ns.set("short", "1", ttl=100)

    async def commit(snap: Any, ops: Any) -> None:
        ops.set("kept", "3", ttl=100, keepttl=True)
        ops.set("committed", "1", ttl=500)
        ops.hset("committed-hash", "f", "1", ttl=500)

    await ns.with_cas("kept", commit)
    await pass_time(490)
    for _ in range(3):
        await ns.set("other", "1")
    assert await ns.purge() == 7


async def test_a_commit_is_kept_for_as_long(
    ns: AsyncNamespace, raw: Any, index: str, recorder: Any, make_process: Any, pass_time: Any, monkeypatch: Any
) -> None:
    """And lets old records go, as any call does."""
    old = make_process()
    await old.incr()
    await pass_time(KEPT + 2)
    monkeypatch.setattr(tokens, "_identity", tokens._Identity())

    async def add(snap: Any, ops: Any) -> None:
        ops.hset("log", str(await snap.hlen("log")), "1")

    recorder.clear()
    await ns.with_cas("log", add)
    ((late,),) = recorder.commands[-1:]
    assert old.field not in await writers(raw, index)
    await pass_time(KEPT - 2)
    await make_process().incr()
    assert await raw.execute_command(*late) == b"1"
    assert await ns.hkeys("log") == ["0"]


async def test_records_of_one_namespace_are_its_own(
    store: AsyncSessionStore, raw: Any, prefix: str, make_process: Any, pass_time: Any
) -> None:
    """Who comes drops none elsewhere."""
    here, there = store.namespace("u"), store.namespace("v")
    process = make_process(there)
    await process.incr()
    await pass_time(KEPT + 2)
    await make_process(here).incr()
    assert process.field in await writers(raw, f"{prefix}:v:~index")


async def records(store: AsyncSessionStore, raw: Any, name: str) -> int:
    """How many records a namespace has."""
    return len(await writers(raw, store.namespace(name).key("x")[:-1] + "~index"))


async def test_an_index_has_as_many_records_as_its_own_namespace_has_had_calls_at_once(
    store: AsyncSessionStore, raw: Any
) -> None:
    """Whatever else the process does: 64 calls at once over 64 sessions leave one in each."""
    names = [f"session-{number}" for number in range(AT_ONCE)]
    for _ in range(5):
        await gather([partial(store.namespace(name).hset, "basket", "f", "1") for name in names])
    assert [await records(store, raw, name) for name in names] == [1] * AT_ONCE
    await gather([partial(store.namespace("busy").hset, "basket", "f", "1") for _ in range(AT_ONCE)])
    assert 1 <= await records(store, raw, "busy") <= AT_ONCE


async def test_a_session_is_quiet_beside_2000_calls_of_another(store: AsyncSessionStore, raw: Any) -> None:
    busy = [tokens.Ticket(b"index of another") for _ in range(2_000)]  # under way
    quiet = store.namespace("quiet")
    for _ in range(20):
        await quiet.hset("basket", "f", "1")
    assert await records(store, raw, "quiet") == 1
    for ticket in busy:
        ticket.give_back()
    await quiet.hset("basket", "f", "1")
    assert await records(store, raw, "quiet") == 1
