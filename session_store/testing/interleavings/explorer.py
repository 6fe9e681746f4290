"""`explore`: the interleaving that breaks a handler, if there is one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import redis.asyncio

from session_store._async.store import AsyncSessionStore
from session_store._core.arguments import shorten
from session_store._core.numbers import Duration, check_count, to_milliseconds
from session_store._core.policy import CasPolicy
from session_store._sync.store import SessionStore
from session_store.testing.interleavings.errors import InterleavingError, NotDeterministicError
from session_store.testing.interleavings.moves import FAULTS, Move, Option, is_reserved, read_move
from session_store.testing.interleavings.report import Report
from session_store.testing.interleavings.runs import Choose, Run
from session_store.testing.interleavings.search import AtRandom, DepthFirst, Diverged
from session_store.testing.interleavings.serial import Order, SerialOrders
from session_store.testing.interleavings.stage import Play, Stage

H = TypeVar("H")

_LOOK_ON = 500  # schedules that are run after a failure, in search of a shorter one
_NO_BACKOFF = CasPolicy(max_retries=10, backoff_base=0, backoff_cap=0)


@dataclass(frozen=True)
class Interleavings:
    """What `explore` has run, when all of it was well.

    - `schedules`: how many were run; `complete`: whether these are all there are, but for equal ones.
    - `skipped`: branches that were not followed because all schedules in them are equal to some that were run.
    - `sampled`: how many of the schedules were drawn at random, from `seed`.
    - `seconds`: of real time.
    - `digest`: of the schedules in their order; the same for the same tasks and arguments, in any process.
    """

    schedules: int
    complete: bool
    skipped: int
    sampled: int
    seed: int
    seconds: float
    digest: str

    def __str__(self) -> str:
        extent = "all there are" if self.complete else f"{self.sampled} of them at random, seed {self.seed}"
        rate = self.schedules / self.seconds if self.seconds else 0
        return f"{self.schedules} schedules ({extent}), {self.skipped} skipped as equal, {self.seconds:.2f} s, {rate:.0f}/s"


def default_handle(client: Any) -> Any:
    """What tasks are given unless `explore` is told otherwise: a namespace whose commits do not wait between attempts."""
    store = AsyncSessionStore if isinstance(client, redis.asyncio.Redis) else SessionStore
    return store(client, prefix="explore", default_ttl=3600, cas_policy=_NO_BACKOFF).namespace("session")


def explore(
    tasks: Mapping[str, Callable[[H], Any]],
    *,
    setup: Callable[[H], Any] | None = None,
    check: str | Callable[[H, dict[str, Any]], Any] = "serializable",
    handle: Callable[[Any], H] = default_handle,
    faults: Collection[str] = (),
    max_faults: int = 1,
    budget: int = 2_000,
    samples: int = 500,
    seed: int = 0,
    schedule: Sequence[str] | None = None,
    show_values: bool = False,
    max_steps: int = 200,
    patience: Duration = 5,
    time_limit: Duration = 60,
) -> Interleavings:
    """Runs tasks against one server in memory, in every order in which their commands can reach it.

    - `tasks`: by name, functions of one argument, plain or async; each is run in every schedule, as by a process of its
      own. They must be deterministic, and take no real time. What they return is compared with `==`.
    - `setup`, `check`: called before and after every schedule, undisturbed; plain or async.
    - `check`: "serializable": what the slots hold and what every task returned or raised must be equal to what some
      serial order of the tasks gives. Or a function of a handle and the results by task that raises when something is
      wrong; then a task that raises is wrong as well.
    - `handle`: makes what tasks, `setup` and `check` are given out of a client in memory, an `InMemoryClient` for plain
      functions and an `AsyncInMemoryClient` for async ones. By default a `Namespace` or `AsyncNamespace`. A store of
      your own should have `CasPolicy(backoff_base=0, backoff_cap=0)`.
    - `faults`: what may go wrong, at most `max_faults` times in a schedule: "lost_reply" (the server acts, and the
      connection is cut), "cut_before" (the connection is cut before the server acts), "expire" (of any one slot),
      "purge" and "touch" (of the namespace), "script_flush". Clients try again at once, up to 10 times.
    - `budget`: schedules that are run depth first. Those that differ only in the order of reads, or of commands on
      different keys, are run once. If there are more, `samples` others are drawn at random from `seed`.
    - `schedule`: that of an `InterleavingError`, to run only this one. When it ends early, the tasks go on in turn.
    - `show_values`: whether an error shows values, fields and results, instead of names for them.
    - `max_steps`: commands in a schedule; `patience`: seconds (or a timedelta) from one command of a task to the next;
      `time_limit`: for everything. A schedule that was begun is ended; then what was run so far is the result.

    Raises `InterleavingError` with the shortest failing schedule that was found, `StuckTaskError` when a task spins,
    waits for another or takes real time, and `NotDeterministicError`. What `setup` raises passes through.

    >>> from session_store.testing import explore
    >>> def add_item(ns):
    ...     ns.hincrby("basket", "qty")
    >>> result = explore({"tab one": add_item, "tab two": add_item})
    >>> result.schedules, result.complete
    (2, True)
    """
    play = Play(
        tasks=_checked_tasks(tasks),
        handle=handle,
        setup=setup,
        patience=to_milliseconds(patience, "patience") / 1000,
        most_steps=check_count(max_steps, "max_steps"),
    )
    if check != "serializable" and not callable(check):
        raise ValueError(f"check must be 'serializable' or a function, got {shorten(check)}")
    stage = Stage(play)
    try:
        exploration = _Exploration(
            stage,
            list(tasks),
            check,
            _checked_faults(faults, stage),
            max_faults=check_count(max_faults, "max_faults"),
            seed=seed,
            show_values=show_values,
        )
        if schedule is not None:
            return exploration.replay([read_move(text, tasks) for text in schedule])
        limit = to_milliseconds(time_limit, "time_limit") / 1000
        return exploration.run(check_count(budget, "budget"), check_count(samples, "samples"), limit)
    finally:
        stage.close()


def _checked_tasks(tasks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Callable[[Any], Any]]:
    if not isinstance(tasks, Mapping) or not tasks:
        raise TypeError(f"tasks must be a mapping of names to functions, at least one, got {shorten(tasks)}")
    for name, fn in tasks.items():
        if not isinstance(name, str) or not name or is_reserved(name):
            raise ValueError(f"tasks must have names that are no faults, got {shorten(name)}")
        if not callable(fn):
            raise TypeError(f"tasks must be functions of one argument, got {shorten(fn)} for {name!r}")
    return dict(tasks)


def _checked_faults(faults: Collection[str], stage: Stage) -> tuple[str, ...]:
    unknown = [fault for fault in faults if fault not in FAULTS]
    if isinstance(faults, str) or unknown:
        raise ValueError(f"faults must be some of {', '.join(FAULTS)}, got {shorten(faults)}")
    if stage.namespace is None and not {"purge", "touch"}.isdisjoint(faults):
        raise ValueError("faults 'purge' and 'touch' need a handle that is a Namespace or AsyncNamespace")
    return tuple(fault for fault in FAULTS if fault in faults)


class _Exploration:
    """One call of `explore`."""

    def __init__(
        self,
        stage: Stage,
        tasks: list[str],
        check: str | Callable[..., Any],
        faults: tuple[str, ...],
        *,
        max_faults: int,
        seed: int,
        show_values: bool,
    ) -> None:
        self._stage = stage
        self._tasks = tasks
        self._check = None if isinstance(check, str) else check
        self._faults = faults
        self._max_faults = max_faults
        self._seed = seed
        self._show_values = show_values
        self._serial = SerialOrders(tasks, self._run_serially)
        self._began = time.perf_counter()
        self._digest = hashlib.sha256()
        self._schedules = 0
        self._always_raised: dict[str, Exception] | None = None
        self._failed: Run | None = None
        self._failure: Exception | None = None
        self._after_failure = 0

    def _run_serially(self, during: Choose, afterwards: Choose, order: Order) -> Run:
        outside = [move.fault for move in order if move.is_outside]
        run = self._stage.run(during, outside, len(outside), afterwards=afterwards)
        if run is None:
            raise AssertionError("a serial order always has a next move")
        return run

    def run(self, budget: int, samples: int, limit: float) -> Interleavings:
        """All schedules, or as many as there may be."""
        search = DepthFirst()
        complete, sampled = budget == 0, 0
        while not complete and self._goes_on(budget, limit):
            self._one(search.choose)
            complete = not search.advance()
        complete = complete and budget > 0
        if not complete and self._failed is None:
            draw = AtRandom(self._seed)
            while sampled < samples and self._goes_on(budget + samples, limit):
                self._one(draw.choose)
                sampled += 1
        slow = None if complete or self._left(limit) else self._stage.too_slow()
        if slow is not None and self._failed is None:
            raise slow
        return self._result(complete=complete, skipped=search.skipped, sampled=sampled)

    def _left(self, limit: float) -> bool:
        return time.perf_counter() - self._began < limit

    def _goes_on(self, budget: int, limit: float) -> bool:
        return self._schedules < budget and self._after_failure <= _LOOK_ON and self._left(limit)

    def replay(self, moves: Sequence[Move]) -> Interleavings:
        """One schedule."""
        left = list(moves)

        def choose(options: Sequence[Option]) -> Option:
            if not left:
                return options[0]
            move = left.pop(0)
            for option in options:
                if option.move == move:
                    return option
            able = ", ".join(repr(str(option.move)) for option in options)
            step = len(moves) - len(left)
            raise ValueError(f"schedule does not fit: its move {step} is {str(move)!r}, and there are only {able}")

        self._faults = FAULTS
        self._max_faults = len(moves)
        self._one(choose)
        return self._result(complete=False, skipped=0, sampled=0)

    def _one(self, choose: Choose) -> None:
        try:
            run = self._stage.run(choose, self._faults, self._max_faults)
        except Diverged as diverged:
            before, now = ([str(option) for option in options] for options in (diverged.before, diverged.now))
            raise NotDeterministicError(diverged.step, before, now) from None
        if run is None:
            return
        self._schedules += 1
        self._after_failure += self._failed is not None
        self._digest.update("\n".join(str(step.move) for step in run.steps).encode() + b"\0")
        known = run.raised if self._always_raised is None else self._always_raised
        self._always_raised = {name: error for name, error in known.items() if name in run.raised}
        failure = self._judge(run)
        if failure is not None and (self._failed is None or _length(run) < _length(self._failed)):
            self._failed, self._failure = run, failure

    def _judge(self, run: Run) -> Exception | None:
        """What is wrong with a schedule, if anything."""
        if self._check is None:
            return None if self._serial.explain(run) else AssertionError("no serial order of the tasks gives this")
        for error in run.raised.values():
            return error
        try:
            self._stage.call(self._check, {name: result[1] for name, result in run.outcome.results.items()})
        except Exception as error:
            return error
        return None

    def _result(self, *, complete: bool, skipped: int, sampled: int) -> Interleavings:
        report = Report(self._tasks, self._stage.base, show_values=self._show_values)
        if self._failed is not None:
            orders = (
                None
                if self._check is not None
                else {order: self._serial.outcome(order) for order in self._serial.orders(self._failed)}
            )
            schedule = [str(step.move) for step in self._failed.steps]
            text = report.failure(
                self._failed, orders, self._failure, f"{self._schedules} schedules, seed {self._seed}"
            )
            raise InterleavingError(text, schedule, self._seed, self._schedules) from (
                None if self._check is None else self._failure
            )
        for name, error in (self._always_raised or {}).items():
            text = f"task {name!r} raised in every schedule, so that nothing was found out: {error!r}"
            raise InterleavingError(text, [], self._seed, self._schedules) from error
        seconds = time.perf_counter() - self._began
        return Interleavings(
            self._schedules, complete, skipped, sampled, self._seed, seconds, self._digest.hexdigest()[:16]
        )


def _length(run: Run) -> tuple[int, ...]:
    """How long a schedule is to read: its steps, its faults, and how often another task goes on."""
    moves = [step.move for step in run.steps]
    switches = sum(one.task != other.task for one, other in pairwise(moves))
    return len(moves), sum(bool(move.fault) for move in moves), switches
