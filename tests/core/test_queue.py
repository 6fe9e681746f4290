"""Queues: who is next, and for how long. Nobody waits here; the clock is an argument."""

from __future__ import annotations

import random

import pytest

from session_store._core.queue import Queues

LOCK_TTL = 1.0
LEASE = 2 * LOCK_TTL  # of a store that has seen no closure yet


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Noted:
    """A waiter that only notes how often it was woken."""

    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone
        self.woken = 0

    def wake(self) -> bool:
        self.woken += 1
        return not self.gone


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queues(clock: Clock) -> Queues:
    return Queues(LOCK_TTL, clock)


def test_first_come_first_served(queues: Queues) -> None:
    """The first waits for nobody; each of the others is woken once, when the one before it leaves."""
    waiters = [Noted() for _ in range(4)]
    entries = [queues.enter(b"k", lambda waiter=waiter: waiter) for waiter in waiters]
    for number, entry in enumerate(entries):
        assert [queues.may_go(each) for each in entries[number:]] == [True, *[False] * (3 - number)]
        assert [waiter.woken for waiter in waiters] == [0] + [1] * number + [0] * (3 - number)
        queues.leave(entry)
    assert queues.may_go(queues.enter(b"k", Noted))


def test_other_keys_have_other_queues(queues: Queues) -> None:
    assert all(queues.may_go(queues.enter(key, Noted)) for key in (b"a", b"b", b"c"))


def test_who_leaves_while_it_waits_is_not_waited_for(queues: Queues) -> None:
    first, second, third = (queues.enter(b"k", Noted) for _ in range(3))
    queues.leave(second)
    assert not queues.may_go(third)
    queues.leave(first)
    assert queues.may_go(third)


def test_the_first_loses_its_place_after_a_lease(queues: Queues, clock: Clock) -> None:
    """To the next one only, whose own lease begins then; to leave late changes nothing."""
    first, second, third = (queues.enter(b"k", Noted) for _ in range(3))
    clock.now += LEASE - 0.01
    assert not queues.may_go(second)
    clock.now += 0.01
    assert queues.may_go(second)
    assert not queues.may_go(third)
    queues.leave(first)
    assert not queues.may_go(third)
    queues.leave(second)
    assert queues.may_go(third)


def test_whoever_notices_it_lets_the_next_one_go(queues: Queues, clock: Clock) -> None:
    """Also one that stands further behind: it goes on waiting."""
    waiters = [Noted() for _ in range(3)]
    _, second, third = (queues.enter(b"k", lambda waiter=waiter: waiter) for waiter in waiters)
    clock.now += LEASE
    assert not queues.may_go(third)
    assert waiters[1].woken == 1
    assert queues.may_go(second)


def test_one_who_lost_its_place_while_it_waited_goes_on(queues: Queues, clock: Clock) -> None:
    """Its loop was blocked for so long that others went before it: it is not in the queue any more, and needs not be."""
    first, second, third = (queues.enter(b"k", Noted) for _ in range(3))
    queues.leave(first)
    clock.now += LEASE
    assert queues.may_go(third)
    assert queues.may_go(second)
    queues.leave(second)
    assert queues.may_go(third)


def test_who_cannot_be_woken_is_passed_over(queues: Queues) -> None:
    """Its loop is closed."""
    first = queues.enter(b"k", Noted)
    gone = [queues.enter(b"k", lambda: Noted(gone=True)) for _ in range(2)]
    last = queues.enter(b"k", Noted)
    queues.leave(first)
    assert queues.may_go(last)
    assert all(entry.is_over for entry in gone)


def test_nothing_is_kept_of_a_queue_that_is_empty(queues: Queues) -> None:
    first, gone = queues.enter(b"k", Noted), queues.enter(b"k", lambda: Noted(gone=True))
    queues.leave(first)
    queues.leave(gone)
    queues.leave(first)
    assert queues._queues == {}


def test_closures_that_take_long_make_leases_longer(queues: Queues) -> None:
    """Twice what they took, and for a while: what was learned of a slow one is forgotten by and by."""
    assert (queues.is_slow, queues.lease) == (True, LEASE)
    queues.learn(0.001)
    assert (queues.is_slow, queues.lease) == (False, LOCK_TTL)
    queues.learn(3.0)
    assert (queues.is_slow, queues.lease) == (True, 6.0)
    for _ in range(100):
        queues.learn(0.001)
    assert (queues.is_slow, queues.lease) == (False, LOCK_TTL)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_everybody_may_go_in_the_end(queues: Queues, clock: Clock, seed: int) -> None:
    """And never two at once whose leases run."""
    draw = random.Random(seed)
    entries = []
    for _ in range(300):
        clock.now += draw.choice((0, 0, 0.3, 1.5))
        if draw.random() < 0.5 or not entries:
            entries.append(queues.enter(b"k", lambda: Noted(gone=draw.random() < 0.1)))
        else:
            entry = draw.choice(entries)
            queues.may_go(entry)
            if draw.random() < 0.5:
                queues.leave(entry)
                entries.remove(entry)
        running = [entry for entry in entries if entry.since is not None and not entry.is_over]
        assert len(running) <= 1
    for _ in range(2 * len(entries)):
        clock.now += LEASE
        for entry in entries:
            queues.may_go(entry)
    assert all(queues.may_go(entry) for entry in entries)
