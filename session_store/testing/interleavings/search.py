"""Which schedule comes next: depth first without those that are equal, or at random. No I/O, no threads."""

from __future__ import annotations

import random
from collections.abc import Sequence

from session_store.testing.interleavings.moves import Move, Option


class _Node:
    """A point that was reached: what can be done there, and what need not be."""

    __slots__ = ("asleep", "chosen", "options", "untried")

    def __init__(self, options: Sequence[Option], asleep: dict[Move, Option]) -> None:
        self.options = options
        self.asleep = asleep  # moves whose schedules from here on are equal to some that were run
        self.untried = [option for option in options if option.move not in asleep]
        self.chosen: Option | None = None

    def advance(self) -> bool:
        """Goes on to the next move, if there is one."""
        if self.chosen is not None:
            self.asleep[self.chosen.move] = self.chosen
        self.chosen = self.untried.pop(0) if self.untried else None
        return self.chosen is not None

    def asleep_after(self) -> dict[Move, Option]:
        """What need not be done after the chosen move: what was done before it and commutes with it."""
        chosen = self.chosen
        return {move: option for move, option in self.asleep.items() if chosen is not None and option.commutes(chosen)}


class Diverged(Exception):  # noqa: N818  # explore raises a NotDeterministicError for it
    """The same moves have led elsewhere than before."""

    def __init__(self, step: int, before: Sequence[Option], now: Sequence[Option]) -> None:
        super().__init__(step, before, now)
        self.step, self.before, self.now = step, before, now


class DepthFirst:
    """Every schedule, but of those that differ only in the order of moves that commute just one (sleep sets).

    P. Godefroid, Partial-Order Methods for the Verification of Concurrent Systems (1996), chapter 5: a move that was
    tried at a point stays asleep below its siblings until a move that does not commute with it wakes it.

    `choose` is asked at each step of a schedule; between two schedules, `advance` says whether there is another.
    """

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._depth = 0
        self.skipped = 0  # branches that were not followed; each has at least one schedule

    def choose(self, options: Sequence[Option]) -> Option | None:
        """The move to make; None when all that can follow is equal to what was run."""
        if self._depth == len(self._nodes):
            asleep = self._nodes[-1].asleep_after() if self._nodes else {}
            node = _Node(options, asleep)
            self._nodes.append(node)
            self.skipped += len(options) - len(node.untried)
            node.advance()
        node = self._nodes[self._depth]
        self._depth += 1
        before = [(option.move, option.names) for option in node.options]
        if before != [(option.move, option.names) for option in options]:
            raise Diverged(self._depth, node.options, options)
        return node.chosen

    def advance(self) -> bool:
        """Turns to the next schedule. False when there is none."""
        self._depth = 0
        while self._nodes and not self._nodes[-1].advance():
            self._nodes.pop()
        return bool(self._nodes)


class AtRandom:
    """Schedules drawn from a seed. Every fault that is possible is as likely as any other, and rarer than a step."""

    _FAULTS = 0.25  # of the moves, while there may be faults

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: Sequence[Option]) -> Option:
        """The move to make."""
        steps = [option for option in options if not option.move.fault]
        faults = [option for option in options if option.move.fault]
        chosen = faults if faults and (not steps or self._random.random() < self._FAULTS) else steps
        return chosen[self._random.randrange(len(chosen))]
