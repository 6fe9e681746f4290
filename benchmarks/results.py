"""What a workload gives back, and what it is told."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

OURS = "session_store"  # how results name this library; its variants begin with it, "session_store, with_cas"
WIDEST = 0.5  # where the middle half of the rounds is wider than so much of its median, the median means nothing
Spread = tuple[float, float, float]  # median, lower and upper quartile of the rounds


@dataclass(frozen=True)
class Result:
    """One line of a table.

    - `workload`, `case`, `peer`: what was done, how, by whom; "single calls", "hset", "redis-py".
    - `unit`: of `median`, `low` and `high`, which are the median and the quartiles of the rounds.
    - `ratio`: ours / theirs, as median and quartiles over the rounds of the ratio within a round; None for ourselves.
    - `counts`: {"attempted": 300, "lost": 3, "given up": 12}, or {"commands": 2}; empty where there is nothing to count.
    - `note`: empty, or one line: "not run: ..", "no locking: last write wins".
    - `cores`: "awake" or "idle", the state in which one caller was timed; empty where many worked.
    """

    workload: str
    case: str
    peer: str
    unit: str
    median: float
    low: float
    high: float
    ratio: Spread | None = None
    counts: dict[str, float] = field(default_factory=dict)
    note: str = ""
    cores: str = ""

    @property
    def ran(self) -> bool:
        """Whether there is anything to show."""
        return not self.note.startswith("not run")

    def as_json(self) -> dict[str, Any]:
        """The fields, rounded to what a measurement can mean."""
        fields = asdict(self)
        for name in ("median", "low", "high"):
            fields[name] = _rounded(fields[name])
        if self.ratio is not None:
            fields["ratio"] = [_rounded(each) for each in self.ratio]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Result:
        """The reverse of `as_json`."""
        ratio = fields["ratio"]
        return cls(**{**fields, "ratio": tuple(ratio) if ratio is not None else None})


def not_run(workload: str, case: str, peer: str, why: str) -> Result:
    """The line of a peer that could not be installed or started."""
    return Result(workload, case, peer, "", 0.0, 0.0, 0.0, note=f"not run: {why}")


def too_wide(spread: Spread) -> bool:
    """Whether the rounds differ so much that their median says nothing."""
    median, low, high = spread
    return high - low > WIDEST * abs(median)


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")


def merged(before: dict[str, Any], apart: dict[str, Any]) -> dict[str, Any]:
    """A whole run with some of its workloads replaced by those of another, which says so. Both are what results.json holds."""
    names = list(dict.fromkeys(line["workload"] for line in apart["results"]))
    told = f"{apart['seconds']} s, {apart['versions']['server']}, {apart['machine']['busy before the run']} before it"
    return {
        "seconds": before["seconds"],
        "machine": before["machine"] | {f"run apart: {', '.join(names)}": told},
        "versions": apart["versions"] | before["versions"],
        "results": [line for line in before["results"] if line["workload"] not in names] + apart["results"],
    }


@dataclass(frozen=True)
class Context:
    """What a workload is told.

    - `port`: of the benchmark's own server on 127.0.0.1, which nobody else uses.
    - `quick`: small sizes and few rounds.
    - `began`: `time.monotonic()` when the run began, for the lines of progress.
    """

    port: int
    quick: bool = False
    began: float = field(default_factory=time.monotonic)

    def pick(self, full: int, quick: int) -> int:
        """The size of something, by the kind of run."""
        return quick if self.quick else full

    rounds = pick

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the run began."""
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)
