"""Names, times and sizes as people read and write them."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)


def shown(text: str | bytes) -> str:
    """A name or value for a terminal: what could control it, or show another name than is there, is escaped.

    Not only control characters: those that turn the direction of a line, or take no room, deceive as well.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(ord(each)) for each in text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"


def seconds_of(text: str) -> float:
    """A duration: `90`, `90s`, `1h30m`, `2d`. Raises `ValueError`."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    if not text or _PART.sub("", text):
        raise ValueError("a duration is a number of seconds, or such as 90s, 15m, 1h30m, 2d, 1w")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration(seconds: float | None) -> str:
    """A duration in its two largest units; "-" for none, "never" for one without an end."""
    if seconds is None:
        return "-"
    if seconds == float("inf"):
        return "never"
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    for unit, lower in (("d", "h"), ("h", "m"), ("m", "s")):
        size, part = int(_UNITS[unit]), int(_UNITS[lower])
        parts = round(seconds / part)
        if parts * part >= size:
            whole, rest = divmod(parts, size // part)
            return f"{whole}{unit} {rest}{lower}" if rest and whole < 100 else f"{whole}{unit}"
    return f"{round(seconds)}s"


def size(count: float | None) -> str:
    """So many bytes."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as "1 slot", "1,200 slots"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def number(value: Any) -> int | None:
    """An integer that Redis holds as text; None for what is none: others may have written it."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
