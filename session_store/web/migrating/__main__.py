"""`python -m session_store.web.migrating shop.sessions:migration` moves all sessions that are there.

The argument names a `Migration` or `AsyncMigration`, or a function that makes one. It prints how many were moved, were moved
before, were gone meanwhile, or could not be moved (then the exit code is 1), and no id. It may be ended and begun again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from session_store.web.migrating._async.migration import AsyncMigration
from session_store.web.migrating._core.marks import Outcome
from session_store.web.migrating._sync.migration import Migration

_TOLD_AFTER = 1.0  # seconds between two lines of progress


def made(name: str) -> Any:
    """The migration of that dotted path."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    found = getattr(import_module(module), attribute)
    return found if isinstance(found, (Migration, AsyncMigration)) else found()


class Progress:
    """Counts, tells of it now and then, and keeps to a rate."""

    def __init__(self, rate: float | None) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._rate = rate
        self._begun = self._told = time.monotonic()

    def pause(self, outcome: Outcome) -> float:
        """Notes one; how long to wait before the next."""
        self.counts[outcome] += 1
        now = time.monotonic()
        if now - self._told >= _TOLD_AFTER and sys.stderr.isatty():
            self._told = now
            sys.stderr.write(f"\r{self.counts.total():,} sessions")
        return 0 if self._rate is None else max(0, self._begun + self.counts.total() / self._rate - now)


async def move_async(migration: AsyncMigration, progress: Progress) -> None:
    """All of them, in an event loop of its own."""
    async for outcome in migration.move_all():
        await asyncio.sleep(progress.pause(outcome))


def move(migration: Migration, progress: Progress) -> None:
    """All of them."""
    outcomes: Iterator[Outcome] = migration.move_all()
    for outcome in outcomes:
        time.sleep(progress.pause(outcome))


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0, 1 where some could not be moved, 2 where nothing could be begun."""
    parser = argparse.ArgumentParser(prog="python -m session_store.web.migrating", description="Moves all sessions.")
    parser.add_argument("migration", metavar="MODULE:NAME", help="a Migration, or a function that makes one")
    parser.add_argument("--rate", type=float, help="how many sessions a second at most; unlimited if not given")
    parser.add_argument("--json", action="store_true", help="the counts as JSON")
    given = parser.parse_args(argv)
    if ":" not in given.migration or (given.rate is not None and given.rate <= 0):
        parser.error("give MODULE:NAME, and a rate above 0")
    progress, migration = Progress(given.rate), made(given.migration)
    try:
        if isinstance(migration, AsyncMigration):
            asyncio.run(move_async(migration, progress))
        else:
            move(migration, progress)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; call it again to go on\n")
    counts = progress.counts
    if given.json:
        print(json.dumps({name: counts[name] for name in ("moved", "known", "gone", "failed")}))  # noqa: T201
    else:
        print(  # noqa: T201
            f"{counts['moved']} moved, {counts['known']} were moved before, {counts['gone']} ended meanwhile, "
            f"{counts['failed']} could not be moved"
        )
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
