"""Writers that collide: 8 of them add 50 each, and not one is lost.

In every case the writers first wait for each other inside their closures, so that at least 7 attempts lose.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from support.proxy import PATIENCE
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncNamespace,
    AsyncSessionStore,
    CasPolicy,
    InMemoryClient,
    Namespace,
    SessionStore,
)

pytestmark = pytest.mark.long

WRITERS, CALLS = 8, 50
TOTAL = WRITERS * CALLS
ENOUGH = TOTAL  # retries: an attempt loses only to a commit of another, and there are fewer than this
LIMIT = 60  # seconds for all writers, however slow the machine
NO_LOCKS = CasPolicy(lock_timeout=0)


class Contention:
    """Where a namespace is: its clients of both flavours reach the same slots."""

    def __init__(self, prefix: str, client: Any, make_async: Any, policy: CasPolicy = NO_LOCKS) -> None:
        self._settings = {"prefix": prefix, "default_ttl": 600, "cas_policy": policy}
        self._client = client
        self._make_async = make_async
        self.barrier = threading.Barrier(WRITERS)
        self.runs: list[int] = []  # of closures; appending is one step for all threads and tasks

    def namespace(self) -> Namespace[str]:
        """Of a store of its own: the callers do not go in line, as those of one process would."""
        return SessionStore(self._client, **self._settings).namespace("session")

    async def run_tasks(self, count: int, threads: ThreadPoolExecutor) -> list[int]:
        """Writers that are tasks, with one client."""
        client = self._make_async()
        try:
            stores = [AsyncSessionStore(client, **self._settings) for _ in range(count)]
            sums = await asyncio.gather(*(self._write_async(store.namespace("session"), threads) for store in stores))
        finally:
            await client.aclose()
        return [each for some in sums for each in some]

    def write(self) -> list[int]:
        """A writer that is a thread. What its closures returned."""
        ns, waited = self.namespace(), False

        def closure(snap: Any, ops: Any) -> int:
            nonlocal waited
            total = int(snap.get("n") or 0) + 1
            if not waited:
                waited = True
                self.barrier.wait(PATIENCE)
            self.runs.append(total)
            ops.set("n", str(total))
            return total

        return [ns.with_cas("n", closure, max_retries=ENOUGH) for _ in range(CALLS)]

    async def _write_async(self, ns: AsyncNamespace[str], threads: ThreadPoolExecutor) -> list[int]:
        waited = False

        async def closure(snap: Any, ops: Any) -> int:
            nonlocal waited
            total = int(await snap.get("n") or 0) + 1
            if not waited:
                waited = True
                await asyncio.get_running_loop().run_in_executor(threads, self.barrier.wait, PATIENCE)
            await asyncio.sleep(0)  # in memory nothing else lets the others in
            self.runs.append(total)
            ops.set("n", str(total))
            return total

        return [await ns.with_cas("n", closure, max_retries=ENOUGH) for _ in range(CALLS)]

    def check(self, sums: list[int]) -> None:
        """Every increment counts, and every call was told its own."""
        assert self.namespace().get("n") == str(TOTAL)
        assert sorted(sums) == list(range(1, TOTAL + 1))


@pytest.fixture(params=[NO_LOCKS, CasPolicy()], ids=["no locks", "locks"])
def policy(request: pytest.FixtureRequest) -> CasPolicy:
    """With locks, those who lose wait for each other; without, they go on losing."""
    return request.param


@pytest.fixture(params=["server", "memory"])
def place(request: pytest.FixtureRequest, server: Server, prefix: str, policy: CasPolicy) -> Iterator[Contention]:
    if request.param == "memory":
        client = InMemoryClient()
        yield Contention(prefix, client, lambda: AsyncInMemoryClient(server=client.server), policy)
        client.close()
        return
    with redis.Redis(port=server.port, socket_timeout=10) as client:
        yield Contention(prefix, client, lambda: redis.asyncio.Redis(port=server.port, socket_timeout=10), policy)


def test_threads(place: Contention) -> None:
    """Threads that share a client."""
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(place.write) for _ in range(WRITERS)]
        place.check([each for writer in writers for each in writer.result(LIMIT)])
    assert len(place.runs) >= TOTAL + WRITERS - 1


async def test_tasks(place: Contention) -> None:
    """Tasks that share a client."""
    with ThreadPoolExecutor(WRITERS) as threads:
        sums = await asyncio.wait_for(place.run_tasks(WRITERS, threads), LIMIT)
    place.check(sums)
    assert len(place.runs) >= TOTAL + WRITERS - 1


async def test_sync_against_async(place: Contention) -> None:
    """Threads with the sync store against tasks with the async one."""
    loop = asyncio.get_running_loop()
    half = WRITERS // 2
    with ThreadPoolExecutor(2 * WRITERS) as threads:
        writers = [loop.run_in_executor(threads, place.write) for _ in range(half)]
        parts = await asyncio.wait_for(asyncio.gather(place.run_tasks(half, threads), *writers), LIMIT)
    place.check([each for part in parts for each in part])
    assert len(place.runs) >= TOTAL + WRITERS - 1


def test_processes(server: Server, prefix: str) -> None:
    """Processes; the closure of each waits until those of all run."""
    command = [sys.executable, "-m", "support.workers", str(server.port), prefix, str(CALLS), str(ENOUGH)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(WRITERS)
    ]
    too_late = threading.Timer(LIMIT, lambda: [worker.kill() for worker in workers])
    too_late.start()
    try:
        assert [worker.stdout.readline() for worker in workers] == ["running\n"] * WRITERS
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        sums = [each for worker in workers for each in json.loads(worker.communicate()[0])]
    finally:
        too_late.cancel()
        too_late.join()
        for worker in workers:
            worker.kill()  # those that still run, because something failed
            worker.communicate()
    assert [worker.returncode for worker in workers] == [0] * WRITERS
    with redis.Redis(port=server.port, socket_timeout=10) as client:
        Contention(prefix, client, None).check(sums)
