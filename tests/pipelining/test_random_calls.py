"""Many tasks call at random, are cancelled at random, and lose their connections at random: a model says what may be."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import redis
from pipelining.gate import Gate

from session_store import WrongTypeError

TASKS, CALLS = 30, 40
FATES = ("drop", "lose", "truncate")


class Slots:
    """What one task knows of its slots: nobody else writes them. A call without an answer leaves several values possible."""

    def __init__(self, ns: Any, number: int, rng: random.Random) -> None:
        self.ns = ns
        self.rng = rng
        self.key = f"s{number}"
        self.text: set[str | None] = {None}
        self.counts: set[int] = {0}
        self.turn = 0

    async def step(self) -> None:
        self.turn += 1
        kind = self.rng.randrange(6)
        ns, key = self.ns, self.key
        if kind == 0:
            value = f"{key} {self.turn}"
            self.text = await self._write(ns.set(key, value), self.text, {value})
        elif kind == 1:
            self.text = await self._write(ns.delete(key), self.text, {None})
        elif kind == 2:
            found = await ns.get(key)
            assert found in self.text
            self.text = {found}
        elif kind == 3:
            answers: list[int] = []
            self.counts = await self._write(self._added(answers), self.counts, {count + 1 for count in self.counts})
            if answers:
                assert answers[0] in self.counts
                self.counts = set(answers)
        elif kind == 4:
            found = int(await ns.hget(key + "h", "n") or 0)
            assert found in self.counts
            self.counts = {found}
        else:
            await ns.set("text", "text")
            with pytest.raises(WrongTypeError):
                await ns.hget("text", "f")

    async def _added(self, answers: list[int]) -> None:
        answers.append(await self.ns.hincrby(self.key + "h", "n"))

    async def _write(self, call: Any, before: set[Any], after: set[Any]) -> set[Any]:
        try:
            await call
        except (redis.ConnectionError, asyncio.CancelledError):
            # It may have happened, not at all, or happen yet: see docs/guarantees.md. On this proxy nothing is late by
            # more than the server needs to notice the cut; so the next look decides.
            self.text = self.text | after if before is self.text else self.text
            self.counts = self.counts | after if before is self.counts else self.counts
            raise
        return after


@pytest.mark.parametrize("seed", range(6))
async def test_random_calls(gate: Gate, client_of: Any, store_of: Any, rival: redis.Redis, seed: int) -> None:
    """Every answer is one that the task's own calls explain; no id comes twice; the pool is whole in the end."""
    rng = random.Random(seed)
    retries = seed % 3 * 4
    client = client_of(gate.port, retries=retries, max_connections=2)
    store = store_of(client)
    await store.namespace("warm").incr("n")
    gate.fate = lambda _: rng.choice(FATES) if rng.random() < 0.004 else ""
    given: list[int] = []
    ends = {"answered": 0, "cancelled": 0, "lost": 0}

    async def work(number: int) -> None:
        own = random.Random(seed * 1_000 + number)
        ns = store.namespace(f"user-{number % 4}")
        slots = Slots(ns, number, own)
        for _ in range(CALLS):
            step = asyncio.ensure_future(slots.step() if own.random() < 0.8 else allocate())
            if own.random() < 0.15:
                for _ in range(own.randrange(6)):
                    await asyncio.sleep(0)
                step.cancel()
            try:
                await step
                ends["answered"] += 1
            except asyncio.CancelledError:
                ends["cancelled"] += 1
                await settled(ns)
            except redis.ConnectionError:
                ends["lost"] += 1
                await settled(ns)

    async def allocate() -> None:
        given.append(await store.namespace("ids").incr("n"))

    async def settled(ns: Any) -> None:
        """A call behind it has come through, so what was cut off before has been executed, if ever."""
        rival.ping()

    await asyncio.wait_for(asyncio.gather(*(work(number) for number in range(TASKS))), 60)
    gate.fate = lambda _: ""
    assert len(set(given)) == len(given)
    assert await store.namespace("ids").incr("n") > max(given)
    assert ends["cancelled"] > TASKS
    assert ends["answered"] > TASKS * CALLS / 2
    assert sum(gate.fates[fate] for fate in FATES) > 2
    for _ in range(20):
        await asyncio.sleep(0)
    assert not client.connection_pool._in_use_connections
    (pipeline,) = store._commands._pipelines[asyncio.get_running_loop()].values()
    assert not (pipeline._alone or pipeline._calls or pipeline._bytes or pipeline._waiting or pipeline._sender)
