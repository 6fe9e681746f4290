"""Reloads: how soon a page that is loaded anew has the text so far, and whether it ever has the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import spread_of
from benchmarks.results import OURS, Context, Result, not_run

WORKLOAD = "reloads"
THEIRS = "resumable-stream (npm)"
PEERS = Path(__file__).parents[1] / "peers"
MODULES = Path(sys.prefix) / "node_modules"
MOST_S = 60


def run(context: Context) -> list[Result]:
    """Milliseconds of a reload in the middle, and the share of the text after the end and after the producer's death."""
    ways = {OURS: [sys.executable, "-m", "benchmarks.peers.reloading"]}
    node = shutil.which("node")
    if node is not None and (MODULES / "resumable-stream").exists():
        ways[THEIRS] = [node, str(PEERS / "resumable.cjs")]
    results: list[Result] = []
    for events in (500, 5_000):
        case = f"{events:,} events"
        samples: dict[str, list[tuple[float, dict[str, float]]]] = {name: [] for name in ways}
        for number in range(context.rounds(5, 1)):
            for name, command in ways.items():
                samples[name].append(_measured(context, command, f"{events}-{number}", events))
        for name, found in samples.items():
            took = [each[0] for each in found]
            ratio = None
            if name != OURS:
                ratio = spread_of([ours[0] / theirs for ours, theirs in zip(samples[OURS], took, strict=True)])
            counts = {key: round(median(each[1][key] for each in found), 2) for key in found[0][1]}
            results.append(Result(WORKLOAD, case, name, "ms", *spread_of(took), ratio, counts))
        if THEIRS not in ways:
            results.append(not_run(WORKLOAD, case, THEIRS, "no node, or the package is not there"))
        context.say(f"{WORKLOAD}: {case}")
    return results


def _measured(context: Context, command: list[str], stream: str, events: int) -> tuple[float, dict[str, float]]:
    """The median of a reload with half of the text there, and what else is counted."""
    environment = os.environ | {"NODE_PATH": str(MODULES)}

    def asked(role: str, name: str, times: int = 1) -> subprocess.Popen[str]:
        arguments = [role, str(context.port), name, str(events), str(times)]
        return subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def followed(name: str, times: int = 1) -> dict[str, Any]:
        said, _ = asked("follow", name, times).communicate(timeout=MOST_S)
        told: dict[str, Any] = json.loads(said)
        return told

    def said_by(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    with ExitStack() as stack:
        living, killed = (asked("produce", f"{stream}-{fate}") for fate in ("lives", "dies"))
        for each in (living, killed):
            stack.enter_context(each)
            stack.callback(each.kill)
            assert said_by(each) == "half"
        took = followed(f"{stream}-lives", 21)["took"][1:]  # the first one pays for what is done once
        killed.kill()
        after_death = followed(f"{stream}-dies")
        print("go on", file=living.stdin, flush=True)
        assert said_by(living) == "end"
        after_end = followed(f"{stream}-lives")
        whole = events * 20
        return median(took), {
            "text after the end": after_end["characters"] / whole,
            "text after a kill": after_death["characters"] / (whole / 2),
            "told of the kill": float(after_death["end"] not in ("", "end", "late", "TimeoutError")),
        }
