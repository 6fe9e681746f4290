"""Processes that begin at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

PATIENCE = 60  # seconds


def at_once(
    program: str,
    *args: object,
    processes: int,
    meanwhile: Callable[[], object] | None = None,
    patience: float = PATIENCE,
) -> list[Any]:
    """What each process prints as JSON, in their order.

    `program`: Python that prints "ready", waits for a line and goes on; its arguments are `args` and the number of the
    process. `meanwhile` is called once all were told to go on.
    """
    command = [sys.executable, "-c", program, *map(str, args)]
    running = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        if meanwhile is not None:
            meanwhile()
        return [json.loads(process.communicate(timeout=patience)[0]) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
