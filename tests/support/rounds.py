"""Rounds of calls: a few workers share one client and one fresh namespace. In threads, and in tasks that are cancelled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from session_store import AsyncSessionStore, CasPolicy, SessionStore
from support.cancelling import Cancelling
from support.draws import TTLS, Draws
from support.histories import Call
from support.proxy import PATIENCE
from support.spaces import Interruption
from support.watcher import Lines, current, faults_of_pool

PREFIX = "soak"
SOCKET_TIMEOUT = 0.2  # seconds
_WORKERS = 4
_POLICIES = (  # workers contend as those of several processes do, or go in line as those of one
    CasPolicy(backoff_base=0.001, backoff_cap=0.01, lock_timeout=0),
    CasPolicy(backoff_base=0.001, backoff_cap=0.01, lock_timeout=1, lock_ttl=0.1),
)
_CANCELLED = 0.1  # of the calls in tasks


@dataclass
class Round:
    """What is drawn for a round, and what came of it."""

    name: str
    purges: bool
    workers: list[list[Call]]
    retries: int
    decodes: bool
    protocol: int
    policy: CasPolicy
    _clock: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def draw(cls, seed: object, number: int) -> Round:
        name = f"{seed}-{number}"
        chance = random.Random(name)
        purges = chance.random() < 0.15
        draws = Draws(f"calls of {name}", purges=purges)
        most = 5 if purges else 8
        workers = [
            [draws.call() for _ in range(chance.randint(3, most))]
            for _ in range(chance.randint(_WORKERS - 1, _WORKERS))
        ]
        retries, decodes, protocol = chance.choice((0, 1, 2, 3)), chance.random() < 0.5, chance.choice((2, 3))
        return cls(name, purges, workers, retries, decodes, protocol, chance.choice(_POLICIES))

    @property
    def calls(self) -> list[Call]:
        return sorted((call for worker in self.workers for call in worker if call.start), key=lambda call: call.start)

    def options(self, port: int) -> dict[str, Any]:
        """Of the pool of connections."""
        return {
            "port": port,
            "socket_timeout": SOCKET_TIMEOUT,
            "socket_connect_timeout": SOCKET_TIMEOUT,
            "protocol": self.protocol,
            "decode_responses": self.decodes,
        }

    @contextmanager
    def noting(self, call: Call) -> Iterator[None]:
        """Notes when a call starts and ends, and what it raises."""
        token = current.set(call)
        call.start = next(self._clock)
        try:
            yield
        except (Exception, asyncio.CancelledError, Interruption) as error:
            call.raised(error)
        finally:
            call.end = next(self._clock)
            current.reset(token)


def as_noted(call: Call, result: Any) -> Any:
    """A result as histories know it."""
    if call.method == "ttl":
        return result is not None if result is None or min(TTLS) - PATIENCE < result <= max(TTLS) else result
    return sorted(result) if call.method == "hkeys" else result


def _closure(call: Call) -> Any:
    program = call.program

    def closure(snap: Any, ops: Any) -> Any:
        return program.decide([getattr(snap, method)(slot) for method, slot in program.reads], ops)

    return closure


def _async_closure(call: Call) -> Any:
    program = call.program

    async def closure(snap: Any, ops: Any) -> Any:
        await asyncio.sleep(0)  # it can be cancelled here
        return program.decide([await getattr(snap, method)(slot) for method, slot in program.reads], ops)

    return closure


class SyncRunner:
    """Makes the calls of a round in threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_WORKERS)
        self.points: Counter[str] = Counter()

    def run(self, port: int, lines: Lines, plan: Round) -> Any:
        connection_class = lines.connection_class(redis.Connection)
        retry = Retry(NoBackoff(), plan.retries)
        pool = redis.ConnectionPool(connection_class=connection_class, retry=retry, **plan.options(port))
        client = redis.Redis(connection_pool=pool)
        store = SessionStore(client, prefix=PREFIX, default_ttl=TTLS[1], cas_policy=plan.policy)
        list(self._threads.map(lambda calls: [self._make(store, plan, call) for call in calls], plan.workers))
        return pool

    def _make(self, store: SessionStore[str], plan: Round, call: Call) -> None:
        with plan.noting(call):
            namespace = store.namespace(plan.name)
            if call.method == "namespaces":
                result: Any = plan.name in list(store.namespaces())
            elif call.program:
                result = namespace.with_cas(call.program.watched, _closure(call))
            else:
                result = getattr(namespace, call.method)(*call.args, **call.options)
            call.returned(as_noted(call, result))

    def finish(self, pool: Any, rival: redis.Redis, keys: list[str]) -> list[str]:
        wrong = asyncio.run(faults_of_pool(pool, rival, keys))
        pool.disconnect()
        return wrong

    def close(self) -> None:
        self._threads.shutdown()


class AsyncRunner:
    """Makes them in tasks, and cancels some: each kind of call at its first wait, its second, and so on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._at: Counter[str] = Counter()
        self.points: Counter[str] = Counter()  # the last wait that was cancelled, by kind of call

    def run(self, port: int, lines: Lines, plan: Round) -> Any:
        return self._loop.run_until_complete(self._run(port, lines, plan))

    async def _run(self, port: int, lines: Lines, plan: Round) -> Any:
        connection_class = lines.connection_class(redis.asyncio.Connection)
        retry = AsyncRetry(NoBackoff(), plan.retries)
        pool = redis.asyncio.ConnectionPool(connection_class=connection_class, retry=retry, **plan.options(port))
        client = redis.asyncio.Redis(connection_pool=pool)
        store = AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTLS[1], cas_policy=plan.policy)
        chance = random.Random(f"cancels of {plan.name}")

        async def work(calls: list[Call]) -> None:
            for call in calls:
                with plan.noting(call):
                    await self._make(store, plan, call, chance)

        with lines.gathering():
            await asyncio.gather(*map(work, plan.workers))
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # what cancelled calls have left to do
            await asyncio.wait(others)
        return pool

    async def _make(self, store: AsyncSessionStore[str], plan: Round, call: Call, chance: random.Random) -> None:
        async def make() -> Any:
            namespace = store.namespace(plan.name)
            if call.method == "namespaces":
                return plan.name in [name async for name in store.namespaces()]
            if call.program:
                return await namespace.with_cas(call.program.watched, _async_closure(call))
            return await getattr(namespace, call.method)(*call.args, **call.options)

        if chance.random() >= _CANCELLED:
            result = await make()
        else:
            result = await self._cancel(call, make(), "waking" if chance.random() < 0.5 else "asleep")
        call.returned(as_noted(call, result))

    async def _cancel(self, call: Call, coroutine: Any, manner: str) -> Any:
        kind = f"{call.method} {manner}"
        self._at[kind] += 1
        cancelling = Cancelling(coroutine, self._at[kind], manner)
        try:
            return await asyncio.ensure_future(cancelling)
        finally:
            if cancelling.waits < self._at[kind]:
                self._at[kind] = 0
            self.points[kind] = max(self.points[kind], self._at[kind])

    def finish(self, pool: Any, rival: redis.Redis, keys: list[str]) -> list[str]:
        async def finish() -> list[str]:
            wrong = await faults_of_pool(pool, rival, keys)
            await pool.disconnect()
            return wrong

        return self._loop.run_until_complete(finish())

    def close(self) -> None:
        self._loop.close()
