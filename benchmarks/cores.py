"""The state of the processor's cores while one caller is timed: kept awake, or left to themselves.

A core with nothing to do goes to sleep, and waking it takes tens of microseconds, which is as long as a call takes; how
deep it sleeps depends on what else goes on. So single callers are timed twice, and the two are shown apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

AWAKE, IDLE = "awake", "idle"
STATES = (AWAKE, IDLE)

# It takes what nobody else wants of a core: nice 19, and SCHED_IDLE where there is such a thing, so that it stands back
# at once for whoever has work. It ends by itself when the benchmark has gone.
_SPINNER = """
import os, sys
os.nice(19)
if hasattr(os, "SCHED_IDLE"):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
print("spins", flush=True)
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextmanager
def kept(state: str) -> Iterator[None]:
    """The cores in a state, for as long as the `with` lasts: a spinner on each, or nothing."""
    spinners: list[subprocess.Popen[str]] = []
    try:
        if state == AWAKE:
            spinners.extend(map(_spinner, _cores()))
            for spinner in spinners:
                _wait_for(spinner)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()


def _cores() -> list[int]:
    """Those that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]


def _spinner(core: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-S", "-c", _SPINNER, str(core)], stdout=subprocess.PIPE, text=True)


def _wait_for(spinner: subprocess.Popen[str]) -> None:
    """Until it spins."""
    if spinner.stdout is None or not spinner.stdout.readline():
        raise RuntimeError("a process that was to keep a core awake has not started")
