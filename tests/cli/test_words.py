"""Durations, sizes and names as people read and write them."""

from __future__ import annotations

import pytest

from session_store.cli.words import counted, duration, number, seconds_of, shown, size

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("250ms", 0.25), ("1h30m", 5_400), ("2d", 2 * DAY), ("1w", 7 * DAY), ("0", 0)],
)
def test_durations_that_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "3x", "d", "1d ", "-1", "1d-2h", "nan", "inf", "1e3", "\u0661"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *(
            (None, "-"),
            (float("inf"), "never"),
            (-1, "0.0s"),
            (0.44, "0.4s"),
            (9.94, "9.9s"),
            (10, "10s"),
            (59.4, "59s"),
        ),
        *((59.6, "1m"), (61, "1m 1s"), (3_599.9, "1h"), (HOUR + 60, "1h 1m"), (DAY - 1, "1d"), (2 * DAY - 1, "2d")),
        *((DAY + HOUR, "1d 1h"), (400 * DAY + HOUR, "400d")),
    ],
)
def test_durations_that_are_shown(seconds: float | None, text: str) -> None:
    """In two units, to the nearest of the lower one."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((None, "-"), (0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (150 * 1_024, "150 KiB")),
        *((5 * 2**20, "5.0 MiB"), (3 * 2**30, "3.0 GiB"), (2 * 2**40, "2.0 TiB")),
    ],
)
def test_sizes(count: float | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("plain 'x' \"y\" カフェ", "plain 'x' \"y\" カフェ"), ("\x1b[2J\n", r"\x1b[2J\x0a"), ("\x9b31m", r"\x9b31m")),
        *(("a\u202eb", r"a\u202eb"), ("\u200b", r"\u200b"), ("\U000e0041", r"\U000e0041"), ("\ud800", r"\ud800")),
        (b"\xff\x00ok", r"\xff\x00ok"),
    ],
)
def test_names(name: str | bytes, text: str) -> None:
    """What controls a terminal, turns its lines, or cannot be seen is escaped."""
    assert shown(name) == text
    assert shown(name).isprintable()


def test_counts_and_numbers() -> None:
    assert (counted(1, "entry", "entries"), counted(2_000, "entry", "entries")) == ("1 entry", "2,000 entries")
    assert (number(b"12"), number(b"x"), number(None)) == (12, None, None)
