"""What every method sends, and so its round trips [S29]."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytestmark = pytest.mark.parametrize("backend", ["redis-text"])
Call = Callable[[Any, int], Awaitable[Any]]
SCRIPT = [("EVALSHA",)]
LARGE = "x" * 300_000
COSTS: dict[str, tuple[Call, list[tuple[str, ...]]]] = {
    "save": (lambda every, at: every.save("a", "x", tick=at), SCRIPT),
    "save of a known owner's": (lambda every, _: every.save("a", "x", owner="ann"), SCRIPT),
    "save of a new one": (lambda every, at: every.save(f"n{at}", "x", owner="ann"), SCRIPT * 2),
    "save for another owner": (lambda every, at: every.save("a", "x", owner=f"u{at}"), SCRIPT * 2),
    "save of a large one": (lambda every, _: every.save("c", LARGE), SCRIPT),
    "save after a deletion": (lambda every, _: every.save("d", "x", after_delete=True), [*SCRIPT, ("HGET",), *SCRIPT]),
    "load": (lambda every, _: every.load("a"), SCRIPT),
    "load of none": (lambda every, _: every.load("none"), SCRIPT),
    "load of a large one": (lambda every, _: every.load("large"), SCRIPT * 2),
    "load that touches": (lambda every, _: every.load("a", touch=True), SCRIPT * 2),
    "exists": (lambda every, _: every.exists("a"), [("EXISTS",)]),
    "delete": (lambda every, _: every.delete("b"), [("HKEYS",), *SCRIPT]),
    "list": (lambda every, _: every.list(owner="ann"), [*SCRIPT, ("EVALSHA", "EVALSHA")]),
    "list of none": (lambda every, _: every.list(owner="nobody"), SCRIPT),
    "restore": (lambda every, _: every.restore("a", lambda snapshot: snapshot), SCRIPT),
}


async def begin(every: Any) -> None:
    for name in ("a", "b"):
        await every.save(name, "x", owner="ann")
    await every.save("large", LARGE)


@pytest.mark.parametrize("name", COSTS)
async def test_what_a_method_sends(snapshots: Any, recorder: Any, name: str) -> None:
    call, wanted = COSTS[name]
    await begin(snapshots)
    await call(snapshots, 1)  # the server knows the script from now on
    if name == "save after a deletion":
        await snapshots.delete("d")
    recorder.clear()
    await call(snapshots, 2)
    assert recorder.writes == wanted


async def test_what_pruning_sends(snapshots: Any, recorder: Any) -> None:
    await begin(snapshots)
    for _ in range(3):  # the server knows the scripts the last time
        await snapshots.save("c", "x", owner="ann")
        recorder.clear()
        await snapshots.prune(owner="ann", keep=0)
    # "a" and "b" have ended a moment ago, and so they are looked at, and not forgotten yet.
    assert recorder.writes == [*SCRIPT, ("EVALSHA",) * 3, *SCRIPT * 2]


async def test_the_list_is_told_once_in_a_minute(make: Any, recorder: Any, pass_time: Any) -> None:
    """Also where another process saves, which does not know when it was told."""
    snapshots = make()
    await begin(snapshots)
    for seconds, wanted in ((61, SCRIPT * 2), (0, SCRIPT), (30, SCRIPT), (31, SCRIPT * 2)):
        await pass_time(seconds)
        recorder.clear()
        await snapshots.save("a", "x")
        assert recorder.writes == wanted, seconds


@pytest.mark.parametrize("name", COSTS)
async def test_a_server_that_forgot_the_scripts(snapshots: Any, client: Any, name: str) -> None:
    """Is told them again."""
    call, _ = COSTS[name]
    await begin(snapshots)
    await client.script_flush()
    await call(snapshots, 1)
