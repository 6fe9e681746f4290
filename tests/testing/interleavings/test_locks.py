"""Locks between processes, explored: whoever waits for one, and goes ahead without when it is not given back.

Explorations of users have no locks. Here a waiter looks once, so that tasks take no time; which is all that locks need:
nothing rests on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError
from testing.interleavings import jobs
from testing.interleavings.looking import Onlooker

from session_store import CasPolicy
from session_store._core.queue import Queues
from session_store.testing import InterleavingError, explore
from session_store.testing.interleavings.clients import StillServer
from session_store.testing.interleavings.moves import FAULTS

pytestmark = pytest.mark.long

_LOOKS_ONCE = CasPolicy(max_retries=10, backoff_base=0, backoff_cap=0, lock_ttl=0.001, lock_timeout=1e-9)


class _Queues(Queues):
    """Those of a store whose closures take the same time whenever they are run."""

    slow = True

    def __init__(self, lock_ttl: float) -> None:
        super().__init__(lock_ttl)
        self.lease, self.lease_ms, self.is_slow = 0.001, 1, self.slow

    def learn(self, seconds: float) -> None:
        pass


class _QuickQueues(_Queues):
    slow = False


def handle_of(queues: type[Queues], retries: bool = True) -> Callable[[Any], Any]:
    """Makes namespaces of a store whose closures are slow, so that it takes locks at once, or quick."""

    def handle(client: Any) -> Any:
        if not retries:
            jobs.sent_once(client)
        ns = jobs.with_policy(_LOOKS_ONCE, client)
        object.__setattr__(ns._settings, "queues", queues(0.001))
        return ns

    return handle


@pytest.fixture
def onlooker(monkeypatch: pytest.MonkeyPatch) -> Onlooker:
    monkeypatch.setattr(StillServer, "locks", True)
    return Onlooker(monkeypatch)


BOTH = pytest.mark.parametrize("queues", [_Queues, _QuickQueues], ids=["slow", "quick"])


@BOTH
@pytest.mark.parametrize("job", [jobs.cas_quantity, jobs.async_cas_quantity])
def test_two_commits_with_locks_hold_with_every_fault(job: Any, queues: type[Queues], onlooker: Onlooker) -> None:
    """And no lock is left: each call gives back what it has taken."""
    tasks = {"one": job, "two": job}
    result = explore(tasks, setup=jobs.fill_basket, handle=handle_of(queues), faults=FAULTS, budget=5_000)
    assert result.complete
    assert result.schedules > 100
    assert onlooker.locked > 100
    assert onlooker.left == 0


@BOTH
def test_three_commits_with_locks(queues: type[Queues], onlooker: Onlooker) -> None:
    """One waits for whoever holds the lock, another goes ahead without."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
    result = explore(tasks, setup=jobs.fill_basket, handle=handle_of(queues))
    assert result.complete
    assert onlooker.locked > 100
    assert onlooker.left == 0


def test_locks_of_several_slots(onlooker: Onlooker) -> None:
    """All are taken or none, so that two calls do not wait for each other; a call that writes nothing gives them back."""
    tasks = {"ann": jobs.leave("ann", "bob", ["ann", "bob"]), "bob": jobs.leave("bob", "ann", ["bob", "ann"])}
    result = explore(tasks, setup=jobs.fill_calls, handle=handle_of(_Queues), faults=FAULTS, budget=5_000)
    assert result.complete
    assert onlooker.locked > 100
    assert onlooker.left == 0


def refused(ns: Any) -> str:
    """A call that ends without a commit."""

    def change(snap: Any, ops: Any) -> None:
        raise LookupError(snap.hget("basket", "tea"))

    try:
        ns.with_cas("basket", change)
    except LookupError as error:
        return str(error)
    return "committed"


def test_a_closure_that_raises_gives_its_lock_back(onlooker: Onlooker) -> None:
    """With any fault, and nobody else's."""
    tasks = {"one": refused, "two": jobs.cas_quantity}
    result = explore(tasks, setup=jobs.fill_basket, handle=handle_of(_Queues), faults=FAULTS, budget=5_000)
    assert result.complete
    assert onlooker.locked > 100
    assert onlooker.left == 0


def test_a_call_whose_connections_are_lost_leaves_a_lock_that_ends(onlooker: Onlooker) -> None:
    """Where nothing is sent again, giving the lock back may fail, too."""

    def job(ns: Any) -> int | None:
        try:
            return jobs.cas_quantity(ns)
        except ConnectionError:
            return None

    def check(ns: Any, results: dict[str, Any]) -> None:
        done = sorted(result for result in results.values() if result)
        assert done == list(range(2, 2 + len(done)))
        assert ns.hget("basket", "tea") == str(1 + len(done))

    result = explore(
        {"one": job, "two": job},
        setup=jobs.fill_basket,
        check=check,
        handle=handle_of(_Queues, retries=False),
        faults={"lost_reply", "cut_before"},
        max_faults=2,
        budget=5_000,
    )
    assert result.complete
    assert 0 < onlooker.left < onlooker.locked


@pytest.mark.parametrize(
    ("queues", "schedule", "told"),
    [
        (_Queues, ["one", "two"], "begin basket -> locked"),
        (_QuickQueues, ["one", "two", "three", "two", "one", "three"], "commit hset basket -> lost, locked"),
    ],
    ids=["begins", "lost"],
)
def test_a_lock_of_another_is_waited_for(
    queues: type[Queues], schedule: list[str], told: str, onlooker: Onlooker
) -> None:
    """By whoever begins, and by whoever has lost: it is told so, and looks again."""
    with pytest.raises(InterleavingError) as caught:
        explore(
            dict.fromkeys(("one", "two", "three"), jobs.cas_quantity),
            setup=jobs.fill_basket,
            handle=handle_of(queues),
            check=lambda ns, results: 1 / 0,
            schedule=schedule,
        )
    assert told in str(caught.value)
