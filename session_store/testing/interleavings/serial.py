"""What the tasks do one after the other, in every order: what any schedule must be equal to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, permutations
from typing import Any

from session_store.testing.interleavings.errors import NotDeterministicError
from session_store.testing.interleavings.moves import END, Move, Option
from session_store.testing.interleavings.runs import Choose, Ending, Run

Order = tuple[Move, ...]


class SerialOrders:
    """Runs the orders as they are asked for, each once.

    What befell the server from outside (a purge, an expiry) is in an order as the tasks are: before, between or after.
    """

    def __init__(self, tasks: Sequence[str], run: Callable[[Choose, Order], Run]) -> None:
        self._tasks = tasks
        self._run = run
        self._outcomes: dict[Order, Ending] = {}
        self._repeated: set[Order] = set()

    def explain(self, run: Run) -> bool:
        """Whether a schedule ended like some order."""
        return any(same(self.outcome(order), run.outcome) for order in self.orders(run))

    def orders(self, run: Run) -> Iterator[Order]:
        """The orders that a schedule can be compared with."""
        outside = [step.move for step in run.steps if step.move.is_outside and step.move.fault != "script_flush"]
        for tasks in permutations([Move(name) for name in self._tasks]):
            for places in combinations_with_replacement(range(len(tasks) + 1), len(outside)):
                order = list(tasks)
                for place, move in reversed(list(zip(places, outside, strict=True))):
                    order.insert(place, move)
                yield tuple(order)

    def outcome(self, order: Order) -> Ending:
        """What an order ends with."""
        if order not in self._outcomes:
            self._outcomes[order] = self._run(follow(order), order).outcome
        return self._outcomes[order]

    def again(self, run: Run) -> Iterator[tuple[Ending, Run]]:
        """What a schedule was compared with, and the same orders run once more, unless they have been."""
        for order in self.orders(run):
            if order not in self._repeated:
                self._repeated.add(order)
                yield self.outcome(order), self._run(follow(order), order)


def follow(order: Order) -> Choose:
    """Chooses each task until it is done, and what comes from outside when its turn is."""
    left = deque(order)

    def choose(options: Sequence[Option]) -> Option:
        while left:
            found = next((option for option in options if option.move == left[0]), None)
            if found is None or found.move.is_outside:
                left.popleft()  # it is done now, or was; or there is nothing that could expire
            if found is not None:
                return found
        return options[0]

    return choose


def repeat(moves: Sequence[Move]) -> Choose:
    """Chooses the same moves again. Raises `NotDeterministicError` where one cannot be made, or they do not suffice."""
    left = deque(moves)

    def choose(options: Sequence[Option]) -> Option:
        step = len(moves) - len(left) + 1
        move = left.popleft() if left else END
        found = next((option for option in options if option.move == move), None)
        if found is None:
            before = [] if move == END else [repr(str(move))]
            raise NotDeterministicError(step, before, [str(each) for each in options if each.move != END])
        return found

    return choose


def same(one: Ending, other: Ending) -> bool:
    """Whether two outcomes are equal, by the equality of what tasks have returned."""
    return one.contents == other.contents and not differing_tasks(one, other)


def differing_tasks(one: Ending, other: Ending) -> list[str]:
    """The tasks that have ended in two ways."""
    return [name for name, result in one.results.items() if not _same_result(result, other.results[name])]


def _same_result(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    try:
        return [type(part) for part in one] == [type(part) for part in other] and bool(one == other)
    except Exception:  # what was returned cannot be compared
        return False
