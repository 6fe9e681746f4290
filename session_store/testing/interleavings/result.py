"""What an exploration that went well has to say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interleavings:
    """What `explore` has run, when all of it was well.

    - `schedules`: how many were run; `complete`: whether these are all there are, but for equal ones.
    - `skipped`: branches that were not followed because all schedules in them are equal to some that were run.
    - `sampled`: how many of the schedules were drawn at random, from `seed`.
    - `seconds`: of real time.
    - `digest`: of the schedules in their order; the same for the same tasks and arguments, in any process.
    """

    schedules: int
    complete: bool
    skipped: int
    sampled: int
    seed: int
    seconds: float
    digest: str

    def __str__(self) -> str:
        extent = "all there are" if self.complete else f"{self.sampled} of them at random, seed {self.seed}"
        rate = self.schedules / self.seconds if self.seconds else 0
        return f"{self.schedules} schedules ({extent}), {self.skipped} skipped as equal, {self.seconds:.2f} s, {rate:.0f}/s"
