"""Runs a slice of the tests for each Python, each redis-py and each server that this machine has: `make matrix`.

    python scripts/matrix.py                              every cell
    python scripts/matrix.py --only python-3.10 redis-py-6 valkey-8.1
                                                        the cells of these; an axis that is not named is taken whole
    python scripts/matrix.py --fresh                      with new environments: those of the last run may have aged

Prints a table of how many tests passed. Fails when a test does, or when an environment cannot be made; what is not on
the machine is named, and fails nothing. The environments and each cell's whole output are in .venv-matrix.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from lowest import PROJECT, bounds
from support import versions

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".venv-matrix"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CLIENTS = ("6", "7", "8")  # the newest of each, after the oldest that the project takes
SLICE = [
    "tests/contract",
    "tests/core",
    "tests/web/_async",
    "tests/faults/test_lost_calls.py",
    "tests/faults/test_lost_commits.py",
]
LEFT_OUT = ("memory-resp", "resp2-str", "resp3-bytes")  # the other two settings differ in both
LIMIT = 300  # seconds that a cell may take
OUTCOME = re.compile(r"(\d+) (passed|failed|error|skipped)")
T = TypeVar("T")
R = TypeVar("R")


class Environment(NamedTuple):
    """A Python with a redis-py."""

    python: str
    client: str
    folder: Path
    executable: str  # the Python that it is made of
    requirement: str

    @property
    def name(self) -> str:
        return f"{self.python} {self.client}"

    @property
    def command(self) -> str:
        return str(self.folder / "bin" / "python")


class Verdict(NamedTuple):
    """What became of one cell."""

    passed: int
    failed: int
    words: str  # what went wrong; empty when nothing did

    @property
    def cell(self) -> str:
        return f"{self.failed} failed" if self.failed else self.words or str(self.passed)


def clients(project: str) -> dict[str, str]:
    """What pip is asked for, by the name of each redis-py."""
    oldest = bounds(project)["redis"]
    return {f"redis-py-{oldest}": f"redis=={oldest}", **{f"redis-py-{major}": f"redis=={major}.*" for major in CLIENTS}}


def pythons() -> dict[str, str | None]:
    """The program of each Python, by its name; those on PATH, and those that pyenv has."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    return {
        f"python-{version}": next(
            filter(runs, (shutil.which(f"python{version}"), *map(str, home.glob(f"{version}*/bin/python{version}")))),
            None,
        )
        for version in PYTHONS
    }


def runs(program: str | None) -> bool:
    """Whether it is more than a name: pyenv puts one on PATH for each version, and refuses most of them."""
    return program is not None and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


def prepare(environment: Environment, project: str, *, fresh: bool) -> str:
    """Makes an environment, unless there is one that still fits. Returns what went wrong."""
    ready = environment.folder / "ready"
    wanted = f"{environment.requirement}\n{project.partition('[tool.')[0]}"
    if not fresh and ready.exists() and ready.read_text() == wanted:
        return ""
    shutil.rmtree(environment.folder, ignore_errors=True)
    pip = [environment.command, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [environment.executable, "-m", "venv", str(environment.folder)],
        [*pip, "--editable", f"{ROOT}[dev]", environment.requirement],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{environment.name}: cannot be made\n{done.stdout}{done.stderr}", flush=True)
            return "not made"
    ready.write_text(wanted)
    return ""


def expression(server: str) -> str:
    """For `-k`: no other server, and no setting twice."""
    others = (dashed(version) for version in versions.SUPPORTED if dashed(version) != server)
    return " and ".join(f"not {each}" for each in (*LEFT_OUT, *others))


def dashed(version: str) -> str:
    return version.replace(" ", "-")


def run(environment: Environment, server: str, program: str) -> Verdict:
    """Runs the slice in one cell."""
    log = PLACE / "logs" / f"{environment.folder.name}-{server}.txt"
    log.parent.mkdir(exist_ok=True)
    (PLACE / "tmp").mkdir(exist_ok=True)
    began = time.perf_counter()
    # Folders of its own: pytest's are shared, and of two that tidy them up at once one fails at its end.
    own = ("--basetemp", str(PLACE / "tmp" / log.stem), "-p", "no:cacheprovider")
    command = [environment.command, "-m", "pytest", "-q", "--tb=short", *own, "-k", expression(server)]
    settings = {**os.environ, "REDIS_SERVER": program}
    with (
        log.open("w+") as output,
        subprocess.Popen(
            [*command, *SLICE], cwd=ROOT, env=settings, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it and its servers: a session of their own
    seconds = time.perf_counter() - began
    verdict = judge(process.returncode, log.read_text(), ended=seconds < LIMIT)
    print(f"{environment.name} {server}: {verdict.cell} ({seconds:.0f} s)", flush=True)
    if verdict.words:
        print(f"  {verdict.words}; all of it: {log.relative_to(ROOT)}", flush=True)
    return verdict


def judge(status: int, output: str, *, ended: bool = True) -> Verdict:
    """What pytest's last line and exit status say; a run that counts nothing has failed, whatever it says."""
    counts = dict.fromkeys(("passed", "failed", "error", "skipped"), 0)
    counts |= {kind: int(count) for count, kind in OUTCOME.findall(output.rstrip().rpartition("\n")[2])}
    failed = counts["failed"] + counts["error"]
    words = ""
    if not ended:
        words = f"no end in {LIMIT} s"
    elif failed:
        words = "\n  ".join(re.findall(r"^(?:FAILED|ERROR) .*", output, re.MULTILINE)) or f"{failed} failed"
    elif status or not counts["passed"]:
        words = f"pytest exit {status}"
    return Verdict(counts["passed"], failed, words)


def table(rows: Iterable[tuple[str, list[str]]], header: list[str]) -> Iterator[str]:
    """Aligned lines."""
    lines = [["", *header], *([row, *cells] for row, cells in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *rest in lines:
        cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        yield "   ".join([f"{first:{widths[0]}}", *cells]).rstrip()


def each(jobs: int, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Several at a time, and the results in order."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(function, items))


def environments(found: dict[str, str | None], asked: dict[str, str]) -> list[Environment]:
    """Those of each Python that is here."""
    return [
        Environment(python, client, PLACE / f"{python}-{client}", executable, requirement)
        for python, executable in found.items()
        for client, requirement in asked.items()
        if executable
    ]


def only(axis: dict[str, T], names: list[str]) -> dict[str, T]:
    """What of an axis is asked for: all of it, when none of it is named."""
    return {name: axis[name] for name in axis if name in names} or axis


def main() -> int:
    project = PROJECT.read_text()
    axes = (pythons(), clients(project), {dashed(version): version for version in versions.SUPPORTED})
    names = [name for axis in axes for name in axis]
    parser = argparse.ArgumentParser(description="Runs a slice of the tests in each cell of the matrix.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--fresh", action="store_true", help="make the environments again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cells at a time")
    options = parser.parse_args()
    found, asked, servers = only(axes[0], options.only), only(axes[1], options.only), only(axes[2], options.only)

    made = environments(found, asked)
    errors = dict(
        zip(made, each(options.jobs, lambda one: prepare(one, project, fresh=options.fresh), made), strict=True)
    )
    programs = {server: versions.found().get(version) for server, version in servers.items()}
    cells = [(one, server) for one in made if not errors[one] for server, program in programs.items() if program]
    verdicts = dict(zip(cells, each(options.jobs, lambda cell: run(*cell, programs[cell[1]]), cells), strict=True))

    rows = [
        (
            one.name,
            [verdicts[one, server].cell if (one, server) in verdicts else errors[one] or "-" for server in programs],
        )
        for one in made
    ]
    print("\nTests that passed:\n", *table(rows, list(programs)), sep="\n")
    missing = [f"no {name}: put it on PATH" for name, executable in found.items() if not executable]
    missing += [versions.missing(servers[server]) for server, program in programs.items() if not program]
    bad = sum(bool(each.words) for each in verdicts.values())
    print(
        f"\n{len(cells)} of {len(found) * len(asked) * len(servers)} cells ran, {bad} of them failed",
        *missing,
        sep="\n",
    )
    return 1 if bad or any(errors.values()) or not cells else 0


if __name__ == "__main__":
    sys.exit(main())
