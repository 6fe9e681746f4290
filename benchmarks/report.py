"""README.md out of results.json: nothing is measured here, and the same results give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

from benchmarks import aims
from benchmarks.cores import STATES
from benchmarks.results import Result, Spread, too_wide
from benchmarks.texts import AIMS, INTRODUCTION, TEXTS, Text

Row = Sequence[str]
WIDEST_PADDED = 40  # characters
COUNTS = (  # in this order
    *("attempted", "acknowledged", "given up", "lost", "doubled", "out of order", "gaps", "errors"),
    *("commands", "bytes per session", "bytes per message", "99th percentile, ms", "deliveries/s", "connections"),
    *("text after the end", "text after a kill", "told of the kill"),
)


def readme(run: dict[str, Any]) -> str:
    """The whole page. `run` is what results.json holds."""
    results = [Result.from_json(fields) for fields in run["results"]]
    parts = ["# Benchmarks", INTRODUCTION, "## Aims", AIMS, aims_table(results)]
    for workload in workloads(results):
        text = TEXTS.get(workload, Text(workload.capitalize(), ""))
        parts += [f"## {text.heading}", fill(text.text, 120, break_on_hyphens=False)]
        if text.plot:
            parts.append(f"![{text.heading}]({text.plot}.svg)")
        parts.append(table(workload, results))
    minutes = run["seconds"] / 60
    parts += ["## Machine and versions", f"The run took {minutes:.0f} min."]
    parts.append(aligned(("what", "which"), [*run["machine"].items(), *run["versions"].items()], "<<"))
    return "\n\n".join(filter(None, parts)) + "\n"


def workloads(results: Iterable[Result]) -> list[str]:
    """Their names, in the order of the page; those that have no text last."""
    found = dict.fromkeys(line.workload for line in results)
    return [name for name in TEXTS if name in found] + [name for name in found if name not in TEXTS]


def aims_table(results: Sequence[Result]) -> str:
    """What is aimed at, what came of it, and why it is missed where it is."""
    rows = [
        (
            aim.what,
            aim.shown(),
            _spread(found.measured),
            _spread(found.idle),
            found.met(aim),
            found.why_not(aim),
        )
        for aim, found in aims.found(results)
    ]
    return aligned(("what", "aim", "measured", "cores idle", "met", "why not"), rows, "<>>>><")


def table(workload: str, results: Iterable[Result]) -> str:
    """One workload's lines, its notes below; a column for each state of the cores, where there are two."""
    lines = [line for line in results if line.workload == workload]
    cases: dict[tuple[str, str], dict[str, Result]] = {}
    for line in lines:
        cases.setdefault((line.case, line.peer), {})[line.cores] = line
    states = [state for state in STATES if any(line.cores == state for line in lines)] or [""]
    counted = [name for name in COUNTS if any(name in line.counts for line in lines)]
    names = [f"{name}, cores {state}" if state else name for name in ("ours / theirs", "median") for state in states]
    rows = []
    before = None
    for (case, peer), found in cases.items():
        first = next(iter(found.values()))
        chosen = [found.get(state) for state in states]
        cells = [_ratio(line) for line in chosen] + [_median(line) for line in chosen]
        if not first.ran:
            cells = ["not run", *[""] * (2 * len(states) - 1)]
        rows.append([case if case != before else "", peer, *cells, first.unit, *_counts(first, counted)])
        before = case
    body = aligned(("case", "peer", *names, "unit", *counted), rows, "<<" + ">" * len(names) + "<" + ">" * len(counted))
    return "\n\n".join(filter(None, [body, _notes(lines)]))


def _ratio(line: Result | None) -> str:
    return _spread(line.ratio) if line else ""


def _median(line: Result | None) -> str:
    return _spread((line.median, line.low, line.high)) if line else ""


def _spread(spread: Spread | None) -> str:
    """Median and quartiles; the quartiles alone where they are far apart, and the median where there was one round."""
    if spread is None:
        return ""
    median, low, high = spread
    if low == high:
        return number(median)
    quartiles = f"{number(low)} to {number(high)}"
    return f"too wide to tell ({quartiles})" if too_wide(spread) else f"{number(median)} ({quartiles})"


def _counts(line: Result, names: Iterable[str]) -> list[str]:
    return [f"{line.counts[name]:,g}" if name in line.counts else "" for name in names]


def _notes(lines: Iterable[Result]) -> str:
    """A list; each note once, with all whom it concerns."""
    peers: dict[str, dict[str, None]] = {}
    for line in lines:
        if line.note:
            peers.setdefault(line.note, {})[line.peer] = None
    return "\n".join(f"- {'; '.join(whom)}: {note}." for note, whom in peers.items())


def number(value: float) -> str:
    """Three digits that count, and no more than two behind the point unless it is small."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def aligned(header: Row, rows: Iterable[Row], sides: str) -> str:
    """A Markdown table whose source can be read as well. `sides`: `<` or `>` for each column.

    The last column is not padded where it holds sentences.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    if widths[-1] > WIDEST_PADDED:
        widths[-1] = len(header[-1])
    rule = ["-" * (width + 1) + (":" if side == ">" else "-") for width, side in zip(widths, sides, strict=True)]
    lines = [
        "| " + " | ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])
