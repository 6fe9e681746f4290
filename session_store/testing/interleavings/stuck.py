"""Looks at a thread that does not come to its next command, and ends it."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
import traceback
from typing import Any

SAMPLE = 0.1  # seconds in which it is seen whether a thread works or waits


class Abandoned(BaseException):
    """Ends the code of a task whose schedule is over."""


def interrupt(thread: threading.Thread) -> None:
    """Raises `Abandoned` in a thread, as soon as that executes Python."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned))


def works(thread: threading.Thread) -> bool:
    """Whether a thread uses the processor, as far as the system tells."""
    if thread.ident is None or not thread.is_alive() or not hasattr(time, "pthread_getcpuclockid"):
        return False
    clock = time.pthread_getcpuclockid(thread.ident)
    before = time.clock_gettime(clock)
    time.sleep(SAMPLE)
    return thread.is_alive() and time.clock_gettime(clock) - before > SAMPLE / 4


def place_of(thread: threading.Thread, task: asyncio.Task[Any] | None = None) -> str | None:
    """Where in the code a thread is, or a task that waits in it."""
    frames = task.get_stack() if task is not None else []
    frame = frames[-1] if frames else sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # its documented use
    if frame is None:
        return None
    innermost = traceback.extract_stack(frame)[-1]
    return f"{innermost.filename}:{innermost.lineno} in {innermost.name}"
