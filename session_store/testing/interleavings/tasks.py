"""The tasks of a schedule, stopped at their next write; those that are plain functions have a thread each."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from session_store.testing.interleavings.clients import GatedClient, StillServer, Verdict
from session_store.testing.interleavings.commands import Write
from session_store.testing.interleavings.stuck import Abandoned, interrupt


class Waiting(NamedTuple):
    """A write that is about to be sent."""

    write: Write
    has_lost: Callable[[], bool]  # whether a key that its connection watches was changed


class Rest:
    """Where the stage waits until whoever it has told to go on has stopped again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.is_over = False  # whoever stops from now on is abandoned

    def tell(self) -> None:
        """Says that nobody runs."""
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Waits for that; False when it did not come in time."""
        return self._lock.acquire(timeout=max(seconds, 0))


class Task:
    """What the two kinds have in common: a function that is run once in every schedule."""

    def __init__(self, name: str, fn: Callable[[Any], Any], rest: Rest) -> None:
        self.name = name
        self._fn = fn
        self._rest = rest
        self.seconds = 0.0  # in all schedules
        self.steps = 0
        self.reset()

    def reset(self) -> None:
        """Nothing has happened yet."""
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.fatal: BaseException | None = None  # what ends the whole exploration: an interrupt, say
        self.heard: list[object] = []  # the replies to its latest write

    def hear(self, reply: object) -> None:
        """Takes note of a reply."""
        self.heard.append(reply)


class ThreadTask(Task):
    """A task in a thread of its own."""

    def __init__(self, name: str, fn: Callable[[Any], Any], server: StillServer, rest: Rest) -> None:
        super().__init__(name, fn, rest)
        self.client = GatedClient(server, self)
        self.thread = threading.Thread()
        self._waiting: Waiting | None = None
        self._verdict = Verdict.SEND
        self._gate = threading.Lock()
        self._gate.acquire()

    @property
    def waiting(self) -> Waiting | None:
        """What it is about to send."""
        return self._waiting

    def start(self, handle: Callable[[Any], Any]) -> None:
        """Runs it up to its first write, on new connections. `handle` makes what it is given out of its client."""
        self.client.connection_pool.disconnect()
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._run, handle), name=self.name, daemon=True)
        self.thread.start()

    def _run(self, handle: Callable[[Any], Any]) -> None:
        try:
            self.result = self._fn(handle(self.client))
        except Exception as error:
            self.error = error
        except Abandoned:
            return
        except BaseException as error:
            self.fatal = error
        try:
            refuse_awaitable(self._fn, self.result)
        except TypeError as error:
            self.fatal = error
        self.is_done = True
        self._rest.tell()

    def stop(self, write: Write, has_lost: Callable[[], bool]) -> Verdict:
        """Stops the task's thread until it may go on."""
        if self._rest.is_over:
            raise Abandoned
        if self._waiting is not None:
            raise RuntimeError(f"task {self.name!r} sends from two threads at once, which explore cannot order")
        self._waiting = Waiting(write, has_lost)
        self._rest.tell()
        self._gate.acquire()
        if self._rest.is_over:
            raise Abandoned
        return self._verdict

    def go(self, verdict: Verdict) -> None:
        """Lets it go on with its write."""
        self._waiting, self._verdict, self.heard = None, verdict, []
        self._gate.release()

    def abandon(self) -> None:
        """Ends it: at its write, now if it spins, or else at the next command that it comes to."""
        if self._waiting is not None:
            self._gate.release()
        elif not self.is_done:
            interrupt(self.thread)


def is_async(fn: object) -> bool:
    """Whether a function is a coroutine function; also a partial or an object that is called."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def refuse_awaitable(fn: object, result: object) -> None:
    """A plain function that returns something to await has done nothing."""
    if inspect.isawaitable(result):
        getattr(result, "close", bool)()  # a coroutine would complain that it was never awaited
        raise TypeError(f"{fn!r} returned an awaitable: make it an async function")
