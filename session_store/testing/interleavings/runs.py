"""A schedule that was run: its steps, and what it ended with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from session_store.testing.interleavings.commands import Command
from session_store.testing.interleavings.moves import Move, Option

Choose = Callable[[Sequence[Option]], "Option | None"]


@dataclass
class Step:
    """A move that was made: what was sent, and what came back."""

    move: Move
    commands: tuple[Command, ...] = ()
    replies: list[object] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """What tasks and server ended with."""

    results: dict[str, tuple[Any, ...]]  # by task: what was returned, or the type and arguments of what was raised
    contents: dict[bytes, Any]


@dataclass
class Run:
    """A schedule that was run."""

    steps: list[Step]
    outcome: Ending
    raised: dict[str, Exception]
