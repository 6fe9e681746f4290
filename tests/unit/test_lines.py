"""Lines: who is next. Nobody waits here; the clock is an argument."""

from __future__ import annotations

import pytest

from session_store._core.lines import Lines

LEASE = 1.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A waiter that only notes what happens to it."""

    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone
        self.events: list[str] = []

    def prepare(self) -> None:
        self.events.append("prepared")

    def wake(self) -> bool:
        self.events.append("woken")
        return not self.gone


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Lines:
    return Lines(LEASE, clock)


def test_first_come_first_served(lines: Lines) -> None:
    """The first waits for nobody; each of the others is woken when the one before it leaves."""
    places = [Place() for _ in range(4)]
    assert [lines.join(b"k", place) for place in places] == [True, False, False, False]
    assert [place.events for place in places] == [[], *[["prepared"]] * 3]
    for number, place in enumerate(places):
        assert [lines.is_first(b"k", each) for each in places[number:]] == [True, *[False] * (3 - number)]
        lines.leave(b"k", place)
        assert (
            [each.events.count("woken") for each in places[1:]] == [1] * (number + 1) + [0] * (2 - number)
            if number < 3
            else True
        )
    assert lines.join(b"k", Place())


def test_each_key_has_a_line(lines: Lines) -> None:
    assert lines.join(b"a", Place())
    assert lines.join(b"b", Place())


def test_one_that_leaves_from_the_middle(lines: Lines) -> None:
    """It wakes nobody, and is passed over."""
    first, second, third = places = [Place() for _ in range(3)]
    for place in places:
        lines.join(b"k", place)
    lines.leave(b"k", second)
    assert third.events == ["prepared"]
    lines.leave(b"k", first)
    assert third.events == ["prepared", "woken"]
    assert second.events == ["prepared"]


def test_one_that_takes_longer_than_the_lease_loses_its_place(lines: Lines, clock: Clock) -> None:
    """To the next one, for whom the lease begins anew. Its leaving later disturbs nobody."""
    first, second, third = places = [Place() for _ in range(3)]
    for place in places:
        lines.join(b"k", place)
    clock.now += LEASE * 0.99
    assert not lines.is_first(b"k", second)
    clock.now += LEASE * 0.02
    assert lines.is_first(b"k", second)
    assert not lines.is_first(b"k", third)
    lines.leave(b"k", first)
    assert lines.is_first(b"k", second)
    clock.now += LEASE
    assert lines.is_first(b"k", third)
    lines.leave(b"k", second)
    lines.leave(b"k", third)
    assert lines.join(b"k", Place())


def test_the_last_of_a_line_may_see_to_it_that_the_next_goes(lines: Lines, clock: Clock) -> None:
    """Whoever looks, it is the next one who goes, and is woken."""
    first, second, third = places = [Place() for _ in range(3)]
    for place in places:
        lines.join(b"k", place)
    clock.now += LEASE
    assert not lines.is_first(b"k", third)
    assert second.events == ["prepared", "woken"]
    lines.leave(b"k", first)
    assert third.events == ["prepared"]


def test_waiters_whose_loop_is_closed_are_passed_over(lines: Lines) -> None:
    first, gone, last = Place(), Place(gone=True), Place()
    for place in (first, gone, last):
        lines.join(b"k", place)
    lines.leave(b"k", first)
    assert last.events == ["prepared", "woken"]
    lines.leave(b"k", last)
    assert lines.join(b"k", Place())


def test_a_line_of_nobody_but_the_gone_is_forgotten(lines: Lines) -> None:
    first, gone = Place(), Place(gone=True)
    lines.join(b"k", first)
    lines.join(b"k", gone)
    lines.leave(b"k", first)
    assert lines.join(b"k", Place())


def test_a_forked_process_begins_with_empty_lines(lines: Lines) -> None:
    lines.join(b"k", Place())
    lines.clear()
    assert lines.join(b"k", Place())
