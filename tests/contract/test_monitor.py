"""What the server does for each method, by its own account: MONITOR. The docstrings are held to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from support.servers import Server

from session_store import AsyncNamespace, Namespace, SessionStore
from session_store._core import tokens

CALLS: dict[str, Callable[[Namespace], Any]] = {
    "set": lambda ns: ns.set("s", "1"),
    "delete": lambda ns: ns.delete("s"),
    "hset": lambda ns: ns.hset("h", "f", "1"),
    "hdel": lambda ns: ns.hdel("h", "f"),
    "hincrby": lambda ns: ns.hincrby("h", "n"),
    "incr": lambda ns: ns.incr("id"),
}
READS: dict[str, Callable[[Namespace], Any]] = {
    "get": lambda ns: ns.get("s"),
    "exists": lambda ns: ns.exists("s"),
    "ttl": lambda ns: ns.ttl("s"),
    "hget": lambda ns: ns.hget("h", "f"),
    "hmget": lambda ns: ns.hmget("h", ["f"]),
    "hgetall": lambda ns: ns.hgetall("h"),
    "hkeys": lambda ns: ns.hkeys("h"),
    "hlen": lambda ns: ns.hlen("h"),
    "hexists": lambda ns: ns.hexists("h", "f"),
    "slots": lambda ns: ns.slots(),
    "with_cas": lambda ns: ns.with_cas(["s", "h"], lambda snap, ops: snap.get("s")),
}
WRITING = {"SET", "DEL", "UNLINK", "HSET", "HDEL", "HINCRBY", "INCRBY", "PEXPIRE", "EXPIRE", "PERSIST"}


@pytest.fixture
def ns(server: Server, prefix: str) -> Iterator[Namespace]:
    with redis.Redis(port=server.port) as client:
        ns = SessionStore(client, prefix=prefix, default_ttl=60).namespace("u")
        ns.set("s", "1")
        ns.hset("h", mapping={"f": "1", "g": "1"})
        ns.incr("id")
        for read in READS.values():
            read(ns)
        ns.delete("never")  # whose record keeps the index for 10 minutes
        yield ns
        ns.purge()


@pytest.fixture
def observed(server: Server, ns: Namespace) -> Iterator[Callable[[Callable[[Namespace], Any]], list[tuple[str, bool]]]]:
    """A function that makes a call, and returns the commands that it meant and which of them ran inside a script."""
    with redis.Redis(port=server.port) as client, redis.Redis(port=server.port).monitor() as monitor:
        client.echo("connected")  # its handshake comes before what is observed
        while monitor.next_command()["command"].split()[0].upper() != "ECHO":
            pass

        def observe(call: Callable[[Namespace], Any]) -> list[tuple[str, bool]]:
            call(ns)
            client.echo("that was it")
            commands = []
            while True:
                event = monitor.next_command()
                name = event["command"].split()[0].upper()
                if name == "ECHO":
                    return commands
                commands.append((name, event["client_type"] == "lua"))

        yield observe
        monitor.connection.disconnect()


@pytest.mark.parametrize("method", CALLS)
def test_a_write_is_the_script_call_that_its_docstring_names(
    observed: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command by command, in the steady state, by a call that does not tidy the index."""
    monkeypatch.setattr(tokens, "b2a_base64", lambda data, newline: b"aaaa")
    documented = re.search(r"script\s+call\s+\(([^)]*)\)", getattr(AsyncNamespace, method).__doc__)
    commands = observed(CALLS[method])
    assert [name for name, in_script in commands if not in_script] == ["EVALSHA"]
    assert [name for name, in_script in commands if in_script] == re.split(r",\s+", documented[1])


def test_an_index_stays_packed(server: Server, ns: Namespace, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With three writers, five slots and the longest answers there are; else it would take several times the memory."""
    ns.purge()
    identities = [tokens._Identity() for _ in range(3)]
    for identity in identities:
        monkeypatch.setattr(tokens, "_identity", identity)
        ns.incr("id", 2**61)
        ns.hincrby("sums", "f", -(2**61))
        for slot in ("basket", "form", "last-visit"):
            ns.hset(slot, "f", "1")
        with pytest.raises(redis.ResponseError, match="overflow"):
            ns.incr("id", 2**63 - 1)
    with redis.Redis(port=server.port) as client:
        index = f"{prefix}:u:~index"
        assert set(client.hkeys(index)) >= {identity.name + b"0" for identity in identities}
        assert client.hlen(index) == 3 + 5
        assert client.object("encoding", index) in (b"listpack", b"ziplist")


def test_thousands_of_slots_can_be_watched(ns: Namespace) -> None:
    """More than a script can give to one command; also by an attempt that lost."""
    slots = [f"slot-{number}" for number in range(9_000)]

    def change(snap: Any, ops: Any) -> None:
        if not snap.exists(slots[-1]):
            ns.set(slots[-1], "1")
        ops.set(slots[0], "1")

    ns.with_cas(slots, change)
    assert set(ns.slots()) >= {slots[0], slots[-1]}


@pytest.mark.parametrize("method", READS)
def test_a_read_writes_nothing(observed: Any, method: str) -> None:
    """Not by the back door either: no TTL, no index, no record."""
    assert WRITING.isdisjoint(name for name, _ in observed(READS[method]))


def test_a_write_that_found_nothing_to_do_leaves_only_its_record(
    observed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HSET of the index: should it arrive again, it must not find something to do."""
    monkeypatch.setattr(tokens, "b2a_base64", lambda data, newline: b"aaaa")  # a call that does not tidy the index
    for tried, call in {
        "SET": lambda ns: ns.set("s", "2", nx=True),
        "DEL": lambda ns: ns.delete("never"),
        "HDEL": lambda ns: ns.hdel("h", "never"),
    }.items():
        assert WRITING.intersection(name for name, _ in observed(call)) == {tried, "HSET"}
