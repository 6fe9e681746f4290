"""What the library aims at, and whether a run met it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.results import OURS, Result

Measured = tuple[float, ...]  # the number that counts; and, where there are rounds, min and max
Read = Callable[[Sequence[Result]], Measured | None]  # None: it was not measured


@dataclass(frozen=True)
class Aim:
    """A number that is read from the results, and its bound; `at_least` says on which side of it it should be."""

    what: str
    bound: float
    read: Read
    at_least: bool = False

    def shown(self) -> str:
        """The bound, as in a table."""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:.3g}"

    def met(self, measured: Measured | None) -> str:
        """`yes`, `no` or `not measured`."""
        if measured is None:
            return "not measured"
        return "yes" if (measured[0] >= self.bound if self.at_least else measured[0] <= self.bound) else "no"


def find(results: Sequence[Result], workload: str, case: str, peer: str) -> Result | None:
    """The line; None when there is none, or it says why it was not run."""
    for line in results:
        if (line.workload, line.case, line.peer) == (workload, case, peer) and not _off(line):
            return line
    return None


def _off(line: Result) -> bool:
    return line.note.startswith("not run")


def ratio(workload: str, case: str, peer: str) -> Read:
    """Ours / the peer's."""

    def read(results: Sequence[Result]) -> Measured | None:
        line = find(results, workload, case, peer)
        return line.ratio if line else None

    return read


def value(workload: str, case: str) -> Read:
    """Our own number."""

    def read(results: Sequence[Result]) -> Measured | None:
        line = find(results, workload, case, OURS)
        return (line.median, line.low, line.high) if line else None

    return read


def given_up(workload: str, case: str, peer: str) -> Read:
    """The share of calls that were given up."""

    def read(results: Sequence[Result]) -> Measured | None:
        line = find(results, workload, case, peer)
        return (line.counts["given up"] / line.counts["attempted"],) if line else None

    return read


def lost(results: Sequence[Result]) -> Measured | None:
    """Updates that were acknowledged to callers of ours, in any workload, and are not there."""
    counts = [abs(line.counts["lost"]) for line in results if line.peer.startswith(OURS) and "lost" in line.counts]
    return (float(sum(counts)),) if counts else None


def _calls() -> list[Aim]:
    """One caller."""
    work = "single calls"
    limits = {"hset": 1.10, "set": 1.10, "incr": 1.10, "get": 1.05, "hget": 1.05, "hgetall": 1.05}
    return [
        *(Aim(f"`{name}` / redis-py", most, ratio(work, name, "redis-py")) for name, most in limits.items()),
        Aim("`with_cas` alone / WATCH .. EXEC", 0.65, ratio(work, "with_cas", "redis-py, WATCH .. EXEC")),
        Aim("`store.namespace(name)`, µs", 2, value(work, "store.namespace(name)")),
    ]


def _commits() -> list[Aim]:
    """Writers that compete."""
    work, slow, quick = "processes", "8 processes, 2 ms closure", "8 processes, 0 ms closure"
    aims = [
        Aim(
            "16 threads on one slot: commits/s / `Redis.transaction()`",
            4,
            ratio("contention", "16 writers x 1 slot", "Redis.transaction()"),
            at_least=True,
        ),
        Aim("8 processes on one slot, 2 ms closure: share given up, ours", 0, given_up(work, slow, OURS)),
        Aim("the same, plain protocol", 1 / 3, given_up(work, slow, "plain protocol"), at_least=True),
        Aim("8 processes, 0 ms closure: share given up, ours", 0, given_up(work, quick, OURS)),
    ]
    for case in (quick, slow):
        name = f"{case}: runs per commit"
        aims.append(Aim(f"{name}, ours", 2.5, value(work, name)))
    for case in (quick, slow):
        name = f"{case}: slowest / fastest"
        aims.append(Aim(f"{name}, ours", 0.5, value(work, name), at_least=True))
    return [*aims, Aim("updates lost by us, all workloads", 0, lost)]


def _sizes() -> list[Aim]:
    """Many tasks, many keys, memory."""
    work, million = "touch and purge", "1,000,000 foreign keys"
    peers = (("none", 1.2, "session_store, no foreign keys"), ("PING", 3, "redis-py, PING"))
    return [
        Aim("100 tasks: calls/s / redis.asyncio", 4, ratio("tasks", "100 tasks", "redis.asyncio"), at_least=True),
        Aim("100 tasks: calls/s / valkey-glide", 1.5, ratio("tasks", "100 tasks", "valkey-glide"), at_least=True),
        Aim("1 task: latency / redis.asyncio", 1.15, ratio("tasks", "1 task, latency", "redis.asyncio")),
        *(
            Aim(f"`{method}`, {million} / {name}", most, ratio(work, f"{method}, {million}", peer))
            for name, most, peer in peers
            for method in ("touch", "purge")
        ),
        Aim(
            "memory of five slots / the same keys without an index",
            1.35,
            ratio("memory", "written by 3 processes more", "the same five keys without an index"),
        ),
    ]


AIMS = (*_calls(), *_commits(), *_sizes())


def rows(results: Sequence[Result]) -> list[tuple[str, str, str, str, str]]:
    """What, aim, measured, its min and max, met; for each aim."""
    return [
        (aim.what, aim.shown(), _number(measured), _spread(measured), aim.met(measured))
        for aim, measured in ((aim, aim.read(results)) for aim in AIMS)
    ]


def _number(measured: Measured | None) -> str:
    return "" if measured is None else f"{measured[0]:.2f}"


def _spread(measured: Measured | None) -> str:
    return "" if measured is None or measured[0] == measured[-1] else f"{measured[1]:.2f} to {measured[2]:.2f}"
