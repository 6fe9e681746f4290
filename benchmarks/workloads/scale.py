"""Touch and purge of one session of ten slots, in databases of very different sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from benchmarks.clients import PREFIX, TEXT, TTL, key_of
from benchmarks.cores import STATES, kept
from benchmarks.measure import Samples, Side, block, interleave, summed
from benchmarks.results import OURS, Context, Result
from benchmarks.server import Server
from session_store import SessionStore

WORKLOAD = "touch and purge"
SIZES = (0, 1_000, 100_000, 1_000_000)  # foreign keys
SLOTS = [f"slot-{number}" for number in range(10)]
METHODS = ("touch", "purge")
PLAIN, PING, ALONE = "plain protocol, SCAN", "redis-py, PING", "session_store, no foreign keys"
SCAN_COUNT = 1000
NOTES = {PLAIN: f"SCAN with COUNT {SCAN_COUNT}, then one pipeline", PING: "one bare round trip"}
SESSION = "user-42"
FILL = """for number = ARGV[1], ARGV[2] do
redis.call('SET', ARGV[3] .. ':other-' .. number .. ':step', ARGV[4], 'EX', 86400) end"""
BATCH = 10_000

Databases = dict[int, redis.Redis]  # by the number of foreign keys


def run(context: Context) -> list[Result]:
    """Microseconds per call, one server for each size, all in the same rounds; a PING is a bare round trip."""
    results: list[Result] = []
    with databases() as found:
        context.say(f"{WORKLOAD}: filled")
        bare: dict[str, Side] = {_name(size, PING): block(client.ping, 20) for size, client in found.items()}
        ours = {_name(size, OURS, method): _ours(found[size], method) for size in SIZES for method in METHODS}
        plain = {_name(size, PLAIN, method): _plain(found[size], method) for size in SIZES for method in METHODS}
        for cores in STATES:
            with kept(cores):
                samples = interleave({**bare, **ours}, context.rounds(40, 10))
                # Apart, as a SCAN of a million keys leaves nobody's data in the processor's caches.
                beside = interleave({**ours, **plain}, context.rounds(5, 1), warm_up=context.pick(1, 0))
            context.say(f"{WORKLOAD}: cores {cores}")
            for method in METHODS:
                for size in SIZES:
                    results += _lines(samples, beside, size, method, cores)
    return results


def _name(size: int, peer: str, method: str = "") -> str:
    return f"{peer} {method} {size}"


def _lines(samples: Samples, beside: Samples, size: int, method: str, cores: str) -> list[Result]:
    name = _name(size, OURS, method)
    chosen = {OURS: samples[name], PING: samples[_name(size, PING)]}
    if size:
        chosen[ALONE] = samples[_name(0, OURS, method)]
    case = f"{method}, {size:,} foreign keys"
    results = summed(WORKLOAD, case, "µs", chosen, notes=NOTES, cores=cores)
    plain = {OURS: beside[name], PLAIN: beside[_name(size, PLAIN, method)]}
    return results + summed(WORKLOAD, case, "µs", plain, notes=NOTES, cores=cores)[1:]


@contextmanager
def databases() -> Iterator[Databases]:
    """A server for each size, filled with other sessions."""
    servers: list[Server] = []
    found: Databases = {}
    try:
        for size in SIZES:
            servers.append(Server())
            found[size] = redis.Redis(port=servers[-1].port)
            fill = found[size].register_script(FILL)
            for first in range(0, size, BATCH):
                fill(args=[first, min(first + BATCH, size) - 1, PREFIX, TEXT])
        yield found
    finally:
        for client in found.values():
            client.close()
        for server in servers:
            server.stop()


def _timed(prepare: Callable[[int], None], call: Callable[[int], object], calls: int) -> Side:
    """Microseconds per call; each call has a session of its own, prepared before."""

    def side() -> float:
        for number in range(calls):
            prepare(number)
        begin = time.perf_counter()
        for number in range(calls):
            call(number)
        return (time.perf_counter() - begin) / calls * 1e6

    return side


def _ours(client: redis.Redis, method: str) -> Side:
    store = SessionStore(client, prefix=PREFIX, default_ttl=TTL)

    def prepare(number: int) -> None:
        ns = store.namespace(f"{SESSION}-{number}")
        for slot in SLOTS:
            ns.set(slot, TEXT, ttl=TTL / 2)  # so that a touch has to move every TTL

    def call(number: int) -> None:
        ns = store.namespace(f"{SESSION}-{number}")
        count = ns.touch() if method == "touch" else ns.purge()
        if count != len(SLOTS):
            raise AssertionError(f"{method} counted {count}")

    return _timed(prepare, call, 10)


def _plain(client: redis.Redis, method: str) -> Side:
    def prepare(number: int) -> None:
        pipeline = client.pipeline(transaction=False)
        for slot in SLOTS:
            pipeline.set(key_of(f"{SESSION}-{number}", slot), TEXT, ex=TTL // 2)
        pipeline.execute()

    def call(number: int) -> None:
        keys: list[Any] = list(client.scan_iter(match=key_of(f"{SESSION}-{number}", "*"), count=SCAN_COUNT))
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.expire(key, TTL) if method == "touch" else pipeline.delete(key)
        pipeline.execute()
        if len(keys) < len(SLOTS):
            raise AssertionError(f"{method} found {len(keys)}")

    return _timed(prepare, call, 1)
