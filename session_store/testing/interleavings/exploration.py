"""One exploration: which schedules are run, how each is judged, and which failure is shown."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

from session_store.testing.interleavings.errors import InterleavingError, NotDeterministicError, UnseenTaskError
from session_store.testing.interleavings.moves import FAULTS, Move, Option
from session_store.testing.interleavings.report import Report
from session_store.testing.interleavings.result import Interleavings
from session_store.testing.interleavings.runs import Choose, Ending, Run
from session_store.testing.interleavings.search import AtRandom, DepthFirst, Diverged
from session_store.testing.interleavings.serial import Order, SerialOrders, repeat, same
from session_store.testing.interleavings.stage import Stage

_LOOK_ON = 500  # schedules that are run after a failure, in search of a shorter one
_REPEATS = 3  # of a schedule that failed: a value out of two that chance has drawn alike once may differ then


class Exploration:
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
        self._seen: set[str] = set()  # tasks that have sent a command
        self._always_raised: dict[str, Exception] | None = None
        self._failed: Run | None = None
        self._failure: Exception | None = None
        self._after_failure = 0

    def _run_serially(self, choose: Choose, order: Order) -> Run:
        outside = [move.fault for move in order if move.is_outside]
        # It always has a next move.
        return cast(Run, self._stage.run(choose, outside, len(outside)))

    def run(self, budget: int, samples: int, limit: float) -> Interleavings:
        """All schedules, or as many as there may be."""
        __tracebackhide__ = True
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
        """One schedule, as far as its moves can be made."""
        __tracebackhide__ = True
        left = deque(moves)

        def choose(options: Sequence[Option]) -> Option:
            able = {option.move: option for option in options}
            while left:
                option = able.get(left.popleft())
                if option is not None:
                    return option
            return options[0]

        self._faults = FAULTS
        self._max_faults = len(moves)
        self._one(choose)
        if self._seen:  # in another order a task may send commands, and not raise
            self._seen, self._always_raised = set(self._tasks), None
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
        self._seen.update(step.move.task for step in run.steps)
        known = run.raised if self._always_raised is None else self._always_raised
        self._always_raised = {name: error for name, error in known.items() if name in run.raised}
        failure = self._judge(run)
        if failure is not None and (self._failed is None or _length(run) < _length(self._failed)):
            self._confirm(run, failure)
            self._failed, self._failure = run, failure

    def _confirm(self, failed: Run, failure: Exception) -> None:
        """Runs a schedule that failed again, and what it was compared with: what then ends otherwise is no race.

        A function that checks may leave alone what differs, an id drawn at random, say: there its verdict counts.
        """
        __tracebackhide__ = True
        for _ in range(_REPEATS):
            run = self._stage.run(repeat([step.move for step in failed.steps]), self._faults, self._max_faults)
            again = cast(Run, run)  # it always has a next move
            if self._check is None:
                self._compare(failed.outcome, again)
            elif self._judge(again) is None:
                self._compare(failed.outcome, again, failure)
        if self._check is None:
            for outcome, again in self._serial.again(failed):
                self._compare(outcome, again)

    def _compare(self, before: Ending, again: Run, failure: Exception | None = None) -> None:
        """Raises `NotDeterministicError` unless a schedule that was run again has ended as before."""
        __tracebackhide__ = True
        if failure is None and same(before, again.outcome):
            return
        self._refuse_unseen()  # which is why, then: their own store is never emptied
        report = Report(self._tasks, self._stage.base, show_values=self._show_values)
        then, now = report.differences(before, again.outcome)
        if failure is not None:
            then, now = [f"a check that raises {type(failure).__name__}", *then], ["a check that passes", *now]
        schedule = [str(step.move) for step in again.steps]
        raise NotDeterministicError(len(schedule) + 1, then, now, schedule)

    def _refuse_unseen(self) -> None:
        """A task whose commands go elsewhere was not explored, whatever came of it."""
        __tracebackhide__ = True
        unseen = [name for name in self._tasks if name not in self._seen | (self._always_raised or {}).keys()]
        if unseen and self._schedules:
            raise UnseenTaskError(unseen)

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
        __tracebackhide__ = True
        self._refuse_unseen()
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
            text = f"task {name!r} raised {type(error).__name__} in every schedule, so that nothing was found out"
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
