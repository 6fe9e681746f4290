"""What a call costs, next to the bare command of redis-py: one run, side by side, interleaved, medians.

    python benchmarks/ratios.py [--redis-url redis://...] [--rounds 60]

Without an URL it starts a server of its own. Both sides use one client, one connection and one thread; a round times
a block of calls of one side and then of the other, in changing order, and its ratio is ours / bare.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import redis

from session_store import CasOps, CasSnapshot, Namespace, SessionStore

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the servers are the tests' own

CALLS = 100  # per side and round
TTL = 3600


class Pair(NamedTuple):
    """Two ways to do the same, and the ratio that is aimed at."""

    name: str
    bare: Callable[[], object]
    ours: Callable[[], object]
    aim: float


def bare_commit(client: redis.Redis, key: str) -> Callable[[], object]:
    """Redis-py's idiom: WATCH, HGETALL, MULTI, HSET, EXPIRE, EXEC."""

    def commit() -> None:
        with client.pipeline() as pipeline:
            pipeline.watch(key)  # type: ignore[no-untyped-call]  # redis-py's
            fields: Any = pipeline.hgetall(key)
            pipeline.multi()
            pipeline.hset(key, "f1", str(len(fields)))
            pipeline.expire(key, TTL)
            pipeline.execute()

    return commit


def our_commit(ns: Namespace) -> Callable[[], object]:
    """The same with `with_cas`."""

    def closure(snap: CasSnapshot, ops: CasOps) -> None:
        ops.hset("basket", "f1", str(len(snap.hgetall("basket"))))

    return lambda: ns.with_cas("basket", closure)


def pairs(client: redis.Redis, prefix: str) -> list[Pair]:
    """What is compared."""
    ns = SessionStore(client, prefix=prefix, default_ttl=TTL).namespace("user-42")
    bare = f"{prefix}-bare:user-42:"
    fields: dict[Any, Any] = {f"f{number}": "a value of twenty by" for number in range(10)}
    ns.hset("basket", mapping=fields)
    client.hset(f"{bare}basket", mapping=fields)
    ns.set("step", "address")
    client.set(f"{bare}step", "address", ex=TTL)
    return [
        Pair("hset", lambda: client.hset(f"{bare}form", "f", "v"), lambda: ns.hset("form", "f", "v"), 1.15),
        Pair("set", lambda: client.set(f"{bare}s", "v", ex=TTL), lambda: ns.set("s", "v"), 1.15),
        Pair("incr", lambda: client.incr(f"{bare}id"), lambda: ns.incr("id"), 1.15),
        Pair("get", lambda: client.get(f"{bare}step"), lambda: ns.get("step"), 1.05),
        Pair("hgetall", lambda: client.hgetall(f"{bare}basket"), lambda: ns.hgetall("basket"), 1.05),
        Pair("with_cas", bare_commit(client, f"{bare}basket"), our_commit(ns), 0.70),
    ]


def block(call: Callable[[], object]) -> float:
    """Microseconds per call."""
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) / CALLS * 1e6


def measure(compared: list[Pair], rounds: int) -> Iterator[str]:
    """The lines of the table."""
    times: dict[str, list[tuple[float, float]]] = {pair.name: [] for pair in compared}
    for pair in compared:
        block(pair.bare)
        block(pair.ours)
    for number in range(rounds):
        for pair in compared:
            if number % 2:
                bare, ours = block(pair.bare), block(pair.ours)
            else:
                ours, bare = block(pair.ours), block(pair.bare)
            times[pair.name].append((ours, bare))
    yield f"{'call':<10}{'ours, µs':>10}{'bare, µs':>10}{'ratio':>8}{'(min..max)':>15}{'aim':>7}  met"
    for pair in compared:
        ours_all, bare_all = zip(*times[pair.name], strict=True)
        ratios = [ours / bare for ours, bare in times[pair.name]]
        ratio, spread = median(ratios), f"({min(ratios):.2f}..{max(ratios):.2f})"
        met = "yes" if ratio <= pair.aim else "no"
        yield (
            f"{pair.name:<10}{median(ours_all):>10.1f}{median(bare_all):>10.1f}"
            f"{ratio:>8.2f}{spread:>15}{pair.aim:>7.2f}  {met}"
        )


@contextmanager
def connected(url: str | None) -> Iterator[redis.Redis]:
    """A client of the server at the URL, or of one that lives for this run."""
    if url is not None:
        with redis.Redis.from_url(url) as client:
            yield client
        return
    from support.servers import Server  # type: ignore[import-not-found]  # on the path since the top of this file

    server = Server()
    try:
        with redis.Redis(port=server.port) as client:
            yield client
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis-url", help="a server to measure on; its own keys are removed afterwards")
    parser.add_argument("--rounds", type=int, default=60, help=f"rounds of {CALLS} calls a side (default 60)")
    arguments = parser.parse_args()
    with connected(arguments.redis_url) as client:
        prefix = f"bench-{uuid4().hex[:8]}"
        info: Any = client.info("server")
        print(
            f"redis-py {redis.__version__}, server {info['redis_version']}, {arguments.rounds} rounds of {CALLS} calls"
        )
        for line in measure(pairs(client, prefix), arguments.rounds):
            print(line)
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


if __name__ == "__main__":
    main()
