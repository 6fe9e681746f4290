"""The text of an `InterleavingError`: a schedule as a table, and what should have come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from session_store.testing.interleavings.moves import Move
from session_store.testing.interleavings.runs import Ending, Run, Step
from session_store.testing.interleavings.serial import Order, differing_tasks
from session_store.testing.interleavings.wording import Wording

_WIDEST = 46  # characters of a cell
_LONGEST = 110  # characters of a line
_MOST = 5  # lines on what differs
_HEADLINE = "the tasks, their commands in this order, end as they never do one after the other:"
_CHECKED = "the check fails when the commands of the tasks come in this order:"


class Report:
    """Writes the text. Values are named v1, v2, .. and fields f1, f2, .. unless they are asked for."""

    def __init__(self, tasks: Sequence[str], base: bytes, *, show_values: bool) -> None:
        self._tasks = list(tasks)
        self._words = Wording(base, show_values=show_values)

    def failure(self, run: Run, orders: Mapping[Order, Ending] | None, failure: Exception | None, found: str) -> str:
        """The whole text. `orders` are the serial ones and their outcomes, None when a function has checked."""
        parts = [_HEADLINE if orders is not None else _CHECKED, self._schedule(run.steps)]
        if orders is None:
            parts += [self._outcomes(run, {}), self._why(run, failure)]
        else:
            parts.append(self._outcomes(run, orders))
        if self._words.hides:
            parts.append("v1, f1, ..: values and names of fields; explore(..., show_values=True) shows them.")
        schedule = [str(step.move) for step in run.steps]
        parts.append(f"To run it again: explore(..., schedule={schedule!r})\nThe shortest of what failed in {found}.")
        return "\n\n".join(parts)

    def _why(self, run: Run, failure: Exception | None) -> str:
        """What the check said; a task's own error is no more than a result, and may hold values."""
        for name in run.raised:
            return f"task {name!r} {self._words.result(run.outcome.results[name])}"
        text = str(failure).strip()
        return f"{type(failure).__name__}: {text}" if text else type(failure).__name__

    def _schedule(self, steps: Sequence[Step]) -> str:
        columns = [*self._tasks, *(["outside"] if any(step.move.is_outside for step in steps) else [])]
        rows = [["step", *columns]]
        for number, step in enumerate(steps, 1):
            cells = dict.fromkeys(columns, "")
            cells[step.move.task or "outside"] = self._cell(step)
            rows.append([str(number), *cells.values()])
        return table(rows, numbered=True)

    def _cell(self, step: Step) -> str:
        if step.move.is_outside:
            return self._outside(step.move)
        sent = self._words.write(step.commands)
        if step.move.fault == "cut_before":
            return f"cut before {sent}"
        replies = self._words.replies(step)
        if step.move.fault == "lost_reply":
            return f"{sent} -> reply lost"
        return f"{sent} -> {replies}" if replies else sent

    def _outside(self, move: Move) -> str:
        return f"{move.fault} {self._words.key(move.key.encode(errors='surrogateescape'))}" if move.key else move.fault

    def _outcomes(self, run: Run, orders: Mapping[Order, Ending]) -> str:
        """What happened, and what each serial order gives; orders that give the same share a line."""
        heading = ["", *self._tasks, "slots"]
        rows = [heading, ["what happened", *self._ended(run.outcome)]]
        by_outcome: dict[tuple[str, ...], list[str]] = {}
        for order, outcome in orders.items():
            by_outcome.setdefault(tuple(self._ended(outcome)), []).append(
                ", then ".join(move.task or self._outside(move) for move in order)
            )
        for outcome_cells, names in by_outcome.items():
            rows += [[names[0], *outcome_cells], *([name] for name in names[1:])]
        return table(rows)

    def differences(self, before: Ending, now: Ending) -> tuple[list[str], list[str]]:
        """What two runs of a schedule did not both end with: as it was in the first, and in the second."""
        pairs = [
            [f"task {name!r}: {self._words.result(outcome.results[name])}" for outcome in (before, now)]
            for name in differing_tasks(before, now)
        ]
        for key in sorted({*before.contents, *now.contents}):
            one, other = before.contents.get(key), now.contents.get(key)
            if one != other:
                pairs.append([self._part(key, one, other), self._part(key, other, one)])
        shown = [pair if pair[0] != pair[1] else [pair[0], f"{pair[1]}, which is not equal"] for pair in pairs]
        shown = [*shown[:_MOST], *([["..", ".."]] if len(shown) > _MOST else [])]
        return [_fitted(pair[0], _LONGEST) for pair in shown], [_fitted(pair[1], _LONGEST) for pair in shown]

    def _part(self, key: bytes, value: Any, other: Any) -> str:
        """What a key holds; of a hash the fields that the other one has not got like this."""
        if value is None:
            return f"{self._words.key(key)}: nothing"
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            value = {name: each for name, each in value.items() if other.get(name) != each}
        return self._words.contents({key: value})

    def _ended(self, outcome: Ending) -> list[str]:
        results = [self._words.result(outcome.results[name]) for name in self._tasks]
        return [*results, self._words.contents(outcome.contents)]


def table(rows: Sequence[Sequence[str]], *, numbered: bool = False) -> str:
    """Rows under a heading, in columns that are aligned; cells that are too wide end in dots."""
    count = len(rows[0])
    cells = [[_fitted(cell) for cell in row] + [""] * (count - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(count)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if numbered and column == 0 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _fitted(cell: str, widest: int = _WIDEST) -> str:
    cell = "".join(each if each.isprintable() else "?" for each in cell)
    return cell if len(cell) <= widest else f"{cell[: widest - 3]}..."
