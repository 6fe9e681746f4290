"""Callers that give up after 100 ms, as a web server's time limit makes them: with locks, and without."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import redis
import redis.asyncio

from benchmarks.clients import PREFIX, TTL, remove
from benchmarks.measure import AsyncSide, interleave_async, summed
from benchmarks.results import OURS, Context, Result
from session_store import AsyncCasSnapshot, AsyncNamespace, AsyncSessionStore, CasContentionError, CasOps, CasPolicy

WORKLOAD = "impatient callers"
WITHOUT = "session_store, without locks"
NOTES = {WITHOUT: "lock_timeout=0: an attempt that lost waits at random before the next"}
CALLERS = 200
STORES = 4  # as of so many processes: their calls queue for the lock of the slot apart
LIMIT_S, HANGS_S = 0.1, 1
SESSION, SLOT = "user-42", "count"
# Name, seconds from one caller to the next, and which closure hangs for longer than its caller waits: every so many.
CASES = ("200 at once", 0.0, 0), ("200, one each 10 ms, 10 of them hang", 0.01, 20)


def run(context: Context) -> list[Result]:
    """How many of 200 callers of one slot got through."""
    results: list[Result] = []
    for case, each_s, hangs in CASES:
        results += asyncio.run(_case(context, case, each_s, hangs))
    context.say(WORKLOAD)
    return results


async def _case(context: Context, case: str, each_s: float, hangs: int) -> list[Result]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(redis.asyncio.Redis(port=context.port)) for _ in range(STORES)]
        crowds = {
            OURS: Crowd(context.port, clients, CasPolicy(), each_s, hangs),
            WITHOUT: Crowd(context.port, clients, CasPolicy(lock_timeout=0), each_s, hangs),
        }
        sides: dict[str, AsyncSide] = {peer: crowd.run for peer, crowd in crowds.items()}
        samples = await interleave_async(sides, context.rounds(6, 1), warm_up=0)
    counts = {peer: dict(crowd.counts) for peer, crowd in crowds.items()}
    return summed(WORKLOAD, case, "served", samples, counts=counts, notes=NOTES)


@dataclass
class Crowd:
    """Callers who each add one to a slot, and give up after 100 ms; in each round anew."""

    port: int
    clients: list[redis.asyncio.Redis]
    policy: CasPolicy
    each_s: float
    hangs: int
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self) -> float:
        """One round: how many were served."""
        with redis.Redis(port=self.port) as client:
            remove(client)
        namespaces = [
            AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL, cas_policy=self.policy).namespace(SESSION)
            for client in self.clients
        ]
        served = sum(
            await asyncio.gather(*(self._call(namespaces[number % STORES], number) for number in range(CALLERS)))
        )
        self.counts["attempted"] += CALLERS
        self.counts["given up"] += CALLERS - served
        # One that gave up may have been served as well, just before; so no more than this is known to be lost.
        self.counts["lost"] += max(served - int(await namespaces[0].get(SLOT) or 0), 0)
        return served

    async def _call(self, ns: AsyncNamespace[str], number: int) -> bool:
        hangs = self.hangs and number % self.hangs == self.hangs - 1

        async def closure(snap: AsyncCasSnapshot[str], ops: CasOps[str]) -> None:
            count = int(await snap.get(SLOT) or 0)
            if hangs:
                await asyncio.sleep(HANGS_S)
            ops.set(SLOT, str(count + 1))

        await asyncio.sleep(number * self.each_s)
        try:
            await asyncio.wait_for(ns.with_cas(SLOT, closure), LIMIT_S)
        except (asyncio.TimeoutError, CasContentionError):
            return False
        return True
