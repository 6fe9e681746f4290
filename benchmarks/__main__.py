"""Runs the workloads and writes what came out: see README.md in this folder.

python -m benchmarks [--quick] [--only tasks,memory [--into]] [--report]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.results import Context, Result, merged
from benchmarks.server import Server

HERE = Path(__file__).parent
QUICK = HERE.parent / ".venv-bench" / "quick"  # git ignores it
WORKLOADS = (
    "memory",
    "single_calls",
    "tasks",
    "contention",
    "processes",
    "impatience",
    "scale",
    "mix",
    "basket",
    "web",
    "conversations",
    "snapshots",
    "followers",
    "reloads",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds; replaces no results")
    parser.add_argument("--only", help=f"some of {','.join(WORKLOADS)}; replaces no results")
    parser.add_argument("--into", action="store_true", help="with --only: its lines take the place of theirs")
    parser.add_argument("--report", action="store_true", help="measure nothing, write README.md and plots anew")
    arguments = parser.parse_args()
    if arguments.report:
        write(HERE, json.loads((HERE / "results.json").read_text(encoding="utf-8")))
        return 0
    chosen = arguments.only.split(",") if arguments.only else WORKLOADS
    if not set(chosen) <= set(WORKLOADS):
        parser.error(f"--only takes some of {','.join(WORKLOADS)}")
    began, load = time.monotonic(), os.getloadavg()[0]
    results, complete = measured(chosen, quick=arguments.quick, began=began)
    run = described(results, time.monotonic() - began, load)
    kept = complete and not arguments.quick and (not arguments.only or arguments.into)
    show(run)
    if kept and arguments.only:
        run = merged(json.loads((HERE / "results.json").read_text(encoding="utf-8")), run)
    write(HERE if kept else QUICK, run)
    print(f"\n{run['seconds']:.0f} s in all; " + ("written to benchmarks/" if kept else "results.json stays as it is"))
    return 0 if complete else 1


def measured(chosen: tuple[str, ...] | list[str], *, quick: bool, began: float) -> tuple[list[Result], bool]:
    """The results of the workloads, each on a fresh server; and whether all of them ran to their end."""
    results: list[Result] = []
    complete = True
    for name in WORKLOADS:
        if name not in chosen:
            continue
        server = Server()
        try:
            context = Context(port=server.port, quick=quick, began=began)
            context.say(f"{name} begins")
            results += import_module(f"benchmarks.workloads.{name}").run(context)
        except Exception:  # what the other workloads measure is not lost for it
            traceback.print_exc()
            complete = False
        finally:
            server.stop()
    return results, complete


def described(results: list[Result], seconds: float, load: float) -> dict[str, Any]:
    """What results.json holds."""
    server = Server()
    try:
        versions = machine.versions(server.port)
    finally:
        server.stop()
    return {
        "seconds": round(seconds),
        "machine": machine.machine(load),
        "versions": versions,
        "results": [line.as_json() for line in results],
    }


def write(folder: Path, run: dict[str, Any]) -> None:
    """results.json, README.md and the plots."""
    from benchmarks import plots

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(report.readme(run), encoding="utf-8")
    plots.draw([Result.from_json(fields) for fields in run["results"]], folder)


def show(run: dict[str, Any]) -> None:
    """The tables, the aims last."""
    results = [Result.from_json(fields) for fields in run["results"]]
    for workload in report.workloads(results):
        print(f"\n{workload}\n\n{report.table(workload, results)}")
    print(f"\naims\n\n{report.aims_table(results)}")


if __name__ == "__main__":
    sys.exit(main())
