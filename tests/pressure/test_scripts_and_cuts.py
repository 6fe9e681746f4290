"""A server that forgets its scripts, or cuts its clients, again and again while others write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import redis
from support.callers import Caller, insist
from support.proxy import PATIENCE
from support.servers import Server

pytestmark = pytest.mark.long

WRITERS = 4
ROUNDS = 20  # at least, of each writer
TROUBLES = 100  # at least, of the server
ENOUGH = 10_000  # attempts


class Written(NamedTuple):
    """What a writer was told: the id and the sums of each round."""

    ids: list[int]
    commits: list[int]
    sums: list[int]


def write(ns: Caller, enough: Callable[[], bool]) -> Written:
    """Counts in three ways, until it was enough."""
    written = Written([], [], [])

    def add(value: str | None, ops: Any) -> int:
        total = int(value or 0) + 1
        ops.set("n", str(total))
        ops.hset("last", "n", str(total))
        return total

    while len(written.ids) < ROUNDS or not enough():
        written.ids.append(insist(lambda: ns.incr("ids")))
        written.commits.append(insist(lambda: ns.cas(["n", "last"], add, max_retries=ENOUGH)))
        written.sums.append(insist(lambda: ns.hincrby("h", "f")))
        insist(ns.touch)
    return written


@contextmanager
def troubled(trouble: Callable[[], object], pause: float) -> Iterator[Callable[[], bool]]:
    """Makes trouble in a thread. A function that tells when it was enough."""
    done, ended, deadline = [0], threading.Event(), time.monotonic() + PATIENCE

    def make_trouble() -> None:
        while not ended.wait(pause):
            trouble()
            done[0] += 1

    def enough() -> bool:
        assert time.monotonic() < deadline
        return done[0] >= TROUBLES

    thread = threading.Thread(target=make_trouble)
    thread.start()
    try:
        yield enough
    finally:
        ended.set()
        thread.join()


def check(written: list[Written], rival: redis.Redis, ns: Caller) -> None:
    """What was told is what there is: nothing is lost and nothing doubled, and every key has a TTL."""
    for told, value in (
        ([each for one in written for each in one.ids], ns.get("ids")),
        ([each for one in written for each in one.commits], ns.get("n")),
        ([each for one in written for each in one.sums], ns.hget("h", "f")),
    ):
        assert sorted(told) == list(range(1, len(told) + 1))
        assert value == str(len(told))
    assert ns.hget("last", "n") == ns.get("n")
    keys = list(rival.scan_iter())
    assert len(keys) == 5
    assert all(rival.pttl(key) > 0 for key in keys)


@pytest.mark.parametrize(
    ("command", "pause"),
    [("SCRIPT FLUSH", 0.001), ("CLIENT KILL TYPE normal SKIPME yes", 0.005)],
    ids=["scripts forgotten", "clients cut"],
)
def test_trouble(connect, own_server: Server, rival: redis.Redis, command: str, pause: float) -> None:
    """What writers are told is what there is, whatever happens between a call and its answer."""
    callers = [connect(own_server.port, retries=ENOUGH, backoff=0.001) for _ in range(WRITERS)]
    trouble = troubled(lambda: rival.execute_command(*command.split()), pause)
    with trouble as enough, ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write, caller, enough) for caller in callers]
        written = [writer.result(PATIENCE) for writer in writers]
    check(written, rival, connect(own_server.port))
