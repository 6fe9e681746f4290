"""A purge with a fence is final: nothing that 200 slow writers do brings the namespace back, until the fence ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from security import fences
from security.faces import Face
from security.fences import WRITES, Rounds
from support.servers import Server

from session_store import Namespace, SessionStore

ROUNDS = 5  # `make faults` takes 200
DEADLINE = 30  # seconds; only a fence that does not end takes so long


@pytest.fixture
def place(server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server, and a prefix on it for the rounds."""
    monkeypatch.setattr(fences, "PREFIX", prefix)
    with redis.Redis(port=server.port) as raw:
        yield raw, server.port
        for key in raw.scan_iter(match=f"{prefix}:*", count=1000):
            raw.delete(key)


def test_200_slow_writers_do_not_bring_a_namespace_back(place: Any, flavour: str) -> None:
    rounds = Rounds(*place, flavour)
    rounds.run(ROUNDS)
    assert rounds.wrong == []
    assert rounds.interrupted > 0
    assert rounds.refused == ROUNDS * sum(WRITES[number % len(WRITES)] is not WRITES[-1] for number in range(200))


def test_a_fence_ends_by_itself_and_leaves_nothing(face: Face, raw: redis.Redis, prefix: str) -> None:
    ns = face.namespace(prefix, "u")
    ns.hset("h", "f", "1")
    ns.incr("id")
    assert ns.purge(fence=0.4) == 2
    assert all(0 < raw.pttl(key) <= 400 for key in raw.scan_iter(match=f"{prefix}:*"))
    deadline = time.monotonic() + DEADLINE
    while list(raw.scan_iter(match=f"{prefix}:*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(raw.scan_iter(match=f"{prefix}:*")) == []
    assert (ns.set("a", "1"), ns.incr("id"), ns.slots()) == (True, 1, ["a", "id"])


def without_fence(purge: Callable[..., int]) -> Callable[..., int]:
    return lambda self, *, fence: purge(self)


def with_a_longer_one(purge: Callable[..., int]) -> Callable[..., int]:
    return lambda self, *, fence: purge(self, fence=10 * fence)


def of_another(purge: Callable[..., int]) -> Callable[..., int]:
    def of_another(self: Any, *, fence: float) -> int:
        store = SessionStore(self._commands.client, prefix=fences.PREFIX, default_ttl=1)
        return purge(store.namespace("another"), fence=fence)

    return of_another


@pytest.mark.parametrize(
    ("broken", "complaint", "refused"),
    [
        (without_fence, "11 writers were not refused", 0),
        (with_a_longer_one, "the fence lives for", 11),
        (of_another, "this lives", 0),
    ],
)
def test_a_purge_that_is_not_final_is_noticed(
    place: Any, broken: Any, complaint: str, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few writers, who give up soon. What is noticed is what the purge does, and no error in its place."""
    monkeypatch.setattr(Namespace, "purge", broken(Namespace.purge))
    monkeypatch.setattr(fences, "FENCE", 2)
    rounds = Rounds(*place, "sync", writers=12)
    rounds.run(1)
    assert any(complaint in wrong for wrong in rounds.wrong)
    assert not any("met" in wrong for wrong in rounds.wrong)
    assert rounds.refused == refused
