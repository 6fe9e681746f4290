"""The session mix: many sessions, some of them hot; nine requests out of ten only read, the tenth changes one value.

Libraries differ in whether a request that only reads renews the session's TTL, and renewing costs a write. So there are
two cases, and each compares only who does the same: "TTL kept by reads" and "TTL renewed by each request".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import redis

from benchmarks import peers
from benchmarks.cores import STATES, kept
from benchmarks.peers.face import BATCH, PREFIX, AsyncPeer, Peer, batches
from benchmarks.peers.sessions import Requests, sessions
from benchmarks.peers.tally import Tally, in_turns, lines
from benchmarks.results import Context, Result, not_run

WORKLOAD, WORKLOAD_ASYNC = "session mix", "session mix, async"
UNIT = "requests/s"
TASKS = 16  # requests at a time in the one event loop of the async flavours
KEPT = "TTL kept by reads"
RENEWED = "TTL renewed by each request"
Drawn = Sequence[tuple[str, bool]]


class Sizes:
    """How much there is to do: sessions, requests per peer and round, rounds."""

    def __init__(self, context: Context) -> None:
        self.sessions = context.pick(100_000, 2_000)
        self.requests = context.pick(2_000, 300)
        self.rounds = context.pick(10, 4)  # even: each order as often as the other


def serve(peer: Peer, drawn: Drawn) -> float:
    """Requests per second of one caller."""
    begin = time.perf_counter()
    for session_id, changes in drawn:
        if changes:
            peer.visit(session_id)
        else:
            peer.read(session_id)
    return len(drawn) / (time.perf_counter() - begin)


async def serve_async(peer: AsyncPeer, drawn: Drawn) -> float:
    """Requests per second of 16 tasks that share the requests."""
    waiting = iter(drawn)

    async def task() -> None:
        for session_id, changes in waiting:
            if changes:
                await peer.visit(session_id)
            else:
                await peer.read(session_id)

    begin = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(TASKS)))
    return len(drawn) / (time.perf_counter() - begin)


def run_sync(case: str, entries: Sequence[peers.Entry], port: int, requests: Requests, sizes: Sizes) -> list[Result]:
    """All rounds of the sync peers. No losses are counted: one caller alone has none."""
    compared: list[Peer]
    compared, missing = peers.start(entries, port)
    results: list[Result] = []
    for cores in STATES:
        tallies = [Tally(peer) for peer in compared]
        with kept(cores):
            for peer in compared:
                serve(peer, requests.draw(sizes.requests // 4))
            for turn in in_turns(tallies, sizes.rounds):
                drawn = requests.draw(sizes.requests)
                for tally in turn:
                    tally.rates.append(serve(tally.peer, drawn))
        results += lines((WORKLOAD, case, UNIT), tallies, {}, cores=cores)
    for peer in compared:
        peer.close()
    return results + [not_run(WORKLOAD, case, name, why) for name, why in missing.items()]


async def run_async(
    case: str, entries: Sequence[peers.Entry], port: int, requests: Requests, sizes: Sizes
) -> list[Result]:
    """All rounds of the async peers, with the changes that were acknowledged and are not there afterwards."""
    compared: list[AsyncPeer]
    compared, missing = await peers.start_async(entries, port)
    tallies = [Tally(peer) for peer in compared]
    for peer in compared:
        await serve_async(peer, requests.draw(sizes.requests // 4))
    for turn in in_turns(tallies, sizes.rounds):
        drawn = requests.draw(sizes.requests)
        changed = [session_id for session_id, changes in drawn if changes]
        for tally in turn:
            before = await visits(tally.peer, changed)
            tally.rates.append(await serve_async(tally.peer, drawn))
            tally.count(len(changed), kept=await visits(tally.peer, changed) - before)
    for peer in compared:
        await peer.close()
    return lines((WORKLOAD_ASYNC, f"{TASKS} tasks, {case}", UNIT), tallies, missing)


async def visits(peer: AsyncPeer, session_ids: Sequence[str]) -> int:
    """How many changes these sessions have seen, together."""
    return sum([await peer.visits(session_id) for session_id in set(session_ids)])


async def fill(client: redis.Redis, count: int, port: int) -> None:
    """Writes all sessions in the format of each library, once per layout."""
    sync_peers, _ = peers.start(peers.SYNC_RENEW, port)
    async_peers, _ = await peers.start_async(peers.ASYNC_RENEW, port)
    layouts = {peer.layout: peer for peer in (*async_peers, *sync_peers)}
    for batch in batches(sessions(count), BATCH):
        for peer in layouts.values():
            peer.fill(client, batch)
    for peer in sync_peers:
        peer.close()
    for peer in async_peers:
        await peer.close()


def clear(client: redis.Redis) -> None:
    """Removes every key of the session workloads."""
    keys = client.scan_iter(match=f"*{PREFIX}*", count=BATCH)
    for batch in batches(keys, BATCH):
        client.unlink(*batch)


def run(context: Context) -> list[Result]:
    """Requests per second on 100,000 sessions (quick: 2,000)."""
    sizes = Sizes(context)
    requests = Requests(sizes.sessions)
    port = context.port
    with redis.Redis(port=port) as client:
        try:
            asyncio.run(fill(client, sizes.sessions, port))
            return [
                *run_sync(KEPT, peers.SYNC_KEEP, port, requests, sizes),
                *run_sync(RENEWED, peers.SYNC_RENEW, port, requests, sizes),
                *asyncio.run(run_async(KEPT, peers.ASYNC_KEEP, port, requests, sizes)),
                *asyncio.run(run_async(RENEWED, peers.ASYNC_RENEW, port, requests, sizes)),
            ]
        finally:
            clear(client)
