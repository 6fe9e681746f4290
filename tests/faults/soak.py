"""Thousands of calls of both flavours through a proxy that drops, delays, cuts and splits: `make faults`.

    python tests/faults/soak.py [--calls N] [--seed S] [--flavour sync|async]

It goes in rounds: a few workers share one client and one fresh namespace, and each makes a few calls. Then the faults
stop, what was late arrives, and all of it must be explained. Exits with 1 when something is not, and shows it. The
same seed draws the same calls and the same faults; which fault meets which call is up to the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[1]))  # `support` is found there, without pytest too

from support.backends import misplaced
from support.chaos import Chaos
from support.draws import ADD_ONE, IDS, SLOTS, TOTAL, belongs
from support.histories import Call, Explanation, Undecided
from support.plans import KINDS, dice
from support.rounds import PREFIX, SOCKET_TIMEOUT, AsyncRunner, Round, SyncRunner
from support.servers import Server
from support.watcher import Lines, Watcher

CALLS = 20_000  # with a fault, of each flavour
MOST_CALLS = 20  # that are made for one with a fault; there are about 2
RUNNERS = {"sync": SyncRunner, "async": AsyncRunner}
RATES = {
    "refuse": 0.05,
    "drop": 0.03,
    "lose": 0.06,
    "late": 0.04,
    "delay": 0.03,
    "delay reply": 0.03,
    "truncate": 0.02,
    "truncate reply": 0.02,
    "split": 0.03,
    "split reply": 0.03,
}


@dataclass
class Tally:
    """What a soak of one flavour has come to."""

    rounds: int = 0
    calls: int = 0
    faulted: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    points: int = 0  # waits at which calls were cancelled
    tried: int = 0  # places in orders
    ids: int = 0
    repeated: int = 0
    acknowledged: int = 0  # commits that add one
    unknown: int = 0
    final: int = 0
    doubled: int = 0
    lost: int = 0
    crossed: int = 0
    unexplained: int = 0
    pool: int = 0
    keys: int = 0  # that break a promise
    looks: int = 0
    without_ttl: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, played: Round, contents: dict[str, Any]) -> list[str]:
        """Counts what came of a round, and says what is wrong with it."""
        calls = played.calls
        self.rounds += 1
        self.calls += len(calls)
        self.faulted += sum(bool(call.faults) for call in calls)
        self.errors.update(call.error for call in calls if call.error)
        wrong = [f"this is not an answer to it: {call}" for call in calls if not call.error and not belongs(call)]
        self.crossed += len(wrong)
        if not played.purges:
            wrong += [*self._add_ids(calls), *self._add_sums(calls, contents)]
        return wrong + self._explain(calls, contents)

    def _add_ids(self, calls: list[Call]) -> list[str]:
        ids = [call.result for call in calls if call.method == "incr" and call.args[0] == IDS and not call.error]
        self.ids += len(ids)
        self.repeated += len(ids) - len(set(ids))
        return [f"id {number} was given {times} times" for number, times in Counter(ids).items() if times > 1]

    def _add_sums(self, calls: list[Call], contents: dict[str, Any]) -> list[str]:
        commits = [call for call in calls if call.program and call.program.name == ADD_ONE]
        acknowledged = sum(not call.error for call in commits)
        unknown = sum(call.is_unknown for call in commits)
        final = int(contents.get(TOTAL, 0))
        doubled, lost = max(final - acknowledged - unknown, 0), max(acknowledged - final, 0)
        self.acknowledged += acknowledged
        self.unknown += unknown
        self.final += final
        self.doubled += doubled
        self.lost += lost
        text = f"{acknowledged} commits acknowledged, {unknown} unknown, and the sum is {final}"
        return [text] if doubled or lost else []

    def _explain(self, calls: list[Call], contents: dict[str, Any]) -> list[str]:
        explanation = Explanation(calls, contents)
        try:
            if explanation.find():
                return []
            wrong = "no order explains these calls:"
        except Undecided:
            wrong = "there are too many orders of these calls to try:"
        finally:
            self.tried += explanation.tried
        self.unexplained += 1
        return ["\n".join([wrong, *(f"  {call}" for call in calls), f"  and in the end {contents}"])]


def read(server: redis.Redis, base: str) -> tuple[dict[str, Any], list[str]]:
    """What the slots of a namespace hold, and what is wrong with its keys."""
    contents: dict[str, Any] = {}
    found = {}
    for key in server.keys(f"{base}*"):
        slot, left = key[len(base) :], server.pttl(key)
        value = server.hgetall(key) if server.type(key) == "hash" else server.get(key)
        fields = {name.encode(): text.encode() for name, text in value.items()} if slot == "~index" else None
        found[key.encode()] = (left, fields)
        if not slot.startswith("~"):
            contents[slot] = value
    return contents, list(misplaced(found))


def play(runner: Any, played: Round, chaos: Chaos, lines: Lines, server: redis.Redis, tally: Tally) -> None:
    """One round, from its first call to what is left of it."""
    chaos.begin(dice(RATES, f"faults of {played.name}", long=1.5 * SOCKET_TIMEOUT))
    pool = runner.run(chaos.port, lines, played)
    chaos.calm()
    lines.clear()
    base = f"{PREFIX}:{played.name}:"
    contents, wrong = read(server, base)
    tally.keys += len(wrong)
    wrong += tally.add(played, contents)
    bad = runner.finish(pool, server, [base + slot for slot in SLOTS])
    tally.pool += len(bad)
    server.delete(base + "~index", *(base + slot for slot in SLOTS))
    if wrong or bad:
        tally.failures.append(f"round {played.name}:\n" + "\n".join([*bad, *wrong]))


def soak(flavour: str, *, seed: object, calls: int, most_failures: int = 3) -> Tally:
    """Goes on until so many calls had a fault, or so many rounds have failed."""
    tally, lines, began = Tally(), Lines(), time.monotonic()
    server = Server()
    client = redis.Redis(port=server.port, decode_responses=True)
    chaos = Chaos(server.port, lines.note)
    watcher = Watcher(server.port, f"{PREFIX}:")
    runner = RUNNERS[flavour]()
    try:
        while tally.faulted < calls and len(tally.failures) < most_failures and not watcher.without_ttl:
            play(runner, Round.draw(f"{seed}-{flavour}", tally.rounds + 1), chaos, lines, client, tally)
            if tally.calls > MOST_CALLS * calls:
                tally.failures.append(f"only {tally.faulted} of {tally.calls} calls had a fault")
                break
    finally:
        runner.close()
        watcher.close()
        chaos.close()
        client.close()
        server.stop()
    tally.faults, tally.points = chaos.faults, sum(runner.points.values())
    tally.looks, tally.without_ttl = watcher.looks, len(watcher.without_ttl)
    tally.failures += [f"{key} had no TTL" for key in sorted(watcher.without_ttl)]
    tally.seconds = time.monotonic() - began
    return tally


def rows(tallies: list[Tally]) -> list[tuple[str, list[str]]]:
    """The summary, line by line: what is counted, and the count for each flavour."""

    def row(text: str, *counts: object) -> tuple[str, list[str]]:
        return text, [f"{count:,}" if isinstance(count, int) else str(count) for count in counts]

    def rest(text: str, name: str) -> tuple[str, list[str]]:
        return row(text, *(getattr(tally, name) for tally in tallies))

    errors = sorted({error for tally in tallies for error in tally.errors})
    return [
        rest("rounds", "rounds"),
        rest("calls", "calls"),
        rest("calls with a fault", "faulted"),
        row("faults", *(sum(tally.faults.values()) for tally in tallies)),
        *(row(f"  {text}", *(tally.faults[kind] for tally in tallies)) for kind, text in KINDS.items()),
        row("calls that raised", *(sum(tally.errors.values()) for tally in tallies)),
        *(row(f"  {error}", *(tally.errors[error] for tally in tallies)) for error in errors),
        rest("places at which calls were cancelled", "points"),
        rest("orders looked into, step by step", "tried"),
        rest("histories that no order explains", "unexplained"),
        rest("ids given out", "ids"),
        rest("ids repeated", "repeated"),
        rest("commits that add one: acknowledged", "acknowledged"),
        rest("  outcome unknown", "unknown"),
        rest("  final values, all together", "final"),
        rest("  doubled", "doubled"),
        rest("  lost", "lost"),
        rest("looks at all keys", "looks"),
        rest("  keys without a TTL", "without_ttl"),
        rest("keys that the index does not keep", "keys"),
        rest("replies crossed", "crossed"),
        rest("pools not whole", "pool"),
        row("seconds", *(f"{tally.seconds:.0f}" for tally in tallies)),
    ]


def report(seed: object, tallies: dict[str, Tally]) -> int:
    """Prints the summary, and what went wrong. The exit code."""
    table = [(f"seed {seed}", list(tallies)), *rows(list(tallies.values()))]
    width = max(len(text) for text, _ in table)
    for text, cells in table:
        print(f"{text:{width}}", *(f"{cell:>12}" for cell in cells))
    failures = [failure for tally in tallies.values() for failure in tally.failures]
    for failure in failures:
        print(f"\nseed {seed}, {failure}")
    print(f"\nnot as promised: {len(failures)}" if failures else "\nall as promised")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls through faults, all explained.")
    parser.add_argument("--calls", type=int, default=CALLS, help="how many calls with a fault, of each flavour")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--flavour", choices=tuple(RUNNERS), action="append")
    arguments = parser.parse_args()
    flavours = arguments.flavour or list(RUNNERS)
    print(f"seed {arguments.seed}: {arguments.calls:,} calls with a fault, {' and '.join(flavours)}\n", flush=True)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as processes:  # side by side
        running = [processes.submit(soak, flavour, seed=arguments.seed, calls=arguments.calls) for flavour in flavours]
        return report(arguments.seed, dict(zip(flavours, [each.result() for each in running], strict=True)))


if __name__ == "__main__":
    sys.exit(main())
