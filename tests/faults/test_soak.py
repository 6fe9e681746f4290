"""A short soak of each flavour, and that what looks on during a soak sees what it is there for."""

from __future__ import annotations

import hashlib
import inspect
import time
from typing import Any

import pytest
import redis
import redis.asyncio
from faults import soak
from support.histories import Call
from support.plans import KINDS
from support.proxy import PATIENCE
from support.rounds import Round
from support.servers import Server
from support.watcher import Lines, Watcher, current, faults_of_pool

from session_store._core import scripts

pytestmark = pytest.mark.long

CALLS = 250  # with a fault


@pytest.mark.parametrize("flavour", soak.RUNNERS)
def test_everything_is_explained(flavour: str) -> None:
    """Of calls of every kind, through faults of every kind; nothing is doubled, lost, repeated, crossed or without TTL."""
    tally = soak.soak(flavour, seed=1, calls=CALLS)
    assert tally.failures == []
    wrong = (tally.repeated, tally.doubled, tally.lost, tally.crossed, tally.without_ttl, tally.unexplained, tally.pool)
    assert wrong == (0,) * len(wrong)
    assert tally.faulted >= CALLS
    assert tally.calls > tally.faulted
    assert set(tally.faults) == set(KINDS)
    assert tally.acknowledged <= tally.final <= tally.acknowledged + tally.unknown
    assert min(tally.ids, tally.acknowledged, tally.looks, tally.tried) > 0
    assert (tally.points > 0) == (flavour == "async")


@pytest.mark.parametrize(
    ("text", "broken", "flavour", "noticed"),
    [
        (
            b"if not record then return nil, found end",
            b"if true then return nil, found end",
            "sync",
            "no order explains these calls",
        ),
        (b"    call('PEXPIRE', key, ttl)\n  elseif verb == 'set'", b"  elseif verb == 'set'", "async", "had no TTL"),
    ],
    ids=["calls that are not recognised", "a hash without TTL"],
)
def test_defects_are_noticed(
    monkeypatch: pytest.MonkeyPatch, text: bytes, broken: bytes, flavour: str, noticed: str
) -> None:
    """With what was noticed, and in which round."""
    for script in (scripts.SINGLE, scripts.COMMIT):
        assert script.source.count(text) == 1
        changed = script.source.replace(text, broken)
        monkeypatch.setattr(script, "source", changed)
        monkeypatch.setattr(script, "digest", hashlib.sha1(changed, usedforsecurity=False).hexdigest().encode())
    tally = soak.soak(flavour, seed=1, calls=20 * CALLS, most_failures=1)
    assert noticed in "\n".join(tally.failures)


def test_summary_tells_what_was_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table with a column for each flavour, and the seed; the exit code says whether anything was wrong."""
    broken = soak.Tally(calls=1_234, faulted=5, lost=1, failures=["round 7-sync-3:\n1 commits acknowledged"])
    assert soak.report(7, {"sync": soak.Tally(calls=1_000), "async": soak.Tally()}) == 0
    assert "not as promised" not in capsys.readouterr().out
    assert soak.report(7, {"sync": broken, "async": soak.Tally()}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["seed", "7", "sync", "async"]
    assert [line.split()[-2:] for line in lines if line.startswith(("calls  ", "  lost"))] == [
        ["1,234", "0"],
        ["1", "0"],
    ]
    assert "seed 7, round 7-sync-3:" in lines
    assert lines[-1] == "not as promised: 1"


def test_rounds_are_those_of_the_seed() -> None:
    """The same seed draws the same calls for the same workers; another seed, or round, draws others."""

    def draw(seed: object, number: int) -> str:
        return str([list(map(str, worker)) for worker in Round.draw(seed, number).workers])

    assert draw(1, 1) == draw(1, 1)
    assert len({draw(1, 1), draw(1, 2), draw(2, 1)}) == 3


def test_watcher_sees_a_key_without_ttl(server: Server, rival: redis.Redis, prefix: str) -> None:
    """Of its own prefix, however short the key has stood, if it looked meanwhile."""
    watcher = Watcher(server.port, f"{prefix}:", pause=0)
    try:
        rival.set(f"{prefix}:kept", "1", ex=60)
        rival.set(f"{prefix}-other", "1")
        rival.set(f"{prefix}:lost", "1")
        looks = watcher.looks
        deadline = time.monotonic() + PATIENCE
        while watcher.looks < looks + 2:
            assert time.monotonic() < deadline
        rival.delete(f"{prefix}:lost", f"{prefix}-other")
    finally:
        watcher.close()
    assert watcher.without_ttl == {f"{prefix}:lost"}


async def wait(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


@pytest.mark.parametrize(
    ("command", "is_read", "is_whole"),
    [
        (("PING",), True, True),
        (("PING",), False, False),
        (("WATCH", "soak-watched"), True, False),
        (("MULTI",), True, False),
    ],
    ids=["nothing", "a reply", "a watch", "a transaction"],
)
@pytest.mark.parametrize("module", [redis, redis.asyncio], ids=["sync", "async"])
async def test_what_is_left_in_a_pool_is_told(
    server: Server, rival: redis.Redis, module: Any, command: tuple[str, ...], *, is_read: bool, is_whole: bool
) -> None:
    """A connection in use, or one with a reply on its way, or with something watched or begun."""
    pool = module.ConnectionPool(port=server.port, socket_timeout=PATIENCE)
    connection = await wait(pool.get_connection())
    assert await faults_of_pool(pool, rival, []) == ["1 connections were not given back"]
    await wait(connection.send_command(*command))
    if is_read:
        await wait(connection.read_response())
    await wait(pool.release(connection))
    wrong = await faults_of_pool(pool, rival, ["soak-watched"])
    await wait(pool.disconnect())
    assert (wrong == []) is is_whole


@pytest.mark.parametrize("module", [redis, redis.asyncio], ids=["sync", "async"])
async def test_faults_find_their_calls(server: Server, prefix: str, module: Any) -> None:
    """By the connection that the call uses, also when nothing was sent on it yet. A call knows how often it was sent."""
    lines, call, later = Lines(), Call(1, "set", sent=0), Call(2, "get", sent=0)
    pool = module.ConnectionPool(port=server.port, connection_class=lines.connection_class(module.Connection))
    connection = await wait(pool.get_connection())
    end = connection._sock if module is redis else connection._writer.get_extra_info("socket")
    port = end.getsockname()[1]
    lines.note(port, "refuse")
    lines.note(port + 1, "of another")
    for each in (call, later):
        token = current.set(each)
        for command in (("EVAL", "return 1", 0), ("PING",)):
            await wait(connection.send_command(*command))
            await wait(connection.read_response())
        lines.note(port, "drop")
        current.reset(token)
    await wait(pool.disconnect())
    assert (call.faults, later.faults, call.sent) == (["refuse", "drop"], ["drop"], 1)
