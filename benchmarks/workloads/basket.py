"""The basket: workers add to one session's basket at once, each add one request in the library's own idiom.

An add that was acknowledged and is not in the basket at the end is lost. That is counted for everybody, and stands
beside the rate: adds that are lost are quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from time import perf_counter

import redis

from benchmarks import peers
from benchmarks.peers.face import AsyncPeer, GaveUp, Peer
from benchmarks.peers.sessions import session, session_id
from benchmarks.peers.tally import Tally, in_turns, lines
from benchmarks.results import Context, Result
from benchmarks.workloads.mix import clear

WORKLOAD = "basket"
UNIT = "adds/s"
WORKERS = (2, 8, 16)
ARTICLES = [f"A-{number}" for number in range(5)]
# Who reads, decides and writes under a lock or a WATCH is compared with our way to do that, the others with hincrby.
READERS = ("redis-py transaction()", "redis.asyncio transaction()", "Django with cache.lock")
REFERENCES = dict.fromkeys(READERS, "session_store, with_cas")


class Sizes:
    """How long each peer adds in a round, in seconds, and the rounds."""

    def __init__(self, context: Context) -> None:
        self.seconds = 0.05 if context.quick else 0.4
        self.rounds = context.pick(6, 2)  # even: each order as often as the other


@dataclass(frozen=True)
class Adds:
    """What came of one run of a peer's workers. `rate`: adds per second that were done before the time was over."""

    acknowledged: int
    given_up: int
    rate: float


def counted(answers: Iterable[list[float | None]], begin: float, seconds: float) -> Adds:
    """`answers`: for each worker, when each of its adds was acknowledged; None when it gave up."""
    times = [time for each in answers for time in each]
    acknowledged = [time for time in times if time is not None]
    in_time = sum(time <= begin + seconds for time in acknowledged)
    return Adds(len(acknowledged), len(times) - len(acknowledged), in_time / seconds)


def articles(worker: int, end: float) -> Iterator[str]:
    """What a worker adds, one after the other, until the time is over."""
    for number in count(worker):
        if perf_counter() > end:
            return
        yield ARTICLES[number % len(ARTICLES)]


def add_with_threads(peer: Peer, session_id: str, workers: int, seconds: float) -> Adds:
    """Adds from all threads until the time is over."""

    def added(article: str) -> float | None:
        try:
            peer.add(session_id, article)
        except GaveUp:
            return None
        return perf_counter()

    def work(worker: int) -> list[float | None]:
        return [added(article) for article in articles(worker, begin + seconds)]

    with ThreadPoolExecutor(workers) as pool:
        begin = perf_counter()
        return counted(list(pool.map(work, range(workers))), begin, seconds)


async def add_with_tasks(peer: AsyncPeer, session_id: str, workers: int, seconds: float) -> Adds:
    """Adds from all tasks until the time is over."""

    async def added(article: str) -> float | None:
        try:
            await peer.add(session_id, article)
        except GaveUp:
            return None
        return perf_counter()

    async def work(worker: int) -> list[float | None]:
        return [await added(article) for article in articles(worker, begin + seconds)]

    begin = perf_counter()
    return counted(await asyncio.gather(*(work(worker) for worker in range(workers))), begin, seconds)


class Sessions:
    """Makes a fresh session for each run, so that what is in its basket came from that run."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._numbers = count()

    def fresh(self, peer: Peer | AsyncPeer) -> str:
        """The id of a session with an empty basket."""
        number = next(self._numbers)
        made = session_id(number)
        peer.fill(self._client, [(made, session(number))])
        return made


def run_sync(port: int, made: Sessions, workers: int, sizes: Sizes) -> list[Result]:
    """All rounds of the sync peers with so many threads."""
    compared: list[Peer]
    compared, missing = peers.start(peers.SYNC_BASKET, port)
    tallies = [Tally(peer) for peer in compared]
    for peer in compared:
        add_with_threads(peer, made.fresh(peer), workers, sizes.seconds / 4)
    for turn in in_turns(tallies, sizes.rounds):
        for tally in turn:
            name = made.fresh(tally.peer)
            adds = add_with_threads(tally.peer, name, workers, sizes.seconds)
            tally.rates.append(adds.rate)
            tally.count(adds.acknowledged, tally.peer.pieces(name), adds.given_up)
    for peer in compared:
        peer.close()
    return lines((WORKLOAD, f"sync, {workers} threads", UNIT), tallies, missing, REFERENCES)


async def run_async(port: int, made: Sessions, workers: int, sizes: Sizes) -> list[Result]:
    """All rounds of the async peers with so many tasks."""
    compared: list[AsyncPeer]
    compared, missing = await peers.start_async(peers.ASYNC_BASKET, port)
    tallies = [Tally(peer) for peer in compared]
    for peer in compared:
        await add_with_tasks(peer, made.fresh(peer), workers, sizes.seconds / 4)
    for turn in in_turns(tallies, sizes.rounds):
        for tally in turn:
            name = made.fresh(tally.peer)
            adds = await add_with_tasks(tally.peer, name, workers, sizes.seconds)
            tally.rates.append(adds.rate)
            tally.count(adds.acknowledged, await tally.peer.pieces(name), adds.given_up)
    for peer in compared:
        await peer.close()
    return lines((WORKLOAD, f"async, {workers} tasks", UNIT), tallies, missing, REFERENCES)


def run(context: Context) -> list[Result]:
    """Adds per second to one basket by 2, 8 and 16 workers, and what was lost."""
    sizes = Sizes(context)
    results: list[Result] = []
    with redis.Redis(port=context.port) as client:
        made = Sessions(client)
        try:
            for workers in WORKERS:
                results += run_sync(context.port, made, workers, sizes)
            for workers in WORKERS:
                results += asyncio.run(run_async(context.port, made, workers, sizes))
        finally:
            clear(client)
    return results
