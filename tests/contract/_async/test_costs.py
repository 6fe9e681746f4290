"""What every method sends: its commands, and so its round trips."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore

LARGE = "x" * 70_000
SCRIPT = [("EVALSHA",)]
TWO_TRIPS = [("HKEYS",), ("EVALSHA",)]
BEGIN_AND_COMMIT = SCRIPT * 2


async def record_nothing(snap: Any, ops: Any) -> None:
    assert await snap.hgetall("h") == {"f": "1"}
    assert await snap.exists("no") is False


async def write(snap: Any, ops: Any) -> None:
    await record_nothing(snap, ops)
    ops.hset("h", "f", "1")
    ops.set("s", "1")


async def read_large(snap: Any, ops: Any) -> None:
    assert await snap.get("large") == LARGE


COSTS = {
    "get": (lambda ns: ns.get("s"), [("GET",)]),
    "exists": (lambda ns: ns.exists("s"), [("EXISTS",)]),
    "ttl": (lambda ns: ns.ttl("s"), [("PTTL",)]),
    "hget": (lambda ns: ns.hget("h", "f"), [("HGET",)]),
    "hmget": (lambda ns: ns.hmget("h", ["f", "g"]), [("HMGET",)]),
    "hmget of none": (lambda ns: ns.hmget("h", []), []),
    "hgetall": (lambda ns: ns.hgetall("h"), [("HGETALL",)]),
    "hkeys": (lambda ns: ns.hkeys("h"), [("HKEYS",)]),
    "hlen": (lambda ns: ns.hlen("h"), [("HLEN",)]),
    "hexists": (lambda ns: ns.hexists("h", "f"), [("HEXISTS",)]),
    "set": (lambda ns: ns.set("s", "1"), SCRIPT),
    "set nx": (lambda ns: ns.set("s", "1", nx=True), SCRIPT),
    "delete": (lambda ns: ns.delete("s"), SCRIPT),
    "hset": (lambda ns: ns.hset("h", "f", "1"), SCRIPT),
    "hset mapping": (lambda ns: ns.hset("h", mapping={"f": "1", "g": "2"}), SCRIPT),
    "hdel": (lambda ns: ns.hdel("h", "f"), SCRIPT),
    "hincrby": (lambda ns: ns.hincrby("h", "f"), SCRIPT),
    "incr": (lambda ns: ns.incr("n"), SCRIPT),
    "create": (lambda ns: ns.create(lifetime=9), SCRIPT),
    "kind": (lambda ns: ns.kind("s"), [("TYPE",)]),
    "touch": (lambda ns: ns.touch(), TWO_TRIPS),
    "touch of some": (lambda ns: ns.touch("s", "h"), SCRIPT),
    "purge": (lambda ns: ns.purge(), TWO_TRIPS),
    "purge fence": (lambda ns: ns.purge(fence=1), TWO_TRIPS),
    "slots": (lambda ns: ns.slots(), [("HKEYS",), ("EXISTS",) * 4]),
    "with_cas": (lambda ns: ns.with_cas(["h", "no"], write), BEGIN_AND_COMMIT),
    "with_cas of no ops": (lambda ns: ns.with_cas(["h", "no"], record_nothing), BEGIN_AND_COMMIT),
    "with_cas of a large slot": (lambda ns: ns.with_cas("large", read_large), [*SCRIPT, *SCRIPT, *SCRIPT]),
}


@pytest.mark.parametrize("method", COSTS)
async def test_each_method_sends_what_is_documented(
    ns: AsyncNamespace, store: AsyncSessionStore, recorder: Any, method: str
) -> None:
    await ns.set("s", "1")
    await ns.set("large", LARGE)
    await ns.hset("h", "f", "1")
    await ns.incr("n")
    await ns.touch(ttl=500)
    await ns.with_cas(["h", "large"], record_nothing)
    await ns.with_cas("large", read_large)
    await store.namespace("other").create(lifetime=9)
    await store.namespace("other").purge()  # by now the server knows each script
    call, writes = COSTS[method]
    recorder.clear()
    await call(ns)
    assert recorder.writes == writes


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_lost_attempt_costs_one_command(
    ns: AsyncNamespace, raw: Any, recorder: Any, interfering: Any, lost: int
) -> None:
    """The reply that says so begins the next one."""
    calls: list[int] = []
    fn = interfering(lambda: raw.set(ns.key("n"), str(10 * len(calls)), px=60_000), lost, calls)
    await ns.with_cas("n", fn)
    await ns.delete("n")
    calls.clear()
    recorder.clear()
    assert await ns.with_cas("n", fn) == 10 * lost + 1
    assert recorder.writes == [*SCRIPT, *[("SET",), *SCRIPT] * lost, *SCRIPT]  # the SETs are those of the other program


async def test_a_cold_server_is_sent_each_script_once(ns: AsyncNamespace, raw: Any, recorder: Any) -> None:
    await ns.exists("a")
    await raw.script_flush()
    recorder.clear()
    await ns.set("a", "1")
    await ns.set("a", "2")
    assert recorder.writes == [("EVALSHA",), ("EVAL",), ("EVALSHA",)]


async def test_making_stores_and_handles_sends_nothing(client: Any, recorder: Any) -> None:
    AsyncSessionStore(client, prefix="p", default_ttl=60).namespace("u")
    assert recorder.writes == []


async def test_the_cost_follows_the_namespace(
    ns: AsyncNamespace, store: AsyncSessionStore, raw: Any, recorder: Any
) -> None:
    """Foreign keys change nothing, and with scan they are looked at in bounded steps."""
    for number in range(3000):
        await raw.set(f"{ns.key('a')}x{number}", "1", px=60_000)
    await ns.set("a", "1")
    await ns.touch()
    await ns.purge()
    await ns.set("a", "1")
    recorder.clear()
    await ns.touch()
    await ns.purge()
    assert recorder.writes == TWO_TRIPS * 2
    recorder.clear()
    assert await ns.purge(scan=True) == 3000
    scans = [command for write in recorder.commands for command in write if command[0] == b"SCAN"]
    assert len(scans) >= 3
    assert all(command[command.index(b"COUNT") + 1] == b"1000" for command in scans)
