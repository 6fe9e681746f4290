"""Threads that commit to few slots or many: how much gets through, what is given up, what is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

import redis

from benchmarks.clients import remove
from benchmarks.measure import apart, interleave, summed
from benchmarks.results import Context, Result
from benchmarks.writers import NOTES, PEERS, Writer, counted, fill, our_store

WORKLOAD = "contention"
FULL = tuple((slots, (1, 2, 4, 8, 16)) for slots in (1, 10, 1000))  # slots, and by how many writers
QUICK = ((1, (1, 16)), (1000, (16,)))


def run(context: Context) -> list[Result]:
    """Commits per second of 1 to 16 threads on 1 to 1,000 slots, each commit on a slot drawn at random."""
    sizes = QUICK if context.quick else FULL
    results: list[Result] = []
    with redis.Redis(port=context.port) as client:
        for slots, writers in sizes:
            for count in writers:
                results += _case(context, client, count, [f"slot-{number}" for number in range(slots)])
            context.say(f"{WORKLOAD}: {slots} slots")
        remove(client)
    return results


def _case(context: Context, client: redis.Redis, writers: int, slots: list[str]) -> list[Result]:
    seconds = context.pick(400, 200) / 1000
    races = {peer: Race(client, peer, writers, slots, seconds) for peer in PEERS}
    samples = interleave({peer: race.run for peer, race in races.items()}, context.rounds(7, 2))
    case = f"{writers} writer{'s' if writers > 1 else ''} x {len(slots):,} slot{'s' if len(slots) > 1 else ''}"
    counts = {peer: race.counts() for peer, race in races.items()}
    lines = summed(WORKLOAD, case, "commits/s", samples, counts=counts, notes=NOTES)
    if len(slots) == 1:
        runs = {peer: race.runs_per_commit for peer, race in races.items()}
        lines += apart(WORKLOAD, f"{case}: runs per commit", "runs", runs)
    return lines


@dataclass
class Race:
    """Threads of one peer that commit for so many seconds, in each round anew."""

    client: redis.Redis
    peer: str
    writers: int
    slots: list[str]
    seconds: float

    def __post_init__(self) -> None:
        self._totals: Counter[str] = Counter(attempted=0, lost=0)
        self._totals["given up"] = 0
        self._store = our_store(self.client)
        self.runs_per_commit: list[float] = []  # of the closure, in each round

    def counts(self) -> dict[str, int]:
        """Calls of all rounds, and what became of them."""
        return dict(self._totals)

    def run(self) -> float:
        """One round: commits per second."""
        fill(self.client, self.peer, self.slots)
        start = threading.Barrier(self.writers + 1)
        done: list[bool] = []  # a list's append is atomic
        writers = [Writer(self.peer, self.client, self._store) for _ in range(self.writers)]
        threads = [
            threading.Thread(target=self._write, args=(start, done, seed, writer))
            for seed, writer in enumerate(writers)
        ]
        for thread in threads:
            thread.start()
        start.wait()
        begin = time.perf_counter()
        for thread in threads:
            thread.join()
        passed = time.perf_counter() - begin
        acknowledged = sum(done)
        self._totals["attempted"] += len(done)
        self._totals["given up"] += len(done) - acknowledged
        self._totals["lost"] += acknowledged - counted(self.client, self.peer, self.slots)
        self.runs_per_commit.append(sum(writer.runs for writer in writers) / max(acknowledged, 1))
        return acknowledged / passed

    def _write(self, start: threading.Barrier, done: list[bool], seed: int, writer: Writer) -> None:
        draw = random.Random(seed)
        start.wait()
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            done.append(writer.commit(draw.choice(self.slots)))
