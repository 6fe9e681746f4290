"""How long a call waits for its turn: the clock and the jitter are arguments, and nothing sleeps."""

from __future__ import annotations

import pytest

from session_store import CasPolicy
from session_store._core.lines import Lines
from session_store._sync import turns
from session_store._sync.turns import IGNORE, LOOK, Turns


class Time:
    """A clock that goes on while somebody waits, and notes for how long."""

    def __init__(self) -> None:
        self.now = 50.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()

    class Waiter:
        def prepare(self) -> None:
            pass

        def wait(self, seconds: float) -> None:
            time.sleep(seconds)

        def wake(self) -> bool:
            return True

    monkeypatch.setattr(turns, "Waiter", Waiter)
    monkeypatch.setattr(turns, "sleep", time.sleep)
    return time


@pytest.mark.parametrize(("jitter", "first"), [(min, [0.001, 0.002, 0.002]), (max, [0.002, 0.004, 0.004])])
def test_looks_are_jittered_and_end(time: Time, jitter: object, first: list[float]) -> None:
    """Half of the longest pause at least, and all of it at most; turn_wait in all; then turns are left alone."""
    policy = CasPolicy(turn_wait=0.015)
    waiting = Turns(Lines(1.0, time), policy, [b"k"], clock=time, uniform=jitter)
    assert waiting.mode == LOOK
    while waiting.mode != IGNORE:
        waiting.wait(time())
    assert time.waits[:3] == first
    assert sum(time.waits) == pytest.approx(0.015)


def test_one_that_waited_takes_the_turn(time: Time) -> None:
    waiting = Turns(Lines(1.0, time), CasPolicy(turn_lease=0.5), [b"k"], clock=time)
    waiting.wait(time())
    assert waiting.mode == 500
    assert waiting.held
    waiting.given_back()
    assert waiting.mode == LOOK


def test_a_line_that_does_not_move_is_waited_for_as_long_as_a_lease(time: Time) -> None:
    """Then the first one is overtaken."""
    lines, policy = Lines(1.0, time), CasPolicy()
    first, second = (Turns(lines, policy, [b"k"], clock=time) for _ in range(2))
    first.line_up()
    assert time.waits == []
    second.line_up()
    assert time.waits == [1.0]
    assert second.mode == LOOK


def test_nobody_waits_longer_than_turn_wait_in_all(time: Time) -> None:
    """In several lines and for several others; what is left afterwards is nothing to wait with on the server either."""
    lines, policy = Lines(1.0, time), CasPolicy(turn_wait=2.5)
    for _ in range(5):
        Turns(lines, policy, [b"a"], clock=time).line_up()
    time.waits.clear()
    last = Turns(lines, policy, [b"b", b"a"], clock=time)
    last.line_up()
    assert sum(time.waits) <= 2.5
    Turns(lines, policy, [b"b"], clock=time).line_up()


def test_without_turns_there_are_no_lines(time: Time) -> None:
    lines, policy = Lines(1.0, time), CasPolicy(turn_wait=0)
    for _ in range(3):
        waiting = Turns(lines, policy, [b"k"], clock=time)
        waiting.line_up()
        assert waiting.mode == IGNORE
        assert not waiting.want()
    assert time.waits == []


def test_looks_that_take_long_are_waiting_as_well(time: Time) -> None:
    """On a slow network the bound is none other."""
    waiting = Turns(Lines(1.0, time), CasPolicy(turn_wait=1.0), [b"k"], clock=time)
    looks = 0
    while waiting.mode != IGNORE:
        began = time()
        time.now += 0.2  # two round trips
        waiting.wait(began)
        looks += 1
    assert looks == 5
