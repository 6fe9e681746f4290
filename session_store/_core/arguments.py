"""How arguments are checked, normalised once where they come in, and shown by a message that refuses them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

_SHOWN = 80  # characters of a refused value that a message shows
_MAX_MS = 10**15  # 31,700 years; with today's date added, still exact in the doubles that Lua counts with
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1

Duration = float | timedelta  # seconds as int or float, or a timedelta


def kind_of(value: object) -> str:
    """The type of a refused value, and nothing of the value: it may be a secret that came to the wrong place."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def shorten(value: object) -> str:
    """The repr of a value that no session holds, a setting or a TTL; cut where it gets long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def has_methods(thing: object, *names: str) -> bool:
    """Whether an object has methods of these names."""
    return all(callable(getattr(thing, name, None)) for name in names)


def to_milliseconds(value: Duration, argument: str) -> int:
    """A duration in whole milliseconds, rounded to the nearest; at least one."""
    if isinstance(value, timedelta):
        milliseconds: float = value / timedelta(milliseconds=1)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        milliseconds = value * 1000
    else:
        raise TypeError(f"{argument} must be seconds (int or float) or a timedelta, got {kind_of(value)}")
    if not 0.5 <= milliseconds <= _MAX_MS:  # nor is NaN
        raise ValueError(f"{argument} must be from 1 millisecond to {_MAX_MS // 1000} seconds, got {shorten(value)}")
    return math.floor(milliseconds + 0.5)


def check_wait(seconds: float, argument: str) -> float:
    """Seconds to wait: none at all, or any finite time."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{argument} must be seconds (int or float), got {kind_of(seconds)}")
    if not 0 <= seconds < math.inf:  # nor is NaN
        raise ValueError(f"{argument} must be at least 0 and finite, got {shorten(seconds)}")
    return seconds


def check_count(value: int, argument: str) -> int:
    """A whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument} must be an int, got {kind_of(value)}")
    if value < 0:
        raise ValueError(f"{argument} must not be negative, got {shorten(value)}")
    return value


def check_int(value: int, argument: str, least: int = 0) -> int:
    """An int that a script can count with."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument} must be an int, got {kind_of(value)}")
    if not least <= value < 2**53:
        raise ValueError(f"{argument} must be from {least} to 2**53 - 1, got {shorten(value)}")
    return value


def amount_and_limit(amount: int, *, least: int = _MIN_INT64) -> tuple[int, int]:
    """An increment, and the farthest value it can be added to without leaving 64 bits."""
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise TypeError(f"amount must be an int, got {kind_of(amount)}")
    if not least <= amount <= _MAX_INT64:
        # The amount itself is not shown: it is what a session holds.
        raise ValueError(f"amount must be from {least} to {_MAX_INT64}, got {'less' if amount < least else 'more'}")
    return amount, (_MIN_INT64 if amount < 0 else _MAX_INT64) - amount


def moment(ms: float) -> datetime:
    """Milliseconds since the epoch, in UTC."""
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(ms))
