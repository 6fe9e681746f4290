"""Readers at full speed while Redis rehashes a watched hash: they change how it is dumped, and make nobody lose for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from support.servers import Server

from session_store import SessionStore

READERS = 3


@pytest.fixture
def make(server: Server, prefix: str) -> Iterator[Callable[..., SessionStore]]:
    with redis.Redis(port=server.port) as client:
        yield lambda: SessionStore(client, prefix=prefix, default_ttl=600)


@contextmanager
def read_by_others(port: int, key: str, fields: list[str]) -> Iterator[None]:
    """Some do nothing but read, meanwhile."""
    over = threading.Event()

    def read() -> None:
        with redis.Redis(port=port) as client:
            while not over.is_set():
                for field in fields:
                    client.hget(key, field)
                client.hgetall(key)

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        over.set()
        for reader in readers:
            reader.join(30)


def runs_of(ns: Any, slot: str, write: Callable[[Any, Any], None]) -> int:
    """How often a closure runs until it commits."""
    runs: list[int] = []

    def closure(snap: Any, ops: Any) -> None:
        runs.append(1)
        write(snap, ops)

    ns.with_cas(slot, closure, max_retries=9)
    return len(runs)


def test_a_hash_that_is_sent_along_loses_to_no_reader(make: Any, server: Server) -> None:
    """Values over 64 bytes make it a hash table. It grows past powers of two, and is read until that is dealt with."""
    ns = make().namespace("u")
    with redis.Redis(port=server.port) as client:

        def closure(snap: Any, ops: Any) -> None:
            for number in range(3):
                client.hget(ns.key("h"), str(number))
            ops.set("seen", str(len(snap.hgetall("h"))))

        for count in range(1, 140):
            ns.hset("h", str(count), "x" * 200)
            assert runs_of(ns, "h", closure) == 1


def test_a_large_hash_loses_one_attempt_to_readers_at_most(make: Any, server: Server) -> None:
    """It is read with its mark; from the second attempt on its content decides."""
    ns = make().namespace("u")
    ns.hset("h", mapping={str(number): "x" * 20 for number in range(16_300)})
    with read_by_others(server.port, ns.key("h"), ["0", "1"]):
        for step in range(4):  # one of them passes a power of two, where the table grows
            ns.hset("h", mapping={f"more {step} {number}": "x" * 20 for number in range(60)})
            for _ in range(3):
                assert runs_of(ns, "h", lambda snap, ops: ops.set("seen", str(snap.hget("h", "7")))) <= 2
