"""What is skipped as equal is equal: a search without any reduction ends in the same ways."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import WatchError

from session_store import SessionStoreError
from session_store.testing.interleavings.explorer import default_handle
from session_store.testing.interleavings.moves import FAULTS, Option
from session_store.testing.interleavings.runs import Run
from session_store.testing.interleavings.search import DepthFirst
from session_store.testing.interleavings.stage import Play, Stage

pytestmark = pytest.mark.long

SLOTS = ("a", "b")
EXAMPLES = int(os.environ.get("SESSION_STORE_PROGRAMS", "15"))


class Step(NamedTuple):
    """What a task does next."""

    method: str
    slots: tuple[str, ...]


def job(steps: list[Step]) -> Callable[[Any], Any]:
    """A task that does these steps, carrying on what it has read."""

    def run(ns: Any) -> list[Any]:
        seen: list[Any] = []
        for method, slots in steps:
            try:
                seen.append(DEEDS[method](ns, slots, str(len(seen)) + "".join(map(str, seen))[-3:]))
            except SessionStoreError as error:
                seen.append(type(error).__name__)
        return seen

    return run


def commit(ns: Any, slots: tuple[str, ...], value: str) -> str:
    def fn(snap: Any, ops: Any) -> str:
        read = str(snap.get("a")) + str(snap.get("b"))
        ops.set(slots[-1], f"{value[-2:]}{len(read)}")
        return read

    return ns.with_cas(slots[0], fn)


def commit_to_large(ns: Any, slots: tuple[str, ...], value: str) -> str:
    """Watches a slot that is read by itself."""
    ns.set(slots[0], "x" * 70_000 + value[-2:])

    def fn(snap: Any, ops: Any) -> str:
        read = str(snap.get(slots[0]))[-2:]
        ops.set(slots[1], f"{value[-2:]}{read}")
        return read

    return ns.with_cas(slots[0], fn)


DEEDS: dict[str, Callable[[Any, tuple[str, ...], str], Any]] = {
    "get": lambda ns, slots, value: ns.get(slots[0]),
    "set": lambda ns, slots, value: ns.set(slots[0], value),
    "set nx": lambda ns, slots, value: ns.set(slots[0], value, nx=True),
    "delete": lambda ns, slots, value: ns.delete(slots[0]),
    "incr": lambda ns, slots, value: ns.incr(f"n{slots[0]}"),
    "slots": lambda ns, slots, value: ns.slots(),
    "touch": lambda ns, slots, value: ns.touch(ttl=9999),
    "purge": lambda ns, slots, value: ns.purge(),
    "purge with fence": lambda ns, slots, value: ns.purge(fence=60),
    "with_cas": commit,
}
DRAWN = sorted(DEEDS)
DEEDS["with_cas large"] = commit_to_large
steps = st.builds(Step, st.sampled_from(DRAWN), st.tuples(st.sampled_from(SLOTS), st.sampled_from(SLOTS)))
programs = st.lists(st.lists(steps, min_size=1, max_size=2), min_size=2, max_size=3)


class Everything:
    """A search that leaves nothing out, and shares no code with the one that is tested."""

    def __init__(self) -> None:
        self.path: list[list[Option]] = []  # what is left to do at each step, the present choice first
        self.depth = 0

    def choose(self, options: Sequence[Option]) -> Option:
        if self.depth == len(self.path):
            self.path.append(list(options))
        self.depth += 1
        return next(each for each in options if each.move == self.path[self.depth - 1][0].move)

    def advance(self) -> bool:
        self.depth = 0
        while self.path and len(self.path[-1]) == 1:
            self.path.pop()
        if self.path:
            self.path[-1].pop(0)
        return bool(self.path)


def schedules(stage: Stage, fault: str | None, search: Any) -> Iterator[Run | None]:
    """What is run; None for what turned out to be equal on the way."""
    yield stage.run(search.choose, [fault] if fault else [], 1)
    while search.advance():
        yield stage.run(search.choose, [fault] if fault else [], 1)


def endings(stage: Stage, fault: str | None, search: Any) -> tuple[set[str], int]:
    """All that the tasks can end with, and in how many schedules; of very many only the first."""
    runs = list(islice(schedules(stage, fault, search), 1_500))
    ends = [run.outcome for run in runs if run is not None]
    return {repr((each.results, sorted(each.contents.items()))) for each in ends}, len(runs)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(program=programs, fault=st.sampled_from((None, None, *FAULTS)))
@example([[Step("with_cas", ("a", "b"))], [Step("with_cas", ("b", "a"))]], None)
@example([[Step("with_cas", ("a", "b"))], [Step("set nx", ("a", "a")), Step("delete", ("a", "a"))]], "touch")
@example([[Step("with_cas", ("a", "b"))], [Step("set nx", ("a", "a"))], [Step("set nx", ("b", "b"))]], None)
@example([[Step("with_cas large", ("a", "b"))], [Step("set", ("a", "a"))]], None)
@example([[Step("with_cas", ("a", "a"))], [Step("with_cas", ("a", "a"))]], "script_flush")
@example([[Step("purge with fence", ("a", "a"))], [Step("set", ("a", "a")), Step("set", ("b", "b"))]], None)
@example([[Step("delete", ("a", "a"))], [Step("incr", ("a", "a"))]], "expire")
@example([[Step("slots", ("a", "a"))], [Step("set", ("a", "a")), Step("delete", ("a", "a"))]], "expire")
def test_a_reduced_search_ends_in_every_way(program: list[list[Step]], fault: str | None) -> None:
    """Two or three programs at random, with a fault or none: reduced and unreduced, the same endings."""
    stage = Stage(Play({str(number): job(each) for number, each in enumerate(program)}, default_handle, None, 20, 100))
    try:
        reduced, runs = endings(stage, fault, DepthFirst())
        everything, all_runs = endings(stage, fault, Everything())
    finally:
        stage.close()
    assert runs <= all_runs
    assert everything <= reduced


def test_the_reduction_is_worth_it() -> None:
    """Commands on different keys, and reads of the same, are run in one order."""
    tasks = {slot: job([Step("get", ("a", "a")), Step("set", (f"{slot}", slot))]) for slot in ("c", "d", "e")}
    stage = Stage(Play(tasks, default_handle, None, 20, 100))
    try:
        assert len(list(schedules(stage, None, DepthFirst()))) == 1
        assert len(list(schedules(stage, None, Everything()))) == 90
    finally:
        stage.close()


def test_a_transaction_that_lost_might_have_been_in_time() -> None:
    """It then does nothing, and yet the order of it and of what made it lose matters."""

    def watcher(client: Any) -> tuple[Any, str]:
        with client.pipeline() as pipe:
            pipe.watch("a")
            seen = pipe.get("a")
            pipe.multi()
            pipe.set("b", "1")
            try:
                pipe.execute()
            except WatchError:
                return seen, "lost"
            return seen, "committed"

    tasks = {"writer": lambda client: client.set("a", "1"), "watcher": watcher}
    stage = Stage(Play(tasks, lambda client: client, None, 20, 100))
    try:
        reduced, _ = endings(stage, None, DepthFirst())
        everything, _ = endings(stage, None, Everything())
    finally:
        stage.close()
    assert reduced == everything
    assert len(everything) == 4
