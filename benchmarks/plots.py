"""The plots of the README, as SVG; the same results give the same files.

A peer has the same colour and mark in all of them. Points are medians, whiskers are quartiles of the rounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.commits import WATCH, WATCH_ASYNC
from benchmarks.cores import AWAKE, STATES
from benchmarks.results import OURS, Result

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

plt.rcParams.update(
    {
        "svg.hashsalt": "session_store",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titlesize": 9,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "lines.markersize": 5,
    }
)

WIDTH = 8.6  # inches: a README's column
LOWER, HIGHER = "lower is better", "higher is better"
STYLES = {  # by peer: colour, mark
    OURS: ("#c0392b", "o"),
    "redis-py": ("#0072b2", "s"),
    "redis-py, MULTI with EXPIRE": ("#1e8449", "D"),
    "redis.asyncio": ("#56b4e9", "s"),
    "redis.asyncio, MULTI with EXPIRE": ("#7dcea0", "D"),
    "valkey-glide": ("#d68910", "^"),
    "coredis": ("#6c3483", "v"),
    "Redis.transaction()": ("#cc79a7", "P"),
    "plain protocol": ("#7f8c8d", "X"),
    "redis-py, PING": ("#000000", "*"),
}
# The same peer, though its name tells how it does this.
ALIASES = {WATCH: "redis-py", WATCH_ASYNC: "redis.asyncio", "plain protocol, SCAN": "plain protocol"}
Points = dict[str, list[tuple[int, Result]]]  # by peer; with the number that the case begins with, or holds


def draw(results: Sequence[Result], folder: Path, kind: str = "svg") -> None:
    """All for which there are results."""
    plots: dict[str, Callable[[Sequence[Result]], Any]] = {
        "latency": latency,
        "tasks": tasks,
        "contention": contention,
        "processes": processes,
        "scale": scale,
    }
    for name, plot in plots.items():
        figure = plot([line for line in results if line.ran])
        if figure is not None:
            metadata = {"Date": None} if kind == "svg" else {}
            figure.savefig(
                folder / f"{name}.{kind}", metadata=metadata, bbox_inches="tight", facecolor="white", dpi=110
            )
            plt.close(figure)


def latency(results: Sequence[Result]) -> Any:
    """Ratio of latency by method to each peer, cores awake and idle; a row for each flavour."""
    figure, rows = plt.subplots(2, 1, figsize=(WIDTH, 6.0))
    drawn: dict[str, Any] = {}
    for workload, axes in zip(("single calls", "single calls, async"), rows, strict=True):
        lines = [
            line
            for line in results
            if line.workload == workload and line.ratio and " ms " not in line.case and _base(line) != "plain protocol"
        ]
        if not lines:
            plt.close(figure)
            return None
        drawn |= _ratios(axes, [line for line in lines if _base(line) != "Redis.transaction()"])
        axes.set_title("sync" if workload == "single calls" else "async, one task", loc="left")
    figure.supylabel(f"latency, ours / theirs (log scale): {LOWER}", fontsize=9)
    states = {
        f"cores {state}": Line2D([], [], color="black", marker="o", ls="", fillstyle=_fill(state)) for state in STATES
    }
    _legend(figure, drawn | states)
    return figure


def _ratios(axes: Any, lines: list[Result]) -> dict[str, Any]:
    """A group of points for each method: each peer, cores awake and idle beside each other."""
    methods = list(dict.fromkeys(line.case for line in lines))
    drawn = {}
    for number, method in enumerate(methods):
        axes.axvspan(number - 0.5, number + 0.5, color="black", alpha=0.05 * (number % 2), lw=0)
        group = [line for line in lines if line.case == method]
        peers = [peer for peer in STYLES if any(_base(line) == peer for line in group)]
        for line in group:
            peer = _base(line)
            place = 2 * peers.index(peer) + STATES.index(line.cores)
            x = number + (place - peers.index(peer) * 0.6 - (len(peers) * 1.4 - 1) / 2) * 0.13
            median, low, high = line.ratio or (0, 0, 0)
            drawn[peer] = _point(axes, [x], [(median, low, high)], peer, fillstyle=_fill(line.cores), ls="")
    axes.axhline(1, color="black", linewidth=0.8)
    names = {"with_cas": "with_cas /\nWATCH .. EXEC"}
    axes.set_xticks(range(len(methods)), [names.get(name, name) for name in methods])
    axes.set(yscale="log", xlim=(-0.5, len(methods) - 0.5))
    axes.yaxis.set_major_locator(LogLocator(subs=(0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y")
    return drawn


def tasks(results: Sequence[Result]) -> Any:
    """Throughput by number of tasks, cores awake and idle."""
    figure, row = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    drawn: dict[str, Any] = {}
    for state, axes in zip(STATES, row, strict=True):
        points = _points([line for line in results if line.cores == state], "tasks", r"^([\d,]+) tasks?$")
        if not points:
            plt.close(figure)
            return None
        drawn |= _lines(axes, points)
        axes.set(xlabel="tasks (log scale)", xscale="log", title=f"cores {state}")
        _decades(axes)
        _ticks(axes, points)
    row[0].set_ylabel(f"calls per second (log scale):\n{HIGHER}")
    _legend(figure, drawn)
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
        2, len(columns), figsize=(WIDTH, 5.0), sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1)
    )
    drawn: dict[str, Any] = {}
    for (slots, points), (above, below) in zip(columns, grid.T, strict=True):
        drawn |= _lines(above, points)
        _lines(below, points, _given_up)
        above.set(title=f"{slots} slot{'s' if slots != '1' else ''}", xscale="log")
        below.set(xlabel="threads (log scale)", ylim=(-5, 105))
        below.grid(visible=True)
        _decades(above)
        _ticks(above, points)
    grid[0][0].set_ylabel(f"commits per second (log scale):\n{HIGHER}")
    grid[1][0].set_ylabel(f"% given up:\n{LOWER}")
    _legend(figure, drawn)
    return figure


def processes(results: Sequence[Result]) -> Any:
    """What processes that commit to one slot get through and at what price; a column for each closure."""
    rows = (
        ("", f"commits per second\n(log scale): {HIGHER}"),
        (": runs per commit", f"runs per commit\n(log scale): {LOWER}"),
        (": slowest / fastest", f"slowest / fastest:\n{HIGHER}"),
        (None, f"% given up:\n{LOWER}"),
    )
    figure, grid = plt.subplots(len(rows), 2, figsize=(WIDTH, 9.0), sharex=True, sharey="row")
    drawn: dict[str, Any] = {}
    for (ending, label), pair in zip(rows, grid, strict=True):
        pair[0].set_ylabel(label)
        for pause, axes in zip(("0 ms", "2 ms"), pair, strict=True):
            points = _points(results, "processes", rf"^(\d+) process(?:es)?, {pause} closure{ending or ''}$")
            if not points:
                plt.close(figure)
                return None
            drawn |= _lines(axes, points, _given_up if ending is None else None)
            axes.set_xscale("log")
            axes.grid(visible=True)
            if "log scale" in label:
                _decades(axes)
            else:
                axes.set_ylim(*((-5, 105) if ending is None else (0, 1.05)))
            _ticks(axes, _points(results, "processes", rf"^(\d+) process(?:es)?, {pause} closure$"))
        if ending == ": runs per commit":
            pair[0].set_ylim(bottom=0.9)  # once both have been drawn: it ends the scaling of the axis
    for pause, above, below in zip(("takes no time", "takes 2 ms"), grid[0], grid[-1], strict=True):
        above.set_title(f"closure {pause}")
        below.set_xlabel("processes (log scale)")
    _legend(figure, drawn)
    return figure


def scale(results: Sequence[Result]) -> Any:
    """Time of touch and purge by the number of foreign keys, cores awake."""
    figure, row = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    drawn: dict[str, Any] = {}
    awake = [line for line in results if line.cores == AWAKE and line.peer != "session_store, no foreign keys"]
    for method, axes in zip(("touch", "purge"), row, strict=True):
        points = _points(awake, "touch and purge", rf"^{method}, ([\d,]+) foreign keys$")
        if not points:
            plt.close(figure)
            return None
        drawn |= _lines(axes, points)
        axes.set(
            title=f"{method} of ten slots, cores {AWAKE}", xlabel="foreign keys in the database (log scale from 1 k)"
        )
        axes.set_xscale("symlog", linthresh=1000, linscale=0.6)
        axes.set_xlim(-150, 2_000_000)
        _decades(axes, steps=(1,))
        _ticks(axes, points)
    row[0].set_ylabel(f"µs per call (log scale):\n{LOWER}")
    _legend(figure, drawn)
    return figure


def _base(line: Result) -> str:
    return ALIASES.get(line.peer, line.peer)


def _fill(state: str) -> str:
    return "full" if state == AWAKE else "none"


def _given_up(line: Result) -> float:
    return 100 * line.counts["given up"] / max(line.counts["attempted"], 1)


def _points(results: Sequence[Result], workload: str, pattern: str) -> Points:
    """The lines of a workload whose case fits; what the pattern's group has is the place on the axis."""
    points: Points = {}
    for line in results:
        fits = re.match(pattern, line.case) if line.workload == workload else None
        if fits:
            points.setdefault(_base(line), []).append((int(fits[1].replace(",", "")), line))
    return dict(sorted(points.items(), key=lambda item: item[0] != OURS))


def _lines(axes: Any, points: Points, value: Callable[[Result], float] | None = None) -> dict[str, Any]:
    """A line for each peer: medians and quartiles, or what `value` gives."""
    drawn = {}
    for peer, pairs in points.items():
        xs, lines = zip(*sorted(pairs, key=lambda pair: pair[0]), strict=True)
        spreads = [(value(line),) * 3 if value else (line.median, line.low, line.high) for line in lines]
        drawn[peer] = _point(axes, xs, spreads, peer)
    return drawn


def _point(axes: Any, xs: Sequence[float], spreads: Sequence[Sequence[float]], peer: str, **style: Any) -> Any:
    """Medians with whiskers."""
    colour, mark = STYLES[peer]
    below = [median - low for median, low, _ in spreads]
    above = [high - median for median, _, high in spreads]
    medians = [spread[0] for spread in spreads]
    place = {"zorder": 4, "ms": 4} if peer == OURS else {"zorder": 3, "ms": 6}  # so that both show where they are equal
    style = {"color": colour, "marker": mark, "lw": 1.3, **style}
    axes.errorbar(xs, medians, (below, above), capsize=2, elinewidth=1, **place, **style)
    return Line2D([], [], **{**style, "fillstyle": "full"})


def _decades(axes: Any, steps: tuple[int, ...] = (1, 2, 5)) -> None:
    """A logarithmic axis of values, with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
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


def _legend(figure: Any, drawn: dict[str, Any]) -> None:
    """Above the plot, at most four in a row."""
    names = sorted(drawn, key=[*STYLES, *drawn].index)
    figure.tight_layout()
    columns = min(len(names), 4)
    figure.legend([drawn[name] for name in names], names, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0))
