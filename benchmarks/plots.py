"""The plots of the README, as SVG; the same results give the same files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.results import OURS, Result

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

plt.rcParams.update(
    {
        "svg.hashsalt": "session_store",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "lines.markersize": 5,
    }
)

WIDTH = 8.6  # inches: a README's column
COLOURS = ("#c0392b", "#2471a3", "#d68910", "#1e8449", "#7f8c8d")  # ours is the first
MARKS = "osD^v"
Points = dict[str, list[tuple[int, Result]]]  # by peer; with the number that the case begins with, or holds


def draw(results: Sequence[Result], folder: Path, kind: str = "svg") -> None:
    """All for which there are results."""
    plots: dict[str, Callable[[Sequence[Result]], Any]] = {
        "latency": latency,
        "tasks": tasks,
        "contention": contention,
        "scale": scale,
    }
    for name, plot in plots.items():
        figure = plot([line for line in results if not line.note.startswith("not run")])
        if figure is not None:
            metadata = {"Date": None} if kind == "svg" else {}
            figure.savefig(
                folder / f"{name}.{kind}", metadata=metadata, bbox_inches="tight", facecolor="white", dpi=110
            )
            plt.close(figure)


def latency(results: Sequence[Result]) -> Any:
    """Ratio of latency by method, to whatever does the least that could be compared."""
    wanted = {
        ("single calls", "redis-py"): (0, "sync / redis-py"),
        ("single calls", "redis-py, WATCH .. EXEC"): (0, "sync / redis-py"),
        ("single calls, async", "redis.asyncio"): (1, "async / redis.asyncio"),
        ("single calls, async", "redis.asyncio, WATCH .. EXEC"): (1, "async / redis.asyncio"),
        ("single calls, async", "valkey-glide"): (2, "async / valkey-glide"),
        ("single calls, async", "coredis"): (3, "async / coredis"),
    }
    lines = [line for line in results if (line.workload, line.peer) in wanted and line.ratio]
    if not lines:
        return None
    methods = list(dict.fromkeys(line.case for line in lines))
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    drawn = set()
    for number, method in enumerate(methods):
        group = [(line, *wanted[line.workload, line.peer]) for line in lines if line.case == method]
        for place, (line, kind, label) in enumerate(sorted(group, key=lambda bar: bar[1])):
            x = number + (place - (len(group) - 1) / 2) * 0.2
            height = line.ratio[0] if line.ratio else 0
            axes.bar(x, height, 0.18, color=COLOURS[kind], label=None if kind in drawn else label)
            axes.text(x, height + 0.01, f"{height:.2f}", ha="center", va="bottom", fontsize=6)
            drawn.add(kind)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(
        range(len(methods)), [f"{name}\n/ WATCH .. EXEC" if name == "with_cas" else name for name in methods]
    )
    axes.set_ylabel("latency, ours / theirs (medians)")
    axes.grid(axis="y")
    _legend(figure, axes)
    return figure


def tasks(results: Sequence[Result]) -> Any:
    """Throughput by number of tasks."""
    points = _points(results, "tasks", r"^([\d,]+) tasks?$")
    if not points:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    _lines(axes, points)
    axes.set(xlabel="tasks", ylabel="calls per second", xscale="log")
    _decades(axes)
    _ticks(axes, points)
    _legend(figure, axes)
    return figure


def contention(results: Sequence[Result]) -> Any:
    """Commits per second, and the share of calls given up, by writers; a column for each number of slots."""
    columns = [
        (slots, _points(results, "contention", rf"^([\d,]+) writers? x {slots} slots?$"))
        for slots in ("1", "10", "1,000")
    ]
    columns = [(slots, points) for slots, points in columns if points]
    if not columns:
        return None
    figure, grid = plt.subplots(
        2, len(columns), figsize=(WIDTH, 4.6), sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1)
    )
    for (slots, points), (above, below) in zip(columns, grid.T, strict=True):
        _lines(above, points)
        _lines(below, points, lambda line: 100 * line.counts["given up"] / max(line.counts["attempted"], 1))
        above.set(title=f"{slots} slot{'s' if slots != '1' else ''}", xscale="log")
        below.set(xlabel="writers", ylim=(-5, 105))
        below.grid(visible=True)
        _decades(above)
        _ticks(above, points)
    grid[0][0].set_ylabel("commits per second")
    grid[1][0].set_ylabel("% given up")
    _legend(figure, grid[0][0])
    return figure


def scale(results: Sequence[Result]) -> Any:
    """Time of touch and purge by the number of foreign keys."""
    figure, row = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    for method, axes in zip(("touch", "purge"), row, strict=True):
        points = _points(results, "touch and purge", rf"^{method}, ([\d,]+) foreign keys$")
        points.pop("session_store, no foreign keys", None)
        if not points:
            plt.close(figure)
            return None
        _lines(axes, points)
        axes.set(title=f"{method} of ten slots", xlabel="foreign keys in the database")
        axes.set_xscale("symlog", linthresh=1000, linscale=0.6)
        axes.set_xlim(-150, 2_000_000)
        _decades(axes, steps=(1,))
        _ticks(axes, points)
    row[0].set_ylabel("µs per call")
    _legend(figure, row[0])
    return figure


def _points(results: Sequence[Result], workload: str, pattern: str) -> Points:
    """The lines of a workload whose case fits; what the pattern's group has is the place on the axis."""
    points: Points = {}
    for line in results:
        fits = re.match(pattern, line.case) if line.workload == workload else None
        if fits:
            points.setdefault(line.peer, []).append((int(fits[1].replace(",", "")), line))
    return dict(sorted(points.items(), key=lambda item: item[0] != OURS))


def _lines(axes: Any, points: Points, value: Callable[[Result], float] | None = None) -> None:
    """A line for each peer: medians with a band from min to max, or what `value` gives."""
    for number, (peer, pairs) in enumerate(points.items()):
        xs, lines = zip(*sorted(pairs, key=lambda pair: pair[0]), strict=True)
        ys = [value(line) if value else line.median for line in lines]
        colour = COLOURS[number]
        axes.plot(xs, ys, marker=MARKS[number], color=colour, label=peer, zorder=9 - number)
        if value is None:
            axes.fill_between(
                xs, [line.low for line in lines], [line.high for line in lines], color=colour, alpha=0.15, lw=0
            )


def _decades(axes: Any, steps: tuple[int, ...] = (1, 2, 5)) -> None:
    """A logarithmic axis of values, with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(visible=True)


def _ticks(axes: Any, points: Points) -> None:
    """One for each number that was measured."""
    numbers = sorted({number for pairs in points.values() for number, _ in pairs})
    axes.set_xticks(numbers, [_short(number) for number in numbers])
    axes.xaxis.set_minor_locator(NullLocator())


def _short(number: int) -> str:
    for size, letter in ((1_000_000, " M"), (1_000, " k")):
        if number >= size and number % size == 0:
            return f"{number // size}{letter}"
    return f"{number}"


def _legend(figure: Any, axes: Any) -> None:
    """Above the plot, in one row."""
    handles, labels = axes.get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, labels, ncols=len(labels), loc="lower center", bbox_to_anchor=(0.5, 1.0))
