"""A server that crashes and comes back: with all that it has acknowledged, or with nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.callers import READS, WRITES, Caller, fill, insist
from support.proxy import PATIENCE, Proxy
from support.servers import Server

LASTING = ("--appendonly", "yes", "--appendfsync", "always")
WRITERS, ROUNDS, CRASHES = 4, 50, 3
RESENDS: dict[str, Any] = {"retries": 1_000, "backoff": 0.01}  # for longer than a start takes


def add(value: str | None, ops: Any) -> int:
    total = int(value or 0) + 1
    ops.set("n", str(total))
    return total


def crash(server: Server) -> None:
    server.kill()
    server.start()


# Calls, and what they answer on a server that knows nothing.
FIRST_CALLS = {
    "get": None,
    "slots": [],
    "namespaces": [],
    "incr": 1,
    "hset": 2,
    "with_cas": None,
    "touch": 0,
    "touch of what a scan finds": 0,
    "purge": 0,
    "purge of what a scan finds": 0,
}


@pytest.fixture
def restarted(connect, make_server: Callable[..., Server]) -> Callable[[], Caller]:
    """A caller whose server has crashed since and come back without data; it connected, and knew the scripts, before."""
    server = make_server()
    ns = connect(server.port, max_connections=1)
    fill(ns)
    ns.cas("n", add)
    crash(server)
    return ns


@pytest.mark.parametrize("call", FIRST_CALLS)
def test_first_call_after_a_restart_without_persistence(restarted: Caller, call: str) -> None:
    """It is made on a new connection, to a server that knows no script: the caller notices the loss, and nothing else."""
    assert {**READS, **WRITES}[call](restarted) == FIRST_CALLS[call]


def test_ids_after_a_restart_without_persistence(restarted: Caller) -> None:
    """They begin anew, as they do when a namespace has expired; so does everything else."""
    assert restarted.incr("ids") == 1
    assert restarted.cas("n", add) == 1
    assert restarted.slots() == ["ids", "n"]


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
@pytest.mark.parametrize(
    ("call", "command"),
    [(lambda ns: ns.cas("n", add), "COMMIT"), (lambda ns: ns.incr("n"), "EVALSHA")],
    ids=["with_cas", "incr"],
)
def test_crash_during_a_call(
    connect, make_server: Callable[..., Server], fault: str, call: Callable[[Caller], int], command: str
) -> None:
    """The server crashes before or after it has written; when it is back, the call is settled: it has happened once."""
    server = make_server(*LASTING)
    proxy = Proxy(server.port)
    try:
        ns = connect(proxy.port, **RESENDS)
        assert [call(ns), call(ns)] == [1, 2]
        getattr(proxy, fault)(command, then=lambda: crash(server))
        assert call(ns) == 3
        assert ns.get("n") == "3"
        assert call(ns) == 4
    finally:
        proxy.close()


def test_crashes_while_others_write(connect, make_server: Callable[..., Server]) -> None:
    """With every write on disk before it is acknowledged, what was told is what there is, after crashes as before."""
    server = make_server(*LASTING)
    callers = [connect(server.port, **RESENDS) for _ in range(WRITERS)]
    told: list[tuple[int, int]] = []  # ids and sums
    crashed = threading.Event()

    def write(ns: Caller) -> None:
        while not crashed.is_set():
            told.append((insist(lambda: ns.incr("ids")), insist(lambda: ns.cas("n", add, max_retries=10_000))))

    def crash_after(rounds: int) -> None:
        deadline, enough = time.monotonic() + PATIENCE, len(told) + rounds
        while len(told) < enough:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        crash(server)

    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write, ns) for ns in callers]
        try:
            for _ in range(CRASHES):
                crash_after(ROUNDS)
        finally:
            crashed.set()
        for writer in writers:
            writer.result(PATIENCE)
    ns = connect(server.port)
    for numbers, value in zip(zip(*told, strict=True), (ns.get("ids"), ns.get("n")), strict=True):
        assert sorted(numbers) == list(range(1, len(told) + 1))
        assert value == str(len(told))
