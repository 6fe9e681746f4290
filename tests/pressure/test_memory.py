"""Memory that is full, and in which no room may be made: `maxmemory` with `noeviction`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest
import redis
from redis.exceptions import OutOfMemoryError
from support.callers import READS, WRITES, contents, fill, slots_of
from support.proxy import PATIENCE
from support.servers import Server

# They give memory back, or take none: a session can be kept or ended on a server that is full.
GO_ON = ("hdel", "delete", "touch", "purge", "purge with a fence", "purge of what a scan finds")
# It depends on the server: since Redis 8.0 a transaction is let in, and its script's first write is what is judged.
MAY_GO_ON = ("with_cas that replaces", "with_cas that deletes")


@pytest.mark.parametrize("method", WRITES)
def test_write_into_full_memory(connect, own_server: Server, rival: redis.Redis, method: str) -> None:
    """It does all that it does elsewhere, or raises redis-py's error and leaves every value, TTL and token as it was."""
    ns = connect(own_server.port)
    base = ns.key("n").removesuffix("n")
    fill(ns)
    answer = WRITES[method](ns)
    done = slots_of(contents(rival, base))

    rival.flushall()
    fill(ns)
    before = contents(rival, base)
    rival.config_set("maxmemory", 1)
    try:
        assert WRITES[method](ns) == answer
    except OutOfMemoryError:
        assert method not in GO_ON
        assert contents(rival, base) == before
    else:
        assert method in (*GO_ON, *MAY_GO_ON)
        assert slots_of(contents(rival, base)) == done

    rival.config_set("maxmemory", 0)
    rival.flushall()
    fill(ns)
    assert WRITES[method](ns) == answer
    assert slots_of(contents(rival, base)) == done


def test_reads_in_full_memory(connect, own_server: Server, rival: redis.Redis) -> None:
    """They go on, and so does a commit that writes nothing; a server that has forgotten the scripts takes them."""
    ns = connect(own_server.port)
    fill(ns)
    answers = {name: read(ns) for name, read in READS.items()}
    rival.config_set("maxmemory", 1)
    rival.script_flush()
    assert {name: read(ns) for name, read in READS.items()} == answers


def test_refused_commit_runs_once(connect, own_server: Server, rival: redis.Redis) -> None:
    """To be refused is no contention: the closure does not run again for it."""
    ns = connect(own_server.port)
    rival.config_set("maxmemory", 1)
    runs = []
    with pytest.raises(OutOfMemoryError):
        ns.cas("n", lambda value, ops: (runs.append(value), ops.set("n", "1")))
    assert runs == [None]


def test_memory_that_other_programs_fill(connect, make_server: Callable[..., Server]) -> None:
    """Deleting a slot of ours makes the room that the next write takes."""
    server = make_server("--maxmemory", "16mb", "--maxmemory-policy", "noeviction")
    ns, deadline = connect(server.port), time.monotonic() + PATIENCE
    ns.set("large", "x" * 2_000_000)
    given = []
    with redis.Redis(port=server.port, socket_timeout=10) as other:
        with pytest.raises(OutOfMemoryError):
            for number in count():
                with suppress(OutOfMemoryError):
                    other.set(f"ballast:{number}", "x" * (50_000 if number < 250 else 500))
                given.append(ns.incr("ids"))
                assert time.monotonic() < deadline
        assert ns.delete("large")
        while other.info("memory")["used_memory"] > 15 * 1024**2:  # some servers free in a thread of their own
            assert time.monotonic() < deadline
    assert ns.incr("ids") == len(given) + 1
    assert ns.cas("n", lambda value, ops: ops.set("n", "1")) is None
    assert ns.slots() == ["ids", "n"]
