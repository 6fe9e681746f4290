"""How long the server remembers the calls of writers: for 10 minutes, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore
from session_store._core import tokens

KEPT = 600  # seconds


class Process:
    """One that writes to a namespace, with one writer. It stands for those that come and go."""

    def __init__(self, ns: AsyncNamespace, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ns = ns
        self._recorder = recorder
        self._patch = monkeypatch
        self.writer = tokens.Writer()
        self.sent: list[bytes] = []  # its latest call

    @property
    def field(self) -> bytes:
        return self.writer.field

    async def incr(self) -> int:
        self._patch.setattr(tokens, "_idle", [self.writer])
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
    return {field for field in await raw.hkeys(index) if field.startswith(b"~")} - {b"~era", b"~fence"}


@pytest.mark.parametrize("age", [1, 2, 300, KEPT - 2])
async def test_a_call_is_recognised_for_ten_minutes(
    ns: AsyncNamespace, raw: Any, make_process: Any, pass_time: Any, age: int
) -> None:
    """However old the era is in which it was made, and whatever others do then."""
    first, process = make_process(), make_process()
    await first.incr()
    await pass_time(age)
    assert await process.incr() == 2
    await make_process().incr()
    await pass_time(KEPT - 2)
    assert await make_process().incr() == 4
    assert await raw.execute_command(*process.sent) == b"2"
    assert await ns.get("id") == "4"


async def test_a_record_goes_with_the_second_era_after_its_own(
    raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    """An era begins when a new writer comes, if the last one is over. Nobody else drops records."""
    old, busy, second, third = (make_process() for _ in range(4))
    await old.incr()
    await busy.incr()
    await pass_time(KEPT)
    await busy.incr()
    assert await writers(raw, index) == {old.field, busy.field}
    await second.incr()
    assert await writers(raw, index) == {old.field, busy.field, second.field}
    await pass_time(KEPT - 2)
    await busy.incr()
    await make_process().incr()
    assert old.field in await writers(raw, index)
    await pass_time(2)
    await third.incr()
    assert {busy.field, second.field, third.field} <= await writers(raw, index)
    assert old.field not in await writers(raw, index)


async def test_a_call_made_long_after_its_era_began_is_kept_for_as_long(
    ns: AsyncNamespace, raw: Any, make_process: Any, pass_time: Any
) -> None:
    """A writer that has a record goes on in the era that there is, however old; the next one to come begins another."""
    process = make_process()
    await process.incr()
    for _ in range(5):
        await pass_time(KEPT)
        await ns.touch()
    assert await process.incr() == 2
    await make_process().incr()
    await pass_time(KEPT - 2)
    await make_process().incr()
    assert await raw.execute_command(*process.sent) == b"2"
    assert await ns.get("id") == "4"


async def test_dropping_records_leaves_the_rest_of_the_index(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    """Slots, also those whose names are as long as a writer's, and where counters stand."""
    slots = ["a", "h", "nine-long", "\u0394\u0394\u0394\u0394x", "x" * 300]
    for slot in slots:
        await ns.hset(slot, "f", "1")
    await ns.set("00000000", "a value like an era")
    old, new = make_process(), make_process()
    for _ in range(2):
        assert await old.incr() > 0
    for _ in range(2):
        await pass_time(KEPT)
        await ns.touch()
        await make_process().incr()
    await new.incr()
    assert old.field not in await writers(raw, index)
    left = {field: value for field, value in (await raw.hgetall(index)).items() if not field.startswith(b"~")}
    assert left == {**{slot.encode(): b"" for slot in [*slots, "00000000"]}, b"id": b"5"}
    assert await ns.slots() == sorted([*slots, "00000000", "id"])


async def test_a_fence_that_was_raised_before_is_kept(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    """It has nothing to do with eras: a purge forgets those."""
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
    """Records are kept for longer then, and go when the clock is where it was, and 20 minutes on."""
    process = make_process()
    await process.incr()
    await set_clock_back(10 * KEPT)
    await make_process().incr()
    await pass_time(KEPT)
    await make_process().incr()
    assert await raw.execute_command(*process.sent) == b"1"
    assert await ns.get("id") == "3"
    assert len(await writers(raw, index)) == 3
    for _ in range(11):
        await ns.touch()
        await pass_time(KEPT)
        await make_process().incr()
    assert process.field not in await writers(raw, index)
    assert len(await writers(raw, index)) <= 5


async def test_thousands_of_records_go_at_once(
    ns: AsyncNamespace, raw: Any, index: str, make_process: Any, pass_time: Any
) -> None:
    """More than a script can give to one command."""
    await make_process().incr()
    era = await raw.hget(index, "~era")
    records = {b"~%08d" % number: era + b"00000001abcdefgh1" for number in range(9_001)}
    await raw.hset(index, mapping=records)
    await pass_time(KEPT)
    await make_process().incr()
    assert len(await writers(raw, index)) == 9_003
    await pass_time(KEPT)
    process = make_process()
    assert await process.incr() == 3
    assert len(await writers(raw, index)) == 2
    assert await raw.execute_command(*process.sent) == b"3"


async def test_a_commit_is_kept_for_as_long(
    ns: AsyncNamespace, raw: Any, index: str, recorder: Any, make_process: Any, pass_time: Any
) -> None:
    """And lets old records go, as any call does."""
    old = make_process()
    await old.incr()
    for _ in range(2):
        await pass_time(KEPT)
        tokens._idle.clear()  # of `old`

        async def add(snap: Any, ops: Any) -> None:
            ops.hset("log", str(await snap.hlen("log")), "1")

        recorder.clear()
        await ns.with_cas("log", add)
        late = recorder.commands[-1][1]  # between MULTI and EXEC
    assert old.field not in await writers(raw, index)
    await pass_time(KEPT - 2)
    await make_process().incr()
    assert await raw.execute_command(*late) == b"1"
    assert await ns.hkeys("log") == ["0", "1"]


async def test_records_of_one_namespace_are_its_own(
    store: AsyncSessionStore, raw: Any, prefix: str, make_process: Any, pass_time: Any
) -> None:
    """A new writer drops none elsewhere."""
    here, there = store.namespace("u"), store.namespace("v")
    process = make_process(there)
    await process.incr()
    for _ in range(2):
        await pass_time(KEPT)
        await there.touch()
        await make_process(here).incr()
    assert process.field in await writers(raw, f"{prefix}:v:~index")
