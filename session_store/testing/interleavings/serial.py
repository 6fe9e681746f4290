"""What the tasks do one after the other, in every order: what any schedule must be equal to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, permutations

from session_store.testing.interleavings.moves import Move, Option
from session_store.testing.interleavings.runs import Choose, Outcome, Run

Order = tuple[Move, ...]


class SerialOrders:
    """Runs the orders as they are asked for, each once.

    What befell the server from outside (a purge, an expiry) is in an order as the tasks are: before, between or after.
    """

    def __init__(self, tasks: Sequence[str], run: Callable[[Choose, Order], Run]) -> None:
        self._tasks = tasks
        self._run = run
        self._outcomes: dict[Order, Outcome] = {}

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

    def outcome(self, order: Order) -> Outcome:
        """What an order ends with."""
        if order not in self._outcomes:
            self._outcomes[order] = self._run(follow(order), order).outcome
        return self._outcomes[order]


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


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are equal, by the equality of what tasks have returned."""
    try:
        return one.contents == other.contents and all(
            [type(part) for part in result] == [type(part) for part in other.results[name]]
            and bool(result == other.results[name])
            for name, result in one.results.items()
        )
    except Exception:  # what was returned cannot be compared
        return False
