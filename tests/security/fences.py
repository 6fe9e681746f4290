"""A fenced purge against 200 slow writers: no key of the namespace exists afterwards, and the fence itself expires.

    python tests/security/fences.py [--rounds 200] [--writers 200]

In each round, writers of every kind write to one namespace without a pause, many of them in the middle of a closure.
Then it is purged with a fence. From that moment on, until the last writer has been refused and after, the namespace
must hold nothing but the fence, which ends by itself: at the end of all rounds, nothing is left, and writes work again.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # `support` is found there

from support.closures import drive, in_flavour, settled
from support.servers import Server

from session_store import AsyncSessionStore, CasContentionError, NamespacePurgedError, SessionStore

PREFIX = "fences"
TTL = 600  # seconds
FENCE = 20  # seconds; a writer who has not been refused by then gives up
PATIENCE = 60  # seconds; until then all writers must have begun
PAUSE = 0.1  # seconds; what a closure takes at most, and a writer between two writes

# What a writer does, again and again, to slots of its own and to slots that it shares. None: it commits.
WRITES: list[Callable[[Any, int], Any] | None] = [
    None,
    lambda ns, number: ns.set(f"text-{number}", "1"),
    None,
    lambda ns, number: ns.hset("shared", str(number), "1"),
    None,
    lambda ns, number: ns.hset(f"hash-{number}", mapping={"a": "1", "b": "2"}),
    None,
    lambda ns, number: ns.incr(f"id-{number % 3}"),
    lambda ns, number: ns.hincrby("sums", str(number)),
    lambda ns, number: ns.delete(f"text-{number - 8}"),
    lambda ns, number: ns.hdel("shared", str(number - 7)),
    lambda ns, number: ns.touch(),  # it is not refused: it finds nothing
]


class Round:
    """One namespace and its writers. A writer goes on until it is refused or, if it only touches, until the purge.

    The code of both flavours: in the sync one nothing is ever waited for, so that `drive` can run it in a thread.
    """

    def __init__(self, store: Any, name: str, writers: int) -> None:
        self.ns = store.namespace(name)
        self.is_async = isinstance(store, AsyncSessionStore)
        self.writers = range(writers)
        self.begun: set[int] = set()  # the writers that have written, or are in a closure
        self.inside: set[int] = set()  # those that are in a closure now
        self.refused: set[int] = set()
        self.interrupted = 0  # closures that ran when the purge came
        self.purged_at = math.inf
        self.errors: list[BaseException] = []
        self._ends = time.monotonic() + PATIENCE  # for writers that meet no refusal

    async def pause(self, seconds: float) -> None:
        if self.is_async:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251  # nobody else is in this thread

    def may_end(self, write: Any) -> bool:
        """Whether a writer may end without having been refused: it only touched, or it has waited for too long."""
        now = time.monotonic()
        return now > self._ends or (now > self.purged_at and write is WRITES[-1])

    async def write(self, number: int) -> None:
        """A writer."""
        write = WRITES[number % len(WRITES)]
        try:
            while not self.errors and not self.may_end(write):
                try:
                    await (self._commit(number) if write is None else settled(write(self.ns, number)))
                except CasContentionError:
                    pass
                self.begun.add(number)
                await self.pause(random.uniform(0, PAUSE))
        except NamespacePurgedError:
            self.refused.add(number)
        except BaseException as error:
            self.errors.append(error)

    async def _commit(self, number: int) -> None:
        async def closure(snap: Any, ops: Any) -> None:
            await settled(snap.hgetall("shared"))
            self.begun.add(number)
            self.inside.add(number)
            await self.pause(random.uniform(0, PAUSE))
            self.inside.discard(number)
            ops.set(f"committed-{number}", "1")
            ops.hset("shared", f"committed-{number}", "1")

        fn = in_flavour(closure, is_async=self.is_async)
        await settled(self.ns.with_cas(f"watched-{number % 90}", fn))

    async def purge(self) -> None:
        """The purge, as soon as all writers have begun."""
        while len(self.begun) < len(self.writers) and not self.errors and time.monotonic() < self._ends:
            await self.pause(0.001)
        self.interrupted = len(self.inside)
        try:
            await settled(self.ns.purge(fence=FENCE))
            self.purged_at = time.monotonic()
            self._ends = self.purged_at + FENCE
        except Exception as error:
            self.errors.append(error)


def run_in_threads(each: Round) -> None:
    threads = [threading.Thread(target=drive, args=(each.write(number),)) for number in each.writers]
    for thread in threads:
        thread.start()
    drive(each.purge())
    for thread in threads:
        thread.join()


async def run_in_tasks(each: Round) -> None:
    tasks = [asyncio.ensure_future(each.write(number)) for number in each.writers]
    await each.purge()
    await asyncio.wait(tasks)


def left_by(raw: redis.Redis, name: str) -> dict[bytes, Any]:
    """What a namespace holds: its keys and, of the index, the fields."""
    keys = list(raw.scan_iter(match=f"{PREFIX}:{name}:*", count=1000))
    return {key: sorted(raw.hgetall(key)) if key.endswith(b":~index") else None for key in keys}


def complaints(each: Round, raw: redis.Redis) -> Iterator[str]:
    """What a round has shown to be wrong, just after its last writer has ended."""
    index = f"{PREFIX}:{each.ns.name}:~index".encode()
    if each.errors:
        yield f"a writer met {each.errors[0]!r}"
    if time.monotonic() > each.purged_at + FENCE:
        yield "the fence has ended before the writers had"
    if left_by(raw, each.ns.name) != {index: [b"~fence"]}:
        yield f"this lives: {left_by(raw, each.ns.name)}"
    if not 0 < raw.pttl(index) <= FENCE * 1000:
        yield f"the fence lives for {raw.pttl(index)} ms"
    refusable = {number for number in each.writers if WRITES[number % len(WRITES)] is not WRITES[-1]}
    if each.refused != refusable:
        yield f"{len(refusable - each.refused)} writers were not refused"


class Rounds:
    """Rounds of one flavour, one after the other, and what they have come to."""

    def __init__(self, raw: redis.Redis, port: int, flavour: str, writers: int = 200) -> None:
        self._raw, self._flavour, self._writers = raw, flavour, writers
        self._options = {"port": port, "socket_timeout": 60, "max_connections": 2 * writers}
        self.names: list[str] = []
        self.wrong: list[str] = []
        self.refused = self.interrupted = 0

    def run(self, rounds: int) -> None:
        names = [f"{self._flavour}-{number}" for number in range(rounds)]
        if self._flavour == "sync":
            with redis.Redis(**self._options) as client:
                for name in self._until_one_is_wrong(names):
                    with self._judged(SessionStore(client, prefix=PREFIX, default_ttl=TTL), name) as each:
                        run_in_threads(each)
        else:
            asyncio.run(self._run_in_tasks(names))

    async def _run_in_tasks(self, names: list[str]) -> None:
        async with redis.asyncio.Redis(**self._options) as client:
            for name in self._until_one_is_wrong(names):
                with self._judged(AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL), name) as each:
                    await run_in_tasks(each)

    def _until_one_is_wrong(self, names: list[str]) -> Iterator[str]:
        return takewhile(lambda _: not self.wrong, names)

    @contextmanager
    def _judged(self, store: Any, name: str) -> Iterator[Round]:
        each = Round(store, name, self._writers)
        yield each
        self.names.append(name)
        self.wrong += (f"{name}: {wrong}" for wrong in complaints(each, self._raw))
        self.refused += len(each.refused)
        self.interrupted += each.interrupted

    def wait_for_fences(self) -> None:
        """Until all fences have ended: then nothing must be left, and writes must work."""
        deadline = time.monotonic() + FENCE + PATIENCE
        store = SessionStore(self._raw, prefix=PREFIX, default_ttl=TTL)
        for name in self.names:
            while left_by(self._raw, name) and time.monotonic() < deadline:
                time.sleep(0.01)
            self.wrong += (f"{name}: this has not ended: {left}" for left in left_by(self._raw, name))
            if not store.namespace(name).set("again", "1") or store.namespace(name).purge() != 1:
                self.wrong.append(f"{name}: it cannot be written to")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--writers", type=int, default=200)
    given = parser.parse_args()
    wrong: list[str] = []
    server = Server()
    try:
        with redis.Redis(port=server.port) as raw:
            for flavour in ("sync", "async"):
                began = time.monotonic()
                rounds = Rounds(raw, server.port, flavour, given.writers)
                rounds.run(given.rounds)
                rounds.wait_for_fences()
                wrong += rounds.wrong
                print(
                    f"{flavour}: {given.rounds} rounds, {rounds.refused} writers refused, {rounds.interrupted} closures "
                    f"interrupted, {len(rounds.wrong)} complaints, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    finally:
        server.stop()
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
