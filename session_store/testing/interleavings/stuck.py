"""Looks at a thread that does not come to its next command, and ends it."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import sysconfig
import threading
import time
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any

_LIBRARY = sysconfig.get_path("stdlib")
_HERE = str(Path(__file__).parent)
SAMPLE = 0.1  # seconds in which it is seen whether a thread works or waits


class Abandoned(BaseException):
    """Ends the code of a task whose schedule is over."""


def interrupt(thread: threading.Thread) -> None:
    """Ends a thread that spins, by raising `Abandoned` in it.

    One that waits is left alone. Until it executed Python again, the exception would be pending, and meanwhile CPython
    3.11 does not get on in other threads that are traced, by coverage or a debugger.
    """
    if works(thread) and thread.ident is not None:
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
    """Where in the code a thread is, or a task that waits: the innermost place that is not the standard library's."""
    frames: list[FrameType] = []
    frame = sys._current_frames().get(thread.ident or 0) if task is None else None  # noqa: SLF001  # its documented use
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    coroutine = None if task is None else task.get_coro()
    while isinstance(coroutine, CoroutineType) and coroutine.cr_frame is not None:
        frames.insert(0, coroutine.cr_frame)
        coroutine = coroutine.cr_await
    for each in frames:
        if not _is_library(each.f_code.co_filename):
            return f"{each.f_code.co_filename}:{each.f_lineno} in {each.f_code.co_name}"
    return None


def _is_library(path: str) -> bool:
    return (path.startswith(_LIBRARY) and "site-packages" not in path) or path.startswith(_HERE)
