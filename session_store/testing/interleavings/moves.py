"""What can happen next in a schedule, and which of it commutes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from session_store.testing.interleavings.commands import NOTHING, Access

CONNECTION_FAULTS = ("lost_reply", "cut_before")
SLOT_FAULTS = ("expire",)
NAMESPACE_FAULTS = ("purge", "touch", "script_flush")
FAULTS = (*CONNECTION_FAULTS, *SLOT_FAULTS, *NAMESPACE_FAULTS)
_OF = " of "


class Move(NamedTuple):
    """A task's next write, plainly or with a fault of its connection; or something that befalls the server."""

    task: str  # "" when it is no task's
    fault: str = ""
    key: str = ""  # that expires

    def __str__(self) -> str:
        target = self.task or self.key
        return f"{self.fault}{_OF}{target}" if self.fault and target else self.fault or self.task

    @property
    def is_outside(self) -> bool:
        """Whether it is no task's: a purge, say. Such a move has a place in a serial order."""
        return not self.task


END = Move("")  # no move: all tasks are done, and nothing befalls the server any more


def read_move(text: str, tasks: Iterable[str]) -> Move:
    """The move that is written so. Raises `ValueError`."""
    if text in tasks:
        return Move(text)
    fault, _, target = text.partition(_OF)
    if fault in NAMESPACE_FAULTS and not target:
        return Move("", fault)
    if fault in CONNECTION_FAULTS and target in tasks:
        return Move(target, fault)
    if fault in SLOT_FAULTS and target:
        return Move("", fault, target)
    raise ValueError(f"schedule must name tasks and faults of them, as InterleavingError.schedule does, got {text!r}")


def is_reserved(name: str) -> bool:
    """Whether a task must not be called so, because a schedule could be misread."""
    return name.partition(_OF)[0] in FAULTS


class Option(NamedTuple):
    """A move that can be made now, with what it will read and write."""

    move: Move
    access: Access
    names: tuple[bytes, ...] = ()  # of the commands and their keys
    watched: Access = NOTHING  # what has decided that it reads and writes no more than that

    def __str__(self) -> str:
        sent = b" ".join(self.names).decode(errors="backslashreplace")
        return f"{str(self.move)!r} ({sent})" if sent else repr(str(self.move))

    def commutes(self, other: Option) -> bool:
        """Whether two moves lead to the same state in either order, and neither takes the other away."""
        return not (self._is_bound_to(other) or self.access.conflicts(other.access))

    def depends_on(self, earlier: Option) -> bool:
        """Whether this move might have been another one, had it come before the earlier one."""
        return (
            self._is_bound_to(earlier)
            or self.access.conflicts(earlier.access)
            or self.watched.conflicts(earlier.access)
            or self.access.conflicts(earlier.watched)
        )

    def _is_bound_to(self, other: Option) -> bool:
        mine, others = self.move, other.move
        # A task's next move is one, and what befalls the server keeps its order. Faults share their number.
        return mine.task == others.task or bool(mine.fault and others.fault)
