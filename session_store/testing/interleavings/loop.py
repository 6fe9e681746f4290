"""The async tasks of a schedule, in one event loop, stopped at their next write."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any

from session_store.testing.interleavings.clients import AsyncGatedClient, StillServer, Verdict
from session_store.testing.interleavings.commands import Write
from session_store.testing.interleavings.stuck import SAMPLE, Abandoned, interrupt
from session_store.testing.interleavings.tasks import Rest, Task, Waiting


class LoopTask(Task):
    """A task in the event loop. What it sends in several tasks of its own goes in the order in which it comes."""

    def __init__(self, name: str, fn: Callable[[Any], Any], server: StillServer, rest: Rest, loop: LoopThread) -> None:
        super().__init__(name, fn, rest)
        self.client = AsyncGatedClient(server, self)
        self.task: asyncio.Task[None] | None = None
        self._loop = loop
        self._writes: deque[tuple[Waiting, asyncio.Future[Verdict]]] = deque()

    @property
    def waiting(self) -> Waiting | None:
        """What it is about to send first."""
        return self._writes[0][0] if self._writes else None

    def start(self, handle: Callable[[Any], Any]) -> None:
        """Runs it up to its first write, on new connections. `handle` makes what it is given out of its client."""

        def begin() -> None:
            self._loop.current = self
            self.task = self._loop.loop.create_task(self._run(handle))

        self._loop.loop.call_soon_threadsafe(begin)

    async def _run(self, handle: Callable[[Any], Any]) -> None:
        await self.client.connection_pool.disconnect()
        try:
            self.result = await self._fn(handle(self.client))
        except Exception as error:
            self.error = error
        except BaseException as error:
            self.fatal = error
        self.is_done = True

    async def stop_async(self, write: Write, has_lost: Callable[[], bool]) -> Verdict:
        """Stops what sends until it may go on."""
        if asyncio.get_running_loop() is not self._loop.loop:
            raise RuntimeError(f"task {self.name!r} sends from an event loop of its own, which explore cannot order")
        place: tuple[Waiting, asyncio.Future[Verdict]] = (Waiting(write, has_lost), self._loop.loop.create_future())
        self._writes.append(place)
        try:
            return await place[1]
        except asyncio.CancelledError:
            with suppress(ValueError):  # it was about to be sent
                self._writes.remove(place)
            raise

    def go(self, verdict: Verdict) -> None:
        """Lets it go on with its write."""
        _, future = self._writes.popleft()

        def go_on() -> None:
            self._loop.current, self.heard = self, []
            with suppress(asyncio.InvalidStateError):  # it was cancelled by a timer
                future.set_result(verdict)

        self._loop.loop.call_soon_threadsafe(go_on)


class _Selector(selectors.DefaultSelector):
    """Asks, before the loop waits for something outside, whether its current task has stopped."""

    def __init__(self, ask: Callable[[float | None], None]) -> None:
        super().__init__()
        self._ask = ask

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout > 0:
            events = super().select(0)
            if events:
                return events
            self._ask(timeout)
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that knows how many calls it has under way in threads."""

    calls = 0

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # its types are newer than 3.10
        future = super().run_in_executor(executor, func, *args)
        self.calls += 1
        future.add_done_callback(self._count_down)
        return future

    def _count_down(self, _: object) -> None:
        self.calls -= 1


class LoopThread:
    """The event loop of all async tasks, in a thread of its own so that a task that spins can be told."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self.current: LoopTask | None = None  # who was told to go on, and has yet to stop
        self._selector = _Selector(self._ask)
        self.loop = _Loop(self._selector)
        self.thread = threading.Thread(target=self._run, name="explore", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        with suppress(Abandoned):
            self.loop.run_forever()
        self.loop.close()

    def _ask(self, timeout: float | None) -> None:
        task = self.current
        if task is None:
            return
        # Nothing is ready. With no timer, no thread and no socket to wait for, only another task can wake this one.
        is_blocked = timeout is None and not self.loop.calls and len(self._selector.get_map()) == 1
        if task.waiting is not None or task.is_done or is_blocked:
            self.current = None
            self._rest.tell()

    def call(self, coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Runs something that is no task, to its end. Raises `TimeoutError` when it does not end in time."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            if future.done():  # it is its own error
                raise
            future.cancel()
            raise TimeoutError(f"setup and check must end within the patience of {seconds:g} seconds") from None

    def close(self) -> None:
        """Ends all that runs in it, and the loop."""

        async def end() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=SAMPLE) if rest else None
            await self.loop.shutdown_asyncgens()
            await self.loop.shutdown_default_executor()
            self.loop.stop()

        ending = end()
        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(ending))
        self.thread.join(SAMPLE * 5)
        if self.thread.is_alive():
            interrupt(self.thread)
