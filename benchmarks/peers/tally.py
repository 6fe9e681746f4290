"""What the rounds of a session workload gave for each peer, and the lines of its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from benchmarks.measure import ratio_of, spread_of
from benchmarks.peers.face import AsyncPeer, Peer
from benchmarks.results import OURS, Result, not_run

P = TypeVar("P", Peer, AsyncPeer)


@dataclass
class Tally(Generic[P]):
    """One peer: a rate (per second) for each round, and counts over all of them."""

    peer: P
    rates: list[float] = field(default_factory=list)
    acknowledged: int = 0
    given_up: int = 0
    lost: int = 0

    def count(self, acknowledged: int, kept: int, given_up: int = 0) -> None:
        """Enters one round's changes: how many were acknowledged, and how many of those are there afterwards."""
        self.acknowledged += acknowledged
        self.given_up += given_up
        self.lost += acknowledged - kept

    @property
    def counts(self) -> dict[str, float]:
        """As `Result.counts`; empty where nothing was counted."""
        attempted = self.acknowledged + self.given_up
        if not attempted:
            return {}
        return {
            "attempted": attempted,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "given up": self.given_up,
        }


def in_turns(tallies: Sequence[Tally[P]], rounds: int) -> Iterator[Sequence[Tally[P]]]:
    """For each round the order of the peers: forwards, backwards, forwards, .."""
    for number in range(rounds):
        yield tallies[:: -1 if number % 2 else 1]


def lines(
    place: tuple[str, str, str],
    tallies: Sequence[Tally[Any]],
    missing: Mapping[str, str],
    references: Mapping[str, str] = MappingProxyType({}),
    cores: str = "",
) -> list[Result]:
    """The table's lines, in the order of the peers.

    `place`: workload, case and unit. `missing`: who could not be run, and why. `references`: by peer, the name of the variant of ours that its ratio is to, where that is not the first.
    `cores`: as in `Result`.
    """
    workload, case, unit = place
    rates = {tally.peer.name: tally.rates for tally in tallies}
    made = []
    for tally in tallies:
        name = tally.peer.name
        ratio = (
            None if name.startswith(OURS) else ratio_of(rates[references.get(name, tallies[0].peer.name)], tally.rates)
        )
        spread = spread_of(tally.rates)
        made.append(Result(workload, case, name, unit, *spread, ratio, tally.counts, tally.peer.note, cores))
    return made + [not_run(workload, case, name, why) for name, why in missing.items()]
