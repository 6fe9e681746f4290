"""Bytes and server time of namespaces, measured small, worked out for up to a billion, and checked at a million.

python -m benchmarks.capacity [--quick] [--into docs] [--check [--kind web]] [--node-memory-gib 64] [..]

Every run measures on a server of its own. `--into docs` keeps what was measured in benchmarks/capacity.json, draws docs/capacity.svg,
and writes the tables into docs/sizing.md. `--check` fills a server with a million namespaces, and compares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median
from typing import Any

import redis
import redis.asyncio

from benchmarks import machine
from benchmarks.forecast import report, told, written
from benchmarks.kinds import KINDS, Kind
from benchmarks.server import Server
from benchmarks.sizing import HASH_SLOTS, Assumptions, Model, Shape, Time, Weight, tables

HERE = Path(__file__).parent
KEPT = HERE / "capacity.json"
BYTES = 4_000_000  # that the namespaces of one shape are to take: what else changes in a server is some 40,000
MOST, FEWEST = 10_000, 30  # namespaces of one shape
FEW = 4_000  # namespaces, beside a million
ROUNDS, CALLS = 5, 200
TASKS = 50  # that call at once
CHECKED = {"slots": Shape(3, 60), "web": Shape(3, 50)}  # shapes that the formulas were not fitted to
MILLION = 1_000_000


class Gauge:
    """What the server says of itself, on a connection that nobody else uses."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client: Any = redis.Redis(port=port, decode_responses=True)

    def become_cluster(self) -> None:
        """It serves all hash slots."""
        self.client.execute_command("CLUSTER", "ADDSLOTS", *range(HASH_SLOTS))
        while self.client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            time.sleep(0.05)

    def bytes(self) -> int:
        """Allocated, once that does not change any more: tables that grow are moved in small steps."""
        while True:
            before = self.allocated()
            time.sleep(0.15)
            if abs(self.allocated() - before) < 1_000:
                return before

    def allocated(self) -> int:
        """At this moment."""
        return int(self.client.memory_stats()["total.allocated"])

    def keys(self) -> int:
        """How many there are."""
        return int(self.client.dbsize())

    def cpu_us(self) -> float:
        """Microseconds of its main thread since it started; of all threads before Redis 7."""
        info = self.client.info("cpu")
        parts = (info.get(f"used_cpu_{part}_main_thread", info[f"used_cpu_{part}"]) for part in ("user", "sys"))
        return 1e6 * float(sum(parts))


async def filled(kind: Kind, shape: Shape, numbers: Iterable[int]) -> list[Any]:
    """Makes namespaces, 64 at a time."""
    made: list[Any] = []
    left: Iterator[int] = iter(numbers)

    async def work() -> None:
        for number in left:
            made.append(await kind.make(number, shape))  # noqa: PERF401  # tasks share the iterator

    await asyncio.gather(*(work() for _ in range(64)))
    return made


async def alone(gauge: Gauge, kind: Kind) -> int:
    """Bytes, with the connections closed, whose buffers would count."""
    pool = getattr(
        kind.client, "connection_pool", None
    )  # a cluster's client has none, and is used for large numbers only
    if pool is not None:
        await pool.disconnect()
    return gauge.bytes()


async def weighed(gauge: Gauge, kind: Kind, shape: Shape, *, most: int = MOST) -> tuple[Weight, list[Any]]:
    """What a shape takes, on a server that is emptied; and its namespaces, which stay there."""
    for _ in range(2):  # the first time it loads scripts
        gauge.client.flushall()
        await alone(gauge, kind)
        await filled(kind, shape, range(10))
    gauge.client.flushall()
    namespaces = min(most, max(FEWEST, BYTES // (shape.count * (shape.size + 100) + 300)))
    before = await alone(gauge, kind)
    made = await filled(kind, shape, range(namespaces))
    keys = gauge.keys()
    each = (await alone(gauge, kind) - before - tables(keys)) / namespaces
    return Weight(kind.name, shape, namespaces, round(each, 1), keys / namespaces), made


async def timed(gauge: Gauge, kinds: Sequence[Kind], shape: Shape, made: list[Any], rounds: int = ROUNDS) -> list[Time]:
    """What each operation takes of the server's time: medians of the rounds. `kinds`: without pipelining, and with."""
    calls = CALLS if shape.count * shape.size < 50_000 else CALLS // 4
    times = []
    for operation in kinds[0].calls(shape):
        samples = [
            [await _cost(gauge, kind.calls(shape)[operation], made, calls) for kind in kinds] for _ in range(rounds)
        ]
        apart, together = (round(median(each), 1) for each in zip(*samples, strict=True))
        times.append(Time(kinds[0].name, operation, shape, apart, together))
    return times


async def _cost(gauge: Gauge, call: Callable[[Any], Awaitable[object]], made: list[Any], calls: int) -> float:
    """Microseconds a call."""
    step = max(1, len(made) // calls)
    left = iter([made[at * step % len(made)] for at in range(calls)])

    async def work() -> None:
        for each in left:
            await call(each)

    await asyncio.gather(*(call(made[0]) for _ in range(TASKS)))  # connections
    before = gauge.cpu_us()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    return (gauge.cpu_us() - before) / calls


@contextmanager
def server_of_its_own(*options: str) -> Iterator[Gauge]:
    """A server, for as long as the `with` lasts."""
    server = Server("--slowlog-log-slower-than", "-1", *options)  # its entries would count
    try:
        yield Gauge(server.port)
    finally:
        server.stop()


async def measured(*, quick: bool) -> dict[str, Any]:
    """All kinds in all shapes; what capacity.json holds."""
    weights: list[Weight] = []
    times: list[Time] = []
    load = os.getloadavg()[0]
    with server_of_its_own() as gauge:
        async with redis.asyncio.Redis(port=gauge.port) as client:
            for name, kind in KINDS.items():
                kinds = kind(client, pipelining=False), kind(client)
                for shape in kind.shapes:
                    weight, made = await weighed(gauge, kinds[1], shape, most=MOST // 10 if quick else MOST)
                    weights.append(weight)
                    times += await timed(gauge, kinds, shape, made, 1 if quick else ROUNDS)
                print(f"{name}: measured", flush=True)
        versions = machine.versions(gauge.port)
    return {
        "machine": machine.machine(load) | {name: versions[name] for name in ("server", "redis")},
        "weights": [asdict(weight) for weight in weights],
        "times": [asdict(each) for each in times],
    }


async def checked(name: str, namespaces: int, *, cluster: bool) -> dict[str, Any]:
    """What a server takes that has so many namespaces of a shape which no formula was fitted to."""
    shape = CHECKED[name]
    with server_of_its_own(*(("--cluster-enabled", "yes") if cluster else ())) as gauge:
        if cluster:
            gauge.become_cluster()
        client: Any = (redis.asyncio.RedisCluster if cluster else redis.asyncio.Redis)(
            host="127.0.0.1", port=gauge.port
        )
        async with client:
            kinds = KINDS[name](client, pipelining=False), KINDS[name](client)
            await filled(kinds[1], shape, range(10))
            gauge.client.flushall()
            before, began = await alone(gauge, kinds[1]), time.monotonic()
            few = await filled(kinds[1], shape, range(FEW))
            small = await timed(gauge, kinds, shape, few)
            made = few + await filled(kinds[1], shape, range(FEW, namespaces))
            taken = await alone(gauge, kinds[1]) - before
            resident = gauge.client.info("memory")["used_memory_rss"] / gauge.client.info("memory")["used_memory"]
            print(f"{namespaces:,} namespaces, {time.monotonic() - began:.0f} s", flush=True)
            large = await timed(gauge, kinds, shape, made)
    return {
        "kind": name,
        "shape": asdict(shape),
        "namespaces": namespaces,
        "cluster": cluster,
        "measured": taken,
        "fragmentation": round(resident, 3),
        "times": [[a.operation, FEW, a.apart_us, b.apart_us] for a, b in zip(small, large, strict=True)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few namespaces, one round")
    parser.add_argument("--report", action="store_true", help="measure nothing: take what benchmarks/capacity.json has")
    parser.add_argument("--check", action="store_true", help="fill a server, and compare with what the formula says")
    parser.add_argument("--kind", choices=list(CHECKED), default="slots", help="with --check: what it is filled with")
    parser.add_argument(
        "--cluster", action="store_true", help="with --check: the server is a node of a cluster, with all hash slots"
    )
    parser.add_argument("--namespaces", type=int, default=MILLION, help="with --check: how many (1,000,000)")
    parser.add_argument("--into", type=Path, metavar="docs", help="keep what was measured; write plot and tables there")
    for each in fields(Assumptions):
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=float, default=each.default, metavar="NUMBER")
    arguments = parser.parse_args()
    given = Assumptions(**{each.name: getattr(arguments, each.name) for each in fields(Assumptions)})
    run: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"checks": []}
    if not (arguments.report or arguments.check):
        run = asyncio.run(measured(quick=arguments.quick)) | {"checks": run["checks"]}
    if arguments.check:
        check = asyncio.run(checked(arguments.kind, arguments.namespaces, cluster=arguments.cluster))
        print(told(Model(run, given), check))
        others = [
            each for each in run["checks"] if (each["kind"], each["cluster"]) != (check["kind"], check["cluster"])
        ]
        run["checks"] = [*others, check]
    if arguments.into:
        KEPT.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        written(Model(run, given), arguments.into)
    elif not arguments.check:
        print(report(Model(run, given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
