"""Processes that commit to one slot, with closures that take no time and 2 ms: who gets through, and how often."""

from __future__ import annotations

from collections import Counter

import redis

from benchmarks.clients import remove
from benchmarks.crew import Crew, Job, Report
from benchmarks.measure import apart, summed, turns
from benchmarks.results import Context, Result
from benchmarks.writers import NOTES, PEERS, counted, fill

WORKLOAD = "processes"
PROCESSES = (1, 2, 4, 8)
QUICK = (2, 8)
SLOT = "basket"
PAUSES_MS = (0, 2)


def run(context: Context) -> list[Result]:
    """Commits per second, closure runs per commit, and how evenly the commits are spread over the processes."""
    results: list[Result] = []
    sizes = QUICK if context.quick else PROCESSES
    with redis.Redis(port=context.port) as client, Crew(max(sizes), context.port) as crew:
        for pause_ms in PAUSES_MS:
            for count in sizes:
                results += _case(context, client, crew, count, pause_ms)
            context.say(f"{WORKLOAD}: closure of {pause_ms} ms")
        remove(client)
    return results


def _case(context: Context, client: redis.Redis, crew: Crew, count: int, pause_ms: int) -> list[Result]:
    calls = context.pick(100 if pause_ms else 200, 50)
    speed, runs, evenness = (dict[str, list[float]]((peer, []) for peer in PEERS) for _ in range(3))
    counts = {peer: Counter({"attempted": 0, "given up": 0, "lost": 0}) for peer in PEERS}
    for peer, _ in turns(PEERS, context.rounds(5, 1), 0):
        fill(client, peer, [SLOT])
        reports = crew.do(Job(peer, SLOT, calls, pause_ms / 1000), count)
        commits = sum(len(report.moments) for report in reports)
        counts[peer]["attempted"] += calls * count
        counts[peer]["given up"] += sum(report.given_up for report in reports)
        counts[peer]["lost"] += commits - counted(client, peer, [SLOT])
        speed[peer].append(commits / _seconds(reports))
        runs[peer].append(sum(report.runs for report in reports) / max(commits, 1))
        evenness[peer].append(_evenness(reports))
    case = f"{count} process{'es' if count > 1 else ''}, {pause_ms} ms closure"
    lines = summed(WORKLOAD, case, "commits/s", speed, counts={**counts}, notes=NOTES)
    lines += apart(WORKLOAD, f"{case}: runs per commit", "runs", runs)
    if count > 1:
        lines += apart(WORKLOAD, f"{case}: slowest / fastest", "", evenness)
    return lines


def _seconds(reports: list[Report]) -> float:
    """From the first commit to the end of the last process."""
    first = min((report.moments[0] for report in reports if report.moments), default=0.0)
    return max(max(report.end for report in reports) - first, 1e-6)


def _evenness(reports: list[Report]) -> float:
    """Commits that the slowest process had when the fastest had ended, as a share of the fastest's."""
    end = min(report.end for report in reports)
    commits = [sum(moment <= end for moment in report.moments) for report in reports]
    return min(commits) / max(*commits, 1)
