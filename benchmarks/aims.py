"""What the library aims at, whether a run met it, and why not where it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.clients import BARE, BARE_ASYNC, GLIDE
from benchmarks.commits import WATCH, WATCH_ASYNC
from benchmarks.cores import AWAKE, IDLE
from benchmarks.results import OURS, Result, Spread, too_wide

Read = Callable[[Sequence[Result]], Spread | None]  # None: it was not measured


@dataclass(frozen=True)
class Aim:
    """A number that is read from the results, and its bound; `at_least` says on which side of it it should be.

    `why` is shown where it is missed.
    """

    what: str
    bound: float
    read: Read
    at_least: bool = False
    why: str = ""

    def shown(self) -> str:
        """The bound, as in a table."""
        bound = f"{self.bound:,.0f}" if self.bound >= 1_000 else f"{self.bound:.3g}"
        return f"{'at least' if self.at_least else 'at most'} {bound}"

    def reached(self, median: float) -> bool:
        """Whether a number is on the right side of the bound."""
        return median >= self.bound if self.at_least else median <= self.bound

    def unclear(self, spread: Spread) -> bool:
        """Whether the bound lies within rounds that differ too much."""
        return too_wide(spread) and self.reached(spread[1]) != self.reached(spread[2])


@dataclass(frozen=True)
class Found:
    """What a run has to say of an aim: where one caller is timed, with cores awake, and apart from it with cores idle."""

    measured: Spread | None
    idle: Spread | None

    def met(self, aim: Aim) -> str:
        """`yes`, `no`, in one state of the cores only, `too wide to tell` or `not measured`."""
        spreads = [spread for spread in (self.measured, self.idle) if spread is not None]
        if not spreads:
            return "not measured"
        if any(map(aim.unclear, spreads)):
            return "too wide to tell"
        reached = [aim.reached(spread[0]) for spread in spreads]
        if any(reached) and not all(reached):
            return f"only {AWAKE if reached[0] else IDLE}"
        return "yes" if all(reached) else "no"

    def why_not(self, aim: Aim) -> str:
        """The aim's reason where it was missed."""
        return "" if self.met(aim) in {"yes", "too wide to tell", "not measured"} else aim.why


def find(results: Sequence[Result], workload: str, case: str, peer: str) -> Result | None:
    """The line; None when there is none, or it says why it was not run."""
    for line in results:
        if (line.workload, line.case, line.peer) == (workload, case, peer) and line.ran:
            return line
    return None


def ratio(workload: str, case: str, peer: str) -> Read:
    """Ours / the peer's."""

    def read(results: Sequence[Result]) -> Spread | None:
        line = find(results, workload, case, peer)
        return line.ratio if line else None

    return read


def value(workload: str, case: str) -> Read:
    """Our own number."""

    def read(results: Sequence[Result]) -> Spread | None:
        line = find(results, workload, case, OURS)
        return (line.median, line.low, line.high) if line else None

    return read


def given_up(workload: str, case: str, peer: str = OURS) -> Read:
    """The share of calls that were given up."""

    def read(results: Sequence[Result]) -> Spread | None:
        line = find(results, workload, case, peer)
        return _exact(line.counts["given up"] / line.counts["attempted"]) if line else None

    return read


def counted(workload: str, case: str, what: str) -> Read:
    """How many of ours."""

    def read(results: Sequence[Result]) -> Spread | None:
        line = find(results, workload, case, OURS)
        return _exact(line.counts[what]) if line and what in line.counts else None

    return read


def lost(results: Sequence[Result]) -> Spread | None:
    """Updates that were acknowledged to callers of ours, in any workload, and are not there."""
    counts = [abs(line.counts["lost"]) for line in results if line.peer.startswith(OURS) and "lost" in line.counts]
    return _exact(sum(counts)) if counts else None


def _exact(number: float) -> Spread:
    return number, number, number


_WRITE = (
    "index entry, fence, record and TTL are five commands more in the script than the bare write, "
    "and to begin and end a script costs the server 3 to 5 µs by itself"
)
_READ = "a read is the bare command and a check of its reply; what is above is the call through the namespace"
_TWO_CALLS = (
    "it is two script calls: sending nothing but two scripts of that size takes 0.86 to 0.92 of the WATCH loop; "
    "the rest is 42 µs on the server to begin, 60 µs to commit, some 70 µs of Python"
)
_BATCHES = (
    "the event loop's Python (some 130 µs per commit when all is hot) and the server's scripts (65 µs) "
    "take turns on one batch after the other: a batch waits for the answers of the one before"
)
_HANDLE = (
    "the only absolute time here: it follows the speed of the machine, on which the same code took 0.8 on another day; "
    "a handle checks its name, and encodes what its keys begin with"
)
_ROUND_TRIPS = "two round trips of three are 0.67 before anything is computed; the scripts and Python come on top"
_TASKS = (
    "a write takes some 60 µs of Python and 45 µs of the server's script when all is hot, a read 25 µs and 2 µs; they take "
    "turns on one batch after the other, and what batches save is the socket's part of a call"
)
_GLIDE = (
    "valkey-glide does its I/O in a thread of its own, on a second core, while ours is Python in the event loop's thread; "
    "and half of the calls are writes, see `hset`"
)
_APPEND = (
    "beside the message, an append reads and writes counts, times and roles, its TTL and its index entry, all in one script; "
    'HSET writes a field and nothing else: see `hset` under "Single calls"'
)
_QUEUE = (
    "a process that waits for the lock looks for it each 1 to 4 ms, so now and then nobody works on the slot; "
    "the others never wait, and throw most of their runs away"
)


def _calls() -> list[Aim]:
    """One caller."""
    work = "single calls"
    aims = [
        *(
            Aim(
                f"`{name}` / {BARE}, MULTI with EXPIRE",
                1.10,
                ratio(work, name, f"{BARE}, MULTI with EXPIRE"),
                why=_WRITE,
            )
            for name in ("hset", "set", "incr")
        ),
        *(Aim(f"`{name}` / {BARE}", 1.05, ratio(work, name, BARE), why=_READ) for name in ("get", "hget", "hgetall")),
    ]
    for case, most, why in (("with_cas", 0.85, _TWO_CALLS), ("with_cas, 0.5 ms each way", 0.70, _ROUND_TRIPS)):
        what = case.replace("with_cas", "`with_cas` alone")
        aims.append(Aim(f"{what} / WATCH .. EXEC", most, ratio(work, case, WATCH), why=why))
    return [*aims, Aim("`store.namespace(name)`, µs", 2, value(work, "store.namespace(name)"), why=_HANDLE)]


def _commits() -> list[Aim]:
    """Writers that compete."""
    threads, loop = "16 writers x 1 slot", "Redis.transaction()"
    aims = [
        Aim(f"16 threads on one slot: commits/s / `{loop}`", 4, ratio("contention", threads, loop), at_least=True),
        Aim("the same: share given up", 0, given_up("contention", threads)),
        Aim("the same: runs per commit", 1.5, value("contention", f"{threads}: runs per commit")),
    ]
    work = "processes"
    for closure, least in (("0 ms closure", 1.0), ("2 ms closure", 0.9)):
        case = f"8 processes, {closure}"
        aims += [
            Aim(
                f"8 processes on one slot, {closure}: commits/s / `{loop}`",
                least,
                ratio(work, case, loop),
                at_least=True,
                why=_QUEUE,
            ),
            Aim("the same: share given up", 0, given_up(work, case)),
            Aim(
                "the same: share given up, plain protocol", 1 / 3, given_up(work, case, "plain protocol"), at_least=True
            ),
            Aim("the same: runs per commit", 1.5, value(work, f"{case}: runs per commit")),
            Aim("the same: slowest / fastest", 0.5, value(work, f"{case}: slowest / fastest"), at_least=True),
        ]
    patience, without = "impatient callers", "session_store, without locks"
    aims += [
        Aim(f"served within 100 ms, {case} / without locks", 1, ratio(patience, case, without), at_least=True)
        for case in ("200 at once", "200, one each 10 ms, 10 of them hang")
    ]
    return [*aims, Aim("updates lost by us, all workloads", 0, lost)]


def _sizes() -> list[Aim]:
    """Many tasks, many keys, memory."""
    work, million = "touch and purge", "1,000,000 foreign keys"
    peers = (("none", 1.2, "session_store, no foreign keys"), ("PING", 3, "redis-py, PING"))
    tasks = (
        ("100 tasks, with_cas", WATCH_ASYNC, 4, _BATCHES),
        ("100 tasks", BARE_ASYNC, 4, _TASKS),
        ("100 tasks", GLIDE, 1.5, _GLIDE),
    )
    return [
        *(
            Aim(f"{case}: calls/s / {peer}", least, ratio("tasks", case, peer), at_least=True, why=why)
            for case, peer, least, why in tasks
        ),
        Aim(
            f"1 task: latency / {BARE_ASYNC}",
            1.15,
            ratio("tasks", "1 task, latency", BARE_ASYNC),
            why="half of the calls are writes that renew the TTL, theirs do not: see `hset`",
        ),
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
        Aim(
            "index after 64 requests in flight / after one at a time",
            1.3,
            ratio("memory", "index, 64 in flight", "one request at a time"),
        ),
    ]


def _conversations() -> list[Aim]:
    """Messages."""
    work = "conversations"
    return [
        *(
            Aim(
                f"append, {count:,} messages / {BARE_ASYNC}, HSET",
                1.6,
                ratio(work, f"append, {count:,} messages", f"{BARE_ASYNC}, HSET"),
                why=_APPEND,
            )
            for count in (10, 1_000, 10_000)
        ),
        Aim(
            "append, 100,000 messages / 100",
            1.5,
            ratio(work, "append, 100,000 messages", "session_store, 100 messages"),
        ),
        Aim("bytes per message of 500, in 1,000", 620, counted(work, "append, 1,000 messages", "bytes per message")),
        *(
            aim
            for case in ("client", "caller")
            for aim in (
                Aim(
                    f"1 % of replies lost, the {case} tries again: kept of 1,000",
                    1_000,
                    value("lost replies", f"the {case} tries again"),
                    at_least=True,
                ),
                *(
                    Aim(f"the same: {what}", 0, counted("lost replies", f"the {case} tries again", what))
                    for what in ("doubled", "out of order", "gaps")
                ),
            )
        ),
    ]


AIMS = (*_calls(), *_commits(), *_sizes(), *_conversations())


def found(results: Sequence[Result]) -> list[tuple[Aim, Found]]:
    """Each aim, and what was found; where one caller is timed, in both states of the cores."""
    by_cores = {cores: [line for line in results if line.cores == cores] for cores in (AWAKE, IDLE, "")}
    return [(aim, Found(aim.read(by_cores[AWAKE]) or aim.read(by_cores[""]), aim.read(by_cores[IDLE]))) for aim in AIMS]
