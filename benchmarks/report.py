"""README.md out of results.json: nothing is measured here, and the same results give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

from benchmarks import aims
from benchmarks.results import Result
from benchmarks.texts import INTRODUCTION, TEXTS, Text

Row = Sequence[str]
COUNTS = ("attempted", "acknowledged", "given up", "lost")  # in this order


def readme(run: dict[str, Any]) -> str:
    """The whole page. `run` is what results.json holds."""
    results = [Result.from_json(fields) for fields in run["results"]]
    parts = ["# Benchmarks", INTRODUCTION, "## Aims", aims_table(results)]
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
    """What is aimed at, and what came of it."""
    return aligned(("what", "aim", "measured", "min to max", "met"), aims.rows(results), "<>>>>")


def table(workload: str, results: Iterable[Result]) -> str:
    """One workload's lines, its notes below."""
    lines = [line for line in results if line.workload == workload]
    found = {name for line in lines for name in line.counts}
    counted = [name for name in COUNTS if name in found] + sorted(found - {*COUNTS})
    header = ["case", "peer", "ours / theirs", "min to max", "median", "min to max", "unit", *counted]
    rows = []
    case = None
    for line in lines:
        rows.append([line.case if line.case != case else "", line.peer, *_cells(line), *_counts(line, counted)])
        case = line.case
    body = aligned(header, rows, "<<>>>><" + ">" * len(counted))
    return "\n\n".join(filter(None, [body, _notes(lines)]))


def _cells(line: Result) -> list[str]:
    if line.note.startswith("not run"):
        return ["", "", "not run", "", ""]
    ratio = [number(line.ratio[0]), _spread(*line.ratio[1:])] if line.ratio else ["", ""]
    return [*ratio, number(line.median), _spread(line.low, line.high), line.unit]


def _spread(low: float, high: float) -> str:
    """Nothing where there was one round."""
    return "" if low == high else f"{number(low)} to {number(high)}"


def _counts(line: Result, names: Iterable[str]) -> list[str]:
    return [f"{line.counts[name]:,}" if name in line.counts else "" for name in names]


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
    """A Markdown table whose source can be read as well. `sides`: `<` or `>` for each column."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    rule = ["-" * (width + 1) + (":" if side == ">" else "-") for width, side in zip(widths, sides, strict=True)]
    lines = [
        "| " + " | ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])
