"""Memory that is full, and in which no room may be made: `maxmemory` with `noeviction`."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest
import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from support import versions
from support.backends import VERSIONS
from support.callers import HALF, READS, WRITES, contents, fill, slots_of
from support.proxy import PATIENCE
from support.servers import Server

from session_store import AsyncNamespace, Namespace, NamespacePurgedError

# They give memory back, or take none: a session can be kept or ended on a server that is full.
GO_ON = (
    *("hdel", "delete", "touch", "touch of what a scan finds"),
    *("purge", "purge with a fence", "purge of what a scan finds"),
)
# It depends on the server: since Redis 8.0 a transaction is let in, and its script's first write is what is judged.
MAY_GO_ON = ("with_cas that replaces", "with_cas that deletes")


@pytest.mark.parametrize("method", WRITES)
def test_write_into_full_memory(
    connect, own_server: Server, rival: redis.Redis, empty: Callable[[], None], method: str
) -> None:
    """It does all that it does elsewhere, or raises redis-py's error and leaves every value, TTL and token as it was."""
    ns = connect(own_server.port)
    base = ns.key("n").removesuffix("n")
    fill(ns)
    answer = WRITES[method](ns)
    done = slots_of(contents(rival, base))

    empty()
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
    empty()
    fill(ns)
    assert WRITES[method](ns) == answer
    assert slots_of(contents(rival, base)) == done


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.replace(" ", "-"))
def test_refusals_have_redis_pys_classes_on_every_version(
    connect, make_server: Callable[..., Server], version: str
) -> None:
    """Also on Redis 6.2, which tells them as errors of the script."""
    server = make_server(executable=versions.found()[version])
    ns = connect(server.port)
    writes = (WRITES["set"], WRITES["with_cas"])
    with redis.Redis(port=server.port, socket_timeout=10) as rival:
        rival.config_set("maxmemory", 1)
        for write in writes:
            with pytest.raises(OutOfMemoryError):
                write(ns)
        rival.config_set("maxmemory", 0)
        rival.replicaof("127.0.0.1", server.port + 1)  # where nobody needs to be: it is a replica at once
        for write in writes:
            with pytest.raises(ReadOnlyError):
                write(ns)


def test_reads_in_full_memory(connect, own_server: Server, rival: redis.Redis) -> None:
    """They go on, and so does a commit that writes nothing; a server that has forgotten the scripts takes them."""
    ns = connect(own_server.port)
    fill(ns)
    answers = {name: read(ns) for name, read in READS.items()}
    rival.config_set("maxmemory", 1)
    rival.script_flush()
    assert {name: read(ns) for name, read in READS.items()} == answers


def test_purge_with_a_fence_that_finds_more_in_full_memory(
    connect, own_server: Server, rival: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot that was added while it listed costs a second look, before which the fence is raised: memory or not."""
    ns = connect(own_server.port)
    fill(ns)

    def nothing(_: object) -> list[bytes]:
        return []

    async def async_nothing(_: object) -> list[bytes]:
        return []

    monkeypatch.setattr(AsyncNamespace, "_listed", async_nothing)
    monkeypatch.setattr(Namespace, "_listed", nothing)
    rival.config_set("maxmemory", 1)
    assert ns.purge(fence=HALF) == 3
    with pytest.raises(NamespacePurgedError):
        ns.set("n", "1")


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
                try:
                    other.set(f"ballast:{number}", "x" * (50_000 if number < 250 else 500))
                except OutOfMemoryError:  # by some bytes, which a smaller command might not lack
                    other.config_set("maxmemory", other.info("memory")["used_memory"] - 50_000)
                given.append(ns.incr("ids"))
                assert time.monotonic() < deadline
        assert ns.delete("large")
        while other.info("memory")["used_memory"] > 15 * 1024**2:  # some servers free in a thread of their own
            assert time.monotonic() < deadline
    assert ns.incr("ids") == len(given) + 1
    assert ns.cas("n", lambda value, ops: ops.set("n", "1")) is None
    assert ns.slots() == ["ids", "n"]
