"""Which schedule comes next: depth first without those that are equal, or at random. No I/O, no threads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import cast

from session_store.testing.interleavings.moves import Move, Option


class _Node:
    """A point that was reached: what can be done there, what of it is to be tried, and what has been chosen.

    `before` has a bit for each earlier move of the schedule that happens before the chosen one: that it depends on, or
    that one of those depends on.
    """

    __slots__ = ("asleep", "before", "chosen", "options", "to_try", "tried")

    def __init__(self, options: Sequence[Option], asleep: dict[Move, Option]) -> None:
        self.options = options
        self.asleep = asleep  # moves whose schedules from here on are equal to some that were run
        # What befalls the server ("") need not happen, so nothing would show that it can: it is tried everywhere. Of the
        # tasks one is, by its step if that is awake: where a step was put to sleep, the faults of its task are tried too.
        awake = [option.move for option in options if option.move.task and option.move not in asleep]
        awake.sort(key=lambda move: bool(move.fault))
        self.to_try = {"", *(move.task for move in awake[:1])}
        self.tried = 0
        self.chosen: Option | None = None
        self.before = 0

    def advance(self) -> bool:
        """Goes on to the next move, if there is one."""
        if self.chosen is not None:
            self.asleep[self.chosen.move] = self.chosen
        untried = (each for each in self.options if each.move.task in self.to_try and each.move not in self.asleep)
        self.chosen = next(untried, None)
        self.tried += self.chosen is not None
        return self.chosen is not None

    def asleep_after(self) -> dict[Move, Option]:
        """What need not be done after the chosen move: what was done before it and commutes with it."""
        chosen = self.chosen
        return {move: option for move, option in self.asleep.items() if chosen is not None and option.commutes(chosen)}

    def try_one_of(self, tasks: Sequence[str]) -> None:
        """Sees to it that one of these tasks is tried here; all there are, if none of them can go on here."""
        if self.to_try.isdisjoint(tasks):
            able = [option.move.task for option in self.options]
            self.to_try.update([task for task in tasks if task in able][:1] or able)


class Diverged(Exception):  # noqa: N818  # explore raises a NotDeterministicError for it
    """The same moves have led elsewhere than before."""

    def __init__(self, step: int, before: Sequence[Option], now: Sequence[Option]) -> None:
        super().__init__(step, before, now)
        self.step, self.before, self.now = step, before, now


class DepthFirst:
    """Every schedule, but of those that differ only in the order of moves that commute just one.

    Two moves of which one depends on the other, with nothing in between that binds them, race: the schedule in which
    they come the other way round is tried as well, by what would have to come first in it. P. Abdulla, S. Aronis,
    B. Jonsson, K. Sagonas, Optimal Dynamic Partial Order Reduction (POPL 2014), algorithm 1 (source sets). And a move
    that was tried at a point is asleep below its siblings, until one that does not commute with it wakes it. P. Godefroid,
    Partial-Order Methods for the Verification of Concurrent Systems (1996), chapter 5 (sleep sets).

    `choose` is asked at each step of a schedule; between two schedules, `advance` says whether there is another.
    """

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._depth = 0
        self._known = 0  # moves of the schedule whose races have been looked for
        self.skipped = 0  # branches that were not followed; each has at least one schedule

    def choose(self, options: Sequence[Option]) -> Option | None:
        """The move to make; None when all that can follow is equal to what was run."""
        if self._depth == len(self._nodes):
            self._nodes.append(_Node(options, self._nodes[-1].asleep_after() if self._nodes else {}))
            self._nodes[-1].advance()
        node = self._nodes[self._depth]
        before = [(option.move, option.names) for option in node.options]
        if before != [(option.move, option.names) for option in options]:
            raise Diverged(self._depth + 1, node.options, options)
        if node.chosen is not None and self._depth == self._known:
            self._look_for_races(node.chosen)
            self._known += 1
        self._depth += 1
        return node.chosen

    def advance(self) -> bool:
        """Turns to the next schedule. False when there is none."""
        self._depth = 0
        while self._nodes and not self._nodes[-1].advance():
            node = self._nodes.pop()
            self.skipped += len(node.options) - node.tried
        self._known = max(len(self._nodes) - 1, 0)
        return bool(self._nodes)

    def _look_for_races(self, last: Option) -> None:
        """Those of the last move with earlier ones."""
        number = self._known
        node = self._nodes[number]
        node.before = 0
        for earlier in range(number - 1, -1, -1):
            other = self._nodes[earlier].chosen
            if other is None or not last.depends_on(other):
                continue
            races = not node.before >> earlier & 1 and other.move.task != last.move.task
            node.before |= 1 << earlier | self._nodes[earlier].before
            if races:
                self._nodes[earlier].try_one_of(self._first_without(earlier, number))

    def _first_without(self, left_out: int, last: int) -> list[str]:
        """Whose move can come first, of a race's last move and what does not happen after its first one."""
        rest = [number for number in range(left_out + 1, last) if not self._nodes[number].before >> left_out & 1]
        tasks: dict[str, bool] = {}  # whether the task's first move waits for none of the others
        earlier = 0
        for number in (*rest, last):
            chosen = cast(Option, self._nodes[number].chosen)  # it is a move of the schedule
            tasks.setdefault(chosen.move.task, not self._nodes[number].before & earlier)
            earlier |= 1 << number
        return [task for task, is_first in tasks.items() if is_first]


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
