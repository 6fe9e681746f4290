"""Rounds in which everybody has a turn, and the ratios within them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from statistics import quantiles
from typing import TypeVar

from benchmarks.results import OURS, Result, Spread

Side = Callable[[], float]  # does one round's work, and gives what was measured of it
AsyncSide = Callable[[], Awaitable[float]]
P = TypeVar("P")
Samples = dict[str, list[float]]  # by peer, in the order of the rounds


def turns(peers: Iterable[P], rounds: int, warm_up: int) -> Iterator[tuple[P, bool]]:
    """Whose turn it is, and whether it counts; the order turns round from one round to the next."""
    order = list(peers)
    for number in range(-warm_up, rounds):
        for peer in order:
            yield peer, number >= 0
        order.reverse()


def interleave(sides: Mapping[str, Side], rounds: int, *, warm_up: int = 1) -> Samples:
    """What each side measured in each round."""
    samples: Samples = {peer: [] for peer in sides}
    for peer, counts in turns(sides, rounds, warm_up):
        measured = sides[peer]()
        if counts:
            samples[peer].append(measured)
    return samples


async def interleave_async(sides: Mapping[str, AsyncSide], rounds: int, *, warm_up: int = 1) -> Samples:
    """The same in an event loop."""
    samples: Samples = {peer: [] for peer in sides}
    for peer, counts in turns(sides, rounds, warm_up):
        measured = await sides[peer]()
        if counts:
            samples[peer].append(measured)
    return samples


def block(call: Callable[[], object], calls: int) -> Side:
    """A side that makes some calls, in microseconds per call."""

    def side() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - begin) / calls * 1e6

    return side


def async_block(call: Callable[[], Awaitable[object]], calls: int) -> AsyncSide:
    """The same, one call after the other."""

    async def side() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            await call()
        return (time.perf_counter() - begin) / calls * 1e6

    return side


def spread_of(values: list[float]) -> Spread:
    """Median and quartiles of the rounds."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, method="inclusive")
    return middle, low, high


def ratio_of(ours: list[float], theirs: list[float]) -> Spread:
    """Ours / theirs within each round: median and quartiles."""
    return spread_of([a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)])


def summed(
    workload: str,
    case: str,
    unit: str,
    samples: Samples,
    *,
    counts: Mapping[str, dict[str, int]] | None = None,
    notes: Mapping[str, str] | None = None,
    ours: str = OURS,
    cores: str = "",
) -> list[Result]:
    """The lines of one case: a line for each peer, its ratio being that of `ours` to it."""
    return [
        Result(
            workload,
            case,
            peer,
            unit,
            *spread_of(values),
            None if peer == ours or ours not in samples else ratio_of(samples[ours], values),
            dict((counts or {}).get(peer, {})),
            (notes or {}).get(peer, ""),
            cores,
        )
        for peer, values in samples.items()
    ]


def apart(workload: str, case: str, unit: str, samples: Samples) -> list[Result]:
    """Lines without a ratio: where each number means something by itself."""
    return [
        line for peer, values in samples.items() for line in summed(workload, case, unit, {peer: values}, ours=peer)
    ]
