"""Failovers with kill -9 on a real cluster, while writers write and hash slots move: `make cluster`.

    python tests/cluster/soak.py [--failovers 20] [--seed S]

Exits with 1 when an acknowledged commit or id was lost although it waited for a replica, or anything was done twice.
What Redis loses in a failover when nothing waits for a replica is counted, and no fault.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster.flavours import Flavour
from cluster.ledger import Verdict
from cluster.writers import WRITERS, Session, Writers, total_verdict
from support.deployments import Cluster

NAMES = [f"user-{number}" for number in range(4)]
CUT_OFF_SECONDS = 0.5  # less than a node may be silent


@dataclass
class Part:
    """Failovers of one flavour and setting."""

    flavour: str
    min_replicas: int
    failovers: int
    verdict: Verdict = field(default_factory=Verdict)
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)  # that sent clients elsewhere

    @property
    def wrong(self) -> dict[str, int]:
        return self.verdict.wrong(replication_may_lose=not self.min_replicas)


def run(part: Part, cluster: Cluster, seed: int) -> None:
    dice = random.Random(f"{seed}/{part.flavour}/{part.min_replicas}")
    prefix = f"soak-{part.flavour}-{part.min_replicas}"
    with Flavour(part.flavour) as flavour:
        client = flavour.cluster(cluster.port, socket_timeout=2)
        settings = {"min_replicas": part.min_replicas}
        sessions = [Session(flavour.namespace(client, prefix, name, **settings)) for name in NAMES]
        keys = [session.calls.key("total") for session in sessions]
        with Writers(sessions, seed=seed) as writers:
            for _ in range(part.failovers):
                _fail_over(part, cluster, keys, writers, dice)
        part.verdict = total_verdict(sessions, cluster.primary_of)


def _fail_over(part: Part, cluster: Cluster, keys: list[str], writers: Writers, dice: random.Random) -> None:
    for key in dice.sample(keys, 2):
        cluster.migrate(key, batch=1, pause=dice.uniform(0, 0.02))
        part.faults["slots migrated"] += 1
    writers.wait_for_progress()
    part.answers += cluster.take_refusals()
    cut_off = dice.random() < 0.5
    cluster.kill_primary_of(dice.choice(keys), cut_off=(lambda: time.sleep(CUT_OFF_SECONDS)) if cut_off else None)
    part.faults["primaries killed"] += 1
    part.faults["replica cut off"] += cut_off
    time.sleep(dice.uniform(0, 2))  # the new primary has no replica
    cluster.restore()
    writers.wait_for_progress()
    part.answers += cluster.take_refusals()


def table(parts: list[Part]) -> str:
    """A column for each part."""
    rows = [["", *(f"{part.flavour}, min_replicas={part.min_replicas}" for part in parts)]]

    def add(name: str, value: Callable[[Part], object]) -> None:
        rows.append([name, *(f"{value(part):,}" for part in parts)])

    add("calls", lambda part: part.verdict.calls)
    for kind in ("primaries killed", "replica cut off", "slots migrated"):
        add(kind, lambda part, kind=kind: part.faults[kind])
    for answer in ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"):
        add(f"answered {answer}", lambda part, answer=answer: part.answers[answer])
    for error in sorted({name for part in parts for name in part.verdict.errors}):
        add(f"raised {error}", lambda part, error=error: part.verdict.errors[error])
    for name, attribute in (
        ("commits acknowledged", "commits"),
        ("ids acknowledged", "ids"),
        ("fields acknowledged", "fields"),
        ("without an answer", "unknown"),
        ("final values, sum", "total"),
        ("doubled", "doubled"),
        ("refused, yet done", "undead"),
        ("commits lost", "lost_commits"),
        ("ids repeated", "repeated_ids"),
        ("fields lost", "lost_fields"),
        ("keys without TTL", "without_ttl"),
        ("replies crossed", "crossed"),
    ):
        add(name, lambda part, attribute=attribute: getattr(part.verdict, attribute))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--failovers", type=int, default=20, help="of stores that wait for a replica; both flavours")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # redis-py 6.2 warns of a default of its own
    more = max(1, arguments.failovers // 10)
    parts = [
        *(Part("sync", 1, (arguments.failovers + 1) // 2), Part("async", 1, arguments.failovers // 2)),
        *(Part("sync", 0, more), Part("async", 0, more)),
    ]
    print(f"seed {arguments.seed}: three primaries with a replica each, {WRITERS} writers, {len(NAMES)} namespaces")
    began = time.monotonic()
    cluster = Cluster(replicas=1)
    try:
        for part in parts:
            run(part, cluster, arguments.seed)
            print(
                f"{time.monotonic() - began:5.0f} s  {part.flavour}, min_replicas={part.min_replicas}: "
                f"{part.failovers} failovers",
                flush=True,
            )
    finally:
        cluster.stop()
    print(f"\n{table(parts)}\n")
    print(
        "A field is written without waiting for a replica; so is all that has min_replicas=0. What of it is lost, Redis "
        "lost."
    )
    wrong = {f"{part.flavour}, min_replicas={part.min_replicas}": part.wrong for part in parts if part.wrong}
    print(f"seed {arguments.seed}: {'wrong: ' + str(wrong) if wrong else 'every promise held'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
