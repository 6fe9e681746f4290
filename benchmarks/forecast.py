"""What capacity.py has measured and sizing.py works out, for docs/sizing.md: tables, the formula with numbers, a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.sizing import EXAMPLES, GIB, Model, Shape, tables

ALL = (10**6, 10**8, 10**9)  # namespaces
NODES = (1, 3, 10, 30, 100)  # primaries
NUMBERS = [10 ** (exponent / 8) for exponent in range(8, 73)]  # of namespaces, in the plot
PLOTTED = EXAMPLES[1]  # in the panel of primaries
BEGIN, END = "<!-- make capacity: from here -->\n", "<!-- make capacity: to here -->\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(number: float) -> str:
    """With two digits that mean something: 1.2 M."""
    for size, letter in ((1e9, " billion"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{float(f'{number / size:.2g}'):,g}{letter}"
    return f"{float(f'{number:.2g}'):,g}"


def sized(number: float) -> str:
    """Bytes, with three digits at most: 1.65 GiB."""
    size, unit = (2**40, "TiB") if number >= 2**40 else (GIB, "GiB")
    return f"{float(f'{number / size:.3g}'):,g} {unit}"


def formulas(model: Model) -> str:
    """What a namespace takes."""
    rows = []
    for kind, formula in model.formulas.items():
        part = f"{formula.each:.0f} + {formula.per_byte:.2f} *s*" if formula.each else ""
        size = f"{formula.fixed:.0f} + *n* ({part})" if part else f"{formula.fixed:.0f} + {formula.per_byte:.2f} *s*"
        keys = f"{formula.keys_fixed:.0f}" + (" + *n*" if formula.keys_each else "")
        rows.append([kind, size, keys, f"{100 * formula.worst:.0f} %"])
    return table(["*n* parts of *s* bytes each", "bytes of a namespace", "keys", "off by at most"], rows)


def forecasts(model: Model) -> str:
    """GiB and primaries for each of ALL."""
    rows = []
    for example in EXAMPLES:
        cells = []
        for namespaces in ALL:
            size, memory, busy = (f(example, namespaces) for f in (model.total, model.by_memory, model.by_time))
            first = "memory" if memory >= busy else "time"
            cells.append(f"{sized(size)}, {math.ceil(max(memory, busy)):,} ({first})")
        rows.append([example.told, f"{model.total(example, 10**6) / 10**6:,.0f}", *cells])
    return table(["namespace", "bytes each, with tables", *(f"of {short(namespaces)}" for namespaces in ALL)], rows)


def nodes(model: Model) -> str:
    """What so many primaries take, and which limit is met first."""
    rows = []
    for example in EXAMPLES:
        cells = []
        for count in NODES:
            memory, busy = model.held(example, count), model.kept_up_with(example, count)
            cells.append(f"{short(min(memory, busy))} ({'memory' if memory <= busy else 'time'})")
        rows.append([example.told, *cells])
    return table(["namespaces on primaries:", *map(str, NODES)], rows)


def times(model: Model) -> str:
    """Server time of operations, and how many a primary takes in a second."""
    rows = []
    for example in EXAMPLES:
        for each in model.times:
            if (each.kind, each.shape) == (example.kind, example.shape):
                rate = model.given.busy_percent / 100 * 1e6 / each.apart_us
                rows.append(
                    [
                        f"{example.told}: {each.operation}",
                        f"{each.apart_us:.0f}",
                        f"{each.together_us:.0f}",
                        short(rate),
                    ]
                )
    head = ["operation", "µs, 50 connections", "µs, 50 tasks on one", f"calls/s at {model.given.busy_percent:g} %"]
    return table(head, rows)


def checks(model: Model) -> str:
    """Predicted and measured."""
    rows = []
    for check in model.run["checks"]:
        shape = Shape(**check["shape"])
        what = f"{check['namespaces']:,}, {check['kind']}, {shape.count} of {shape.size} bytes"
        what += ", a node of a cluster" if check["cluster"] else ""
        predicted, measured = model.predicted(check), check["measured"]
        sizes = [f"{number / 2**20:,.0f} MiB" for number in (predicted, measured)]
        grown = ", ".join(f"{name} {before:.0f}, {after:.0f}" for name, _, before, after in check["times"])
        rows.append([what, *sizes, f"{predicted / measured:.3f}", f"{check['fragmentation']:.2f}", grown])
    few = f"{model.run['checks'][0]['times'][0][1]:,}" if rows else ""
    head = ["namespaces", "predicted", "measured", "ratio", "fragmentation", f"µs of a call, at {few} and at all"]
    return table(head, rows)


def told(model: Model, check: dict[str, Any]) -> str:
    """A line of `checks`, for the terminal."""
    predicted, measured = model.predicted(check), check["measured"]
    line = f"predicted {predicted:,.0f} bytes, measured {measured:,}, ratio {predicted / measured:.3f}"
    grown = "; ".join(
        f"{name}: {before} µs at {few:,}, {after} µs at all" for name, few, before, after in check["times"]
    )
    return f"{line}; resident / used {check['fragmentation']}\n{grown}"


ASSUMED = """\
**Measured** on a core of {CPU}, {server}, redis-py {redis}, with {load} before it; names have 32 characters, the prefix is `shop`, \
values are text as JSON. Web sessions and conversations have an owner each, who has a list of them.
**Memory**: a primary has {node_memory_gib} for itself, of which {reserve_percent} stay free, for buffers of clients and replicas, and for \
pages that are copied while a fork saves; each byte takes {fragmentation}. So it holds {room} GiB of data. With {replicas}, as many \
machines of that size stand beside each.
**Time**: {busy_percent} of a primary's one thread are used in the busiest hour, in which each namespace that lives is asked \
{reads_per_hour} and {writes_per_hour} times, each call on a connection of its own. A read is a GET, a page view, the latest 50 \
messages, a load, 100 events; a write changes or adds one part.
**Not in it**: the network, of which 5,000 loads of 10 KB a second take 50 MB; those who follow channels, as each process that does hears \
each event; records of further processes that write to a namespace, [some 27 bytes](../benchmarks/README.md#memory) each for 10 \
minutes; saving to disk. A cluster has three primaries at least."""


def assumptions(model: Model) -> str:
    """Beside every figure: what it rests on."""
    words = {name: f"`--{name.replace('_', '-')} {value:g}`" for name, value in vars(model.given).items()}
    on = model.run["machine"]
    words |= {"room": f"{model.given.room / GIB:.1f}", "load": on["busy before the run"]} | on
    points = ASSUMED.format(**words).splitlines()
    return "\n".join(fill(f"- {point}", 118, subsequent_indent="  ", break_on_hyphens=False) for point in points)


def worked(model: Model) -> str:
    """The formula with its numbers, for a million web sessions."""
    example, formula, given = EXAMPLES[1], model.formulas[EXAMPLES[1].kind], model.given
    count, size = example.shape.count, example.shape.size
    each, keys = formula.bytes(example.shape), formula.keys(example.shape) * 10**6
    data = model.total(example, 10**6)
    memory = data * given.fragmentation / (1 - given.reserve_percent / 100)
    read, write = (model.time(example, name).apart_us for name in (example.read, example.write))
    busy = model.busy(example) * 10**6
    primaries = math.ceil(max(model.by_memory(example, 10**6), model.by_time(example, 10**6)))
    return f"""\
A million web sessions of a user each, of {count} keys of {size} bytes:

```text
bytes of one  {formula.fixed:.0f} + {count} x ({formula.each:.0f} + {formula.per_byte:.2f} x {size}) = {each:,.0f}
data          1,000,000 x {each:,.0f} + {tables(keys):,.0f} (tables of {keys:,.0f} keys) = {sized(data)}
memory        {sized(data)} x {given.fragmentation:g} / {1 - given.reserve_percent / 100:g} = {sized(memory)}, and as much for each replica
time          1,000,000 x ({given.reads_per_hour:g} x {read:.0f} + {given.writes_per_hour:g} x {write:.0f}) / 3,600,000,000 = {busy:.2f} of a thread
primaries     the larger of {memory / GIB / given.node_memory_gib:.2f} and {busy / given.busy_percent * 100:.2f}: {primaries}
```"""


KINDS_TOLD = """\
Without the server's tables. Parts are slots, keys of a session, messages, events; a snapshot is one. A web session whose
values are all of up to 64 bytes is kept in a form that takes less (`hash-max-listpack-value`)."""
TIMES_TOLD = """\
Of its main thread (`used_cpu_*_main_thread` in INFO), for 50 calls at once: each on a connection of its own, as threads and
traced clients send them, and together on one, as an async store does. Most of the first is the socket: `get` is a GET."""
CHECKS_TOLD = """\
Namespaces of shapes that the formula was not fitted to, on one server; resident memory by used memory; and the time of a
call on 50 connections, when there were few and when all were there."""


def report(model: Model) -> str:
    """All tables, and the plot."""
    parts = [
        worked(model),
        "## What it rests on",
        assumptions(model),
        "## Bytes of a namespace",
        KINDS_TOLD,
        formulas(model),
    ]
    parts += ["## Up to a billion", "Data of all primaries; how many primaries; and which limit asks for so many."]
    parts += [forecasts(model), "![Memory and primaries by namespaces](capacity.svg)"]
    parts += ["How many namespaces so many primaries take, and which limit is met first:", nodes(model)]
    parts += ["## Time of the server", TIMES_TOLD, times(model), "## Filled servers", CHECKS_TOLD, checks(model)]
    return "\n\n".join(parts) + "\n"


def written(model: Model, folder: Path) -> None:
    """The plot, and the tables between the marks of the page."""
    draw(model, folder / "capacity.svg")
    page = folder / "sizing.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{report(model)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def draw(model: Model, file: Path) -> None:
    """Memory by namespaces, with what was measured; and primaries by namespaces, for each limit."""
    from matplotlib import pyplot as plt

    from benchmarks.plots import WIDTH  # and its style

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.4))
    _memory(left, model)
    _primaries(right, model)
    for axes, exponents in ((left, range(1, 10, 2)), (right, range(5, 10))):
        ticks = [10**exponent for exponent in exponents]
        axes.set(xscale="log", yscale="log", xlabel="namespaces that live (log scale)", xlim=(ticks[0], ticks[-1]))
        axes.set_xticks(ticks)
        axes.grid(visible=True)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=8)
    figure.tight_layout()
    metadata = {"Date": None} if file.suffix == ".svg" else {}
    figure.savefig(file, metadata=metadata, bbox_inches="tight", facecolor="white", dpi=110)
    plt.close(figure)


def _memory(axes: Any, model: Model) -> None:
    for example in EXAMPLES:
        sizes = [model.total(example, number) / GIB for number in NUMBERS]
        axes.plot(NUMBERS, sizes, color=example.colour, lw=1.3, label=example.told)
        for point in model.weights:
            if (point.kind, point.shape) == (example.kind, example.shape):
                size = point.namespaces * point.bytes + tables(point.namespaces * point.keys)
                axes.plot(point.namespaces, size / GIB, example.mark, color=example.colour)
    star, ring = {"marker": "*", "ms": 9}, {"marker": "o", "ms": 13, "fillstyle": "none"}
    style = {"color": "black", "ls": "none", "zorder": 5}
    for check in (each for each in model.run["checks"] if not each["cluster"]):
        axes.plot(check["namespaces"], check["measured"] / GIB, **star, **style)
        axes.plot(check["namespaces"], model.predicted(check) / GIB, **ring, **style)
    axes.plot([], [], "o", color="grey", label="measured, what the lines are fitted to")
    axes.plot([], [], **star, **style, label="filled servers, other shapes")
    axes.plot([], [], **ring, **style, label="the same, predicted")
    for count in (1, 10, 100):
        held = count * model.given.room / GIB
        axes.axhline(held, color="grey", lw=0.8, ls=":")
        axes.text(14, held * 1.15, f"room of {count}", color="grey", fontsize=7)
    axes.set(ylabel="data, GiB (log scale)", title="Memory of all primaries together")


def _primaries(axes: Any, model: Model) -> None:
    given = model.given
    needed = [math.ceil(model.by_memory(PLOTTED, number)) for number in NUMBERS]
    axes.plot(NUMBERS, needed, color=PLOTTED.colour, lw=1.6, label="memory")
    for factor, style in ((0.1, ":"), (1, "--"), (10, "-.")):
        needed = [math.ceil(factor * model.by_time(PLOTTED, number)) for number in NUMBERS]
        often = f"{factor * given.reads_per_hour:g} reads, {factor * given.writes_per_hour:g} writes an hour each"
        axes.plot(NUMBERS, needed, style, color="#0072b2", lw=1.3, label=f"time: {often}")
    axes.set(ylabel="primaries (log scale)", title=f"Primaries, by each limit:\n{PLOTTED.told}")
