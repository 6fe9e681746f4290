"""Runs one schedule after the other: a fresh server, the tasks up to their next write, one move at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fakeredis.model import Hash

from session_store._async.namespace import AsyncNamespace
from session_store._core import marks
from session_store._core.names import INDEX, listed_keys
from session_store._core.scripts import PURGE, TOUCH
from session_store._sync.commands import Commands
from session_store._sync.namespace import Namespace
from session_store.testing.interleavings.clients import AsyncGatedClient, GatedClient, StillServer, Verdict
from session_store.testing.interleavings.commands import (
    EVERYTHING,
    NOTHING,
    SCRIPT_CACHE,
    Access,
    Now,
    digest_of,
    in_cache,
)
from session_store.testing.interleavings.errors import StuckTaskError
from session_store.testing.interleavings.loop import LoopTask, LoopThread
from session_store.testing.interleavings.moves import END, Move, Option
from session_store.testing.interleavings.runs import Choose, Ending, Run, Step
from session_store.testing.interleavings.stuck import place_of, works
from session_store.testing.interleavings.tasks import Rest, ThreadTask, Waiting, is_async, refuse_awaitable
from session_store.testing.interleavings.wording import Wording

_OURS = re.compile(rb":~index$")
_SLOW = 0.01  # seconds from one command to the next; more is more than computing
_LAST = 5  # commands that are shown of a task that is stuck
_TOUCHED = 7_654_321_000  # milliseconds; a TTL that a touch is sure to change
_VERDICTS = {"": Verdict.SEND, "lost_reply": Verdict.LOSE_REPLY, "cut_before": Verdict.CUT_BEFORE}


@dataclass(frozen=True)
class Play:
    """What is run: the tasks, what each is given, and what comes before them."""

    tasks: Mapping[str, Callable[[Any], Any]]
    handle: Callable[[Any], Any]
    setup: Callable[[Any], Any] | None
    patience: float  # seconds that a task may take from one command to the next
    most_steps: int


class Stage:
    """Where schedules are run. `close` it."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._rest = Rest()
        self.server = StillServer()
        self.client = GatedClient(self.server)
        self._async_client: AsyncGatedClient | None = None
        self._loop: LoopThread | None = None
        self._tasks: dict[str, ThreadTask | LoopTask] = {name: self._task(name, fn) for name, fn in play.tasks.items()}
        self._steps: list[Step] = []
        self.namespace = self._namespace(next(iter(play.tasks.values())))

    def _task(self, name: str, fn: Callable[[Any], Any]) -> ThreadTask | LoopTask:
        if is_async(fn):
            return LoopTask(name, fn, self.server, self._rest, self._running_loop)
        return ThreadTask(name, fn, self.server, self._rest)

    def _namespace(self, fn: Callable[[Any], Any]) -> Any:
        """The namespace that the handles are for, None when they are something else."""
        handle = self._play.handle(self._client_of(fn))
        return handle if isinstance(handle, (Namespace, AsyncNamespace)) else None

    @property
    def base(self) -> bytes:
        """What the keys of the namespace begin with; nothing when there is none."""
        return b"" if self.namespace is None else bytes(self.namespace.key("s").encode()[:-1])

    def _client_of(self, fn: Callable[..., Any]) -> GatedClient | AsyncGatedClient:
        """A client that does not stop, of a function's flavour."""
        if not is_async(fn):
            return self.client
        if self._async_client is None:
            self._async_client = AsyncGatedClient(self.server)
        return self._async_client

    def close(self) -> None:
        """Ends what still runs."""
        self._rest.is_over = True
        for task in self._tasks.values():
            if isinstance(task, ThreadTask):
                task.abandon()
        if self._loop is not None:
            self._loop.close()

    @property
    def _running_loop(self) -> LoopThread:
        if self._loop is None:
            self._loop = LoopThread(self._rest)
        return self._loop

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Calls setup or check with a handle that does not stop, of the function's own flavour."""
        handle = self._play.handle(self._client_of(fn))
        if is_async(fn):
            return self._running_loop.call(fn(handle, *args), self._play.patience)
        result = fn(handle, *args)
        refuse_awaitable(fn, result)
        return result

    def run(self, choose: Choose, faults: Collection[str] = (), most_faults: int = 0) -> Run | None:
        """Runs one schedule as it is chosen. None when nothing was chosen at some point: the rest is not worth it.

        `faults`: those that may happen. When all tasks are done, `END` is the first of the options.
        """
        self._begin()
        worth_it = True
        while True:
            options = self._options(faults, most_faults)
            option = choose(options) if worth_it else options[0]
            if option is None:
                worth_it = False
            elif option.move == END:
                break
            else:
                self._do_move(option.move)
        for task in self._tasks.values():
            if not task.is_done:
                raise self._stuck(task, "waits for ever: no other task can wake it")
        return self._ended() if worth_it else None

    def _begin(self) -> None:
        self.server.empty()
        self._steps = []
        if self._play.setup is not None:
            self.call(self._play.setup)
        for task in self._tasks.values():
            task.reset()
        for name, task in self._tasks.items():
            self._step(task, Move(name), partial(task.start, self._play.handle))
        self._steps = []

    def _step(self, task: ThreadTask | LoopTask, move: Move, go: Callable[[], None]) -> None:
        """Lets a task go on, and waits until it has stopped again."""
        if len(self._steps) == self._play.most_steps:
            raise self._stuck(task, f"goes on after {len(self._steps)} commands of all tasks: it spins")
        step = Step(move, task.waiting.write.commands if task.waiting else ())
        self._steps.append(step)
        began = time.perf_counter()
        go()
        if not self._rest.wait(self._play.patience):
            raise self._stuck(task, self._why(task))
        if task.fatal is not None:
            raise task.fatal
        task.seconds += time.perf_counter() - began
        task.steps += 1
        step.replies = task.heard

    def too_slow(self) -> StuckTaskError | None:
        """The error that says which task takes most of the time, if one takes much more than its commands do."""
        task = max(self._tasks.values(), key=lambda task: task.seconds)
        if task.seconds < _SLOW * task.steps:
            return None
        return self._stuck(task, f"takes real time: {task.seconds:.1f} s in {task.steps} commands")

    def _why(self, task: ThreadTask | LoopTask) -> str:
        thread = task.thread if isinstance(task, ThreadTask) else self._running_loop.thread
        if works(thread):
            return f"spins: it has computed for {self._play.patience:g} s without a command"
        return f"takes real time, or waits for another task: no command for {self._play.patience:g} s"

    def _stuck(self, task: ThreadTask | LoopTask, reason: str) -> StuckTaskError:
        if isinstance(task, ThreadTask):
            place = place_of(task.thread)
        else:
            place = place_of(self._running_loop.thread, None if reason.startswith("spins") else task.task)
        steps = [step for step in self._steps if step.move.task == task.name and step.commands]
        words = Wording(self.base)
        return StuckTaskError(task.name, reason, place, [words.write(step.commands) for step in steps[-_LAST:]])

    def _options(self, faults: Collection[str], most_faults: int) -> list[Option]:
        """What can happen now: steps first, in the order of the tasks."""
        waiting = [self._option(name, task.waiting) for name, task in self._tasks.items() if task.waiting is not None]
        options = waiting or [Option(END, NOTHING)]
        if not faults or sum(bool(step.move.fault) for step in self._steps) >= most_faults:
            return options
        options = list(options)
        for option in waiting:
            if "lost_reply" in faults:
                options.append(option._replace(move=Move(option.move.task, "lost_reply")))
            if "cut_before" in faults:
                options.append(Option(Move(option.move.task, "cut_before"), NOTHING, option.names))
        if "expire" in faults:
            options += [
                Option(Move("", "expire", key.decode(errors="surrogateescape")), _writes(key)) for key in self._mortal()
            ]
        if self.namespace is not None:
            options += [Option(Move("", each), _writes(EVERYTHING)) for each in ("purge", "touch") if each in faults]
        if "script_flush" in faults:
            cached = (SCRIPT_CACHE, *map(in_cache, self.server.script_cache))
            options.append(Option(Move("", "script_flush"), _writes(*cached)))
        return options

    def _option(self, name: str, waiting: Waiting) -> Option:
        write, has_lost = waiting.write, waiting.has_lost()
        access = write.access(Now(self.server.script_cache, self.server.locks, self._is_as_before), has_lost=has_lost)
        return Option(Move(name), access, write.names(), write.watched)

    def _is_as_before(self, key: bytes, mark: bytes, content_mark: bytes) -> bool:
        """What `is_as_before` of lua/view.lua will say of a slot."""
        db = self.server.dbs[0]
        if key not in db or not mark:
            return key not in db and not mark
        if not content_mark:
            return digest_of(self.client.dump(key) or b"") == mark
        value = db[key].value
        if isinstance(value, Hash):
            return marks.content_mark("hash", [part for field in dict(value).items() for part in field]) == content_mark
        return isinstance(value, bytes) and marks.content_mark("string", value) == content_mark

    def _mortal(self) -> list[bytes]:
        """The keys that can expire before the others: the index outlives them."""
        db = self.server.dbs[0]
        return sorted(key for key in db if not _OURS.search(key) and db[key].expireat is not None)

    def _do_move(self, move: Move) -> None:
        if move.task:
            task = self._tasks[move.task]
            self._step(task, move, lambda: task.go(_VERDICTS[move.fault]))
            return
        self._steps.append(Step(move))
        if move.fault == "script_flush":
            self.server.script_cache = {}
        elif move.fault == "expire":
            with self.server.lock:
                del self.server.dbs[0][move.key.encode(errors="surrogateescape")]  # whoever watches it finds it gone
        else:
            index = self.base + INDEX
            keys = (index, *listed_keys(self.base.decode(), self.client.hkeys(index)))  # type: ignore[arg-type]  # bytes
            script, args = (PURGE, ("all", 0)) if move.fault == "purge" else (TOUCH, (_TOUCHED,))
            cached = dict(self.server.script_cache)
            Commands(self.client).run(script, keys, args)
            self.server.script_cache = cached

    def _ended(self) -> Run:
        results: dict[str, tuple[Any, ...]] = {}
        raised = {}
        for name, task in self._tasks.items():
            if task.error is None:
                results[name] = ("returned", task.result)
            else:
                results[name] = ("raised", type(task.error), task.error.args)
                raised[name] = task.error
        return Run(self._steps, Ending(results, self._contents()), raised)

    def _contents(self) -> dict[bytes, Any]:
        """What the keys hold, but for the library's own."""
        return {key: self._content(key) for key in sorted(self.server.dbs[0]) if not _OURS.search(key)}

    def _content(self, key: bytes) -> Any:
        value = self.server.dbs[0][key].value
        if isinstance(value, bytes):
            return value
        if isinstance(value, Hash):
            return dict(value)
        kind = self.client.type(key)
        if kind == b"list":
            return self.client.lrange(key, 0, -1)
        if kind == b"set":
            return self.client.smembers(key)
        return (kind, self.client.dump(key))


def _writes(*keys: bytes) -> Access:
    return Access(writes=frozenset(keys))
