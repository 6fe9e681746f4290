"""Any key of ours may be gone at any time: a rival deletes it, as `maxmemory-policy` lets the server do."""

from __future__ import annotations

import inspect
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count
from typing import Any

import pytest
import redis
import redis.asyncio.connection
import redis.connection
from support.callers import READS, WRITES, Caller, contents, fill, slots_of
from support.proxy import PATIENCE
from support.servers import Server

pytestmark = pytest.mark.long

Slots = tuple[str, ...]
SLOTS = ("n", "h", "ids")
VICTIMS = (*((each,) for each in ("~index", *SLOTS)), *(("~index", slot) for slot in SLOTS), ("~index", *SLOTS))
WRITERS, ROUNDS, EVICTIONS = 3, 40, 150
ENOUGH = 10_000  # attempts


class Moment:
    """Does something just before a client's write number so-and-so; a call is as many writes as round trips."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._action: Callable[[], object] = bool
        self.came = True
        for module in (redis.connection, redis.asyncio.connection):
            self._watch(monkeypatch, module.AbstractConnection)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, connection_class: type) -> None:
        original: Any = connection_class.send_packed_command
        assert inspect.isfunction(original)

        def send_packed_command(connection: Any, *args: Any, **kwargs: Any) -> Any:
            self._count()
            return original(connection, *args, **kwargs)

        monkeypatch.setattr(connection_class, "send_packed_command", send_packed_command)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.came:
            self.came = True
            self._action()

    def during(self, call: Callable[[], object], number: int, action: Callable[[], object]) -> object:
        """What a call returns, with something done in it. `came` tells whether it was."""
        self._left, self._action, self.came = number, action, False
        answer = call()
        self._left = 0  # what others write from now on is no part of the call
        return answer


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


@pytest.fixture
def ns(connect, own_server: Server, rival: redis.Redis) -> Caller:
    return connect(own_server.port)


@pytest.fixture
def evict(ns: Caller, rival: redis.Redis) -> Callable[..., int]:
    """Deletes keys of the namespace. How many there were."""
    base = ns.key("n").removesuffix("n")
    return lambda *slots: sum(rival.unlink(base + slot) for slot in slots)


@pytest.fixture
def outcome(
    ns: Caller, rival: redis.Redis, empty: Callable[[], None], evict: Callable[..., int], moment: Moment
) -> Callable[..., Any]:
    """What a call answers and leaves behind, with evictions before it, before one of its writes, and after it."""
    base = ns.key("n").removesuffix("n")

    def outcome(name: str, *, before: Slots = (), during: Slots = (), number: int = 0, after: Slots = ()) -> Any:
        call = {**READS, **WRITES}[name]
        empty()
        fill(ns)
        evict(*before)
        answer = moment.during(lambda: call(ns), number, lambda: evict(*during))
        evict(*after)
        found = contents(rival, base)
        assert not [key for key, (_, left) in found.items() if left == "no TTL"]
        if name == "touch of what a scan finds":  # it counts last what it has named first
            answer = None
        return answer, slots_of(found), "fence" in name or ns.slots()

    return outcome


@pytest.mark.parametrize("name", {**READS, **WRITES})
def test_eviction_between_two_commands(outcome: Callable[..., Any], moment: Moment, name: str) -> None:
    """Whatever goes in the middle of a call, the outcome is as if each key had gone before the call or after it."""
    for victims in VICTIMS:
        wanted = [
            outcome(name, before=before, after=tuple(set(victims) - set(before)))
            for size in range(len(victims) + 1)
            for before in combinations(victims, size)
        ]
        if name == "touch":  # slots that it has found, and the index has forgotten since, are named anew
            slots = tuple(set(victims) - {"~index"})
            wanted += [
                outcome(name, before=before, after=tuple(set(slots) - set(before)))
                for size in range(len(slots) + 1)
                for before in combinations(slots, size)
            ]
        for number in count(1):
            found = outcome(name, during=victims, number=number)
            if not moment.came:  # the call is of fewer writes
                break
            assert found in wanted
        assert number > 1


def built_twice(bases: list[str | None], evictions: int) -> list[str | None]:
    """What more than one commit was built upon: a lost update, each of them. Nothing is there once, and after each eviction."""
    return [base for base, times in Counter(bases).items() if times > (1 if base is not None else 1 + evictions)]


def test_built_twice() -> None:
    assert built_twice([None, "a", "b"], 0) == []
    assert built_twice([None, "a", None, "b"], 1) == []
    assert built_twice([None, "a", "b", "a"], 1) == ["a"]
    assert built_twice([None, "a", None], 0) == [None]


class Writers:
    """Writers in threads, who remember what each commit was built upon, and their ids."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = callers
        self.bases: list[str | None] = []
        self.ids: list[int] = []

    def run(self, others: Callable[[], None]) -> None:
        """Lets them write while others do what they do, and until they have written enough."""
        over = threading.Event()
        with ThreadPoolExecutor(len(self._callers)) as threads:
            writers = [threads.submit(self._write, ns, over) for ns in self._callers]
            try:
                others()
            finally:
                over.set()
            for writer in writers:
                writer.result(PATIENCE)

    def _write(self, ns: Caller, over: threading.Event) -> None:
        deadline, rounds = time.monotonic() + PATIENCE, 0
        while rounds < ROUNDS or not over.is_set():
            assert time.monotonic() < deadline
            rounds += 1
            self.ids.append(ns.incr("ids"))
            self.bases.append(ns.cas("n", self._replace(ns), max_retries=ENOUGH))
            ns.hincrby("h", "f")

    @staticmethod
    def _replace(ns: Caller) -> Callable[[str | None, Any], str | None]:
        written = f"{id(ns)} {time.perf_counter_ns()}"  # nobody writes it twice

        def closure(value: str | None, ops: Any) -> str | None:
            ops.set("n", written)
            return value

        return closure


@pytest.mark.parametrize("victims", [("~index", "n", "h"), ("ids", "n", "h")], ids=["index", "counter"])
def test_evictions_while_others_write(
    connect, own_server: Server, rival: redis.Redis, evict: Callable[..., int], victims: tuple[str, ...]
) -> None:
    """No update is lost, no id comes twice while index or counter is left, and every key has a TTL at all times."""
    writers, evictions = Writers([connect(own_server.port) for _ in range(WRITERS)]), Counter[str]()

    def evict_on() -> None:
        chance = random.Random(20)
        while min(evictions[victim] for victim in victims) < EVICTIONS / 3:
            victim = chance.choice(victims)
            evictions[victim] += evict(victim)
            assert -1 not in [rival.pttl(key) for key in rival.scan_iter()]

    writers.run(evict_on)
    assert built_twice(writers.bases, evictions["n"]) == []
    assert len(set(writers.ids)) == len(writers.ids)


COLD = 300


@pytest.fixture
def small(make_server: Callable[..., Server]) -> Iterator[redis.Redis]:
    """A server with little room, which it makes by evicting what was not used for the longest time."""
    with redis.Redis(port=make_server("--maxmemory-policy", "allkeys-lru").port, socket_timeout=10) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 6 * 1024**2)
        yield client


def test_allkeys_lru(connect, small: redis.Redis) -> None:
    """A server that evicts while others write: no update is lost, and what is left is found by a scan."""
    port = small.get_connection_kwargs()["port"]
    ns = connect(port)
    for number in range(COLD):
        ns.set(f"cold-{number}", "x" * 10_000)
    base = ns.key("n").removesuffix("n").encode()

    def live() -> set[str]:
        return {key.removeprefix(base).decode() for key in small.scan_iter(base + b"*")} - {"~index"}

    def fill_up() -> None:
        for number in range(1_000):
            small.set(f"ballast:{number}", "x" * 10_000)

    writers = Writers([connect(port) for _ in range(WRITERS)])
    writers.run(fill_up)
    assert small.info("stats")["evicted_keys"] > COLD
    assert len([slot for slot in live() if slot.startswith("cold")]) < COLD
    assert -1 not in [small.pttl(key) for key in small.scan_iter(base + b"*")]
    assert built_twice([base for base in writers.bases if base is not None], 0) == []  # n may have been evicted as well
    ns.touch(scan=True)
    assert set(ns.slots()) == live()
    ns.purge(scan=True)
    assert live() == set()
