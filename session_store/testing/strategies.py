"""Hypothesis strategies for names, values and durations: whatever a store accepts, and the awkward more often."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from hypothesis import strategies as st

from session_store._core.arguments import shorten

_MOST_BYTES = 512  # of a namespace's or a slot's name
_LEAST_SECONDS, _MOST_SECONDS = 0.001, 10**12

# Unicode's categories of control characters, surrogates and whitespace.
_REFUSED: tuple[Literal["Cc", "Cs", "Zs", "Zl", "Zp"], ...] = ("Cc", "Cs", "Zs", "Zl", "Zp")
_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_PLAIN_NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=8)

# Patterns and their escapes; names of the library's own keys; one letter written in two ways, invisible and wide ones.
_AWKWARD = ("*", "?", "user-*", "[a-z]", "[^u]", "\\", "\\*", "a~", "%00", "\u00e9", "e\u0301", "\u200b", "\U0001f6d2")
_AWKWARD_NAMESPACES = (*_AWKWARD, "index", "0", "-")
_AWKWARD_SLOTS = (*_AWKWARD, ":", "a:b", "a:", ":~index", "a:~index", "user-42:basket")
_AWKWARD_FIELDS = (*_AWKWARD, "", "~index", "~fence", " ", "a b", "\x00", "\r\n", "{}", ":", "f" * 4_096)

_EDGES = (2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64)  # of what a double or 64 bits can hold
_AWKWARD_VALUES = (
    *("", "0", "1", "-0", "007", "+7", " 7", "7 ", "7\n", "1e3", "1.0", "nan", "null", "true", '"', "\x00", "\r\n"),
    *map(str, _EDGES),
)
# More than an attempt of with_cas is sent along, but few enough characters for Hypothesis to print without a warning.
_LONG = "\U0001f6d2" * 17_000

_EVERYDAY = (60, 1, 0.5, 86_400, 1_800.0, timedelta(minutes=30), timedelta(days=14), timedelta(milliseconds=1))
INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def _names(draw: st.DrawFn, more: str, awkward: Sequence[str]) -> str:
    """Plain ones, awkward ones, any at all, and any that is filled up to the last byte that is allowed."""
    letters = st.characters(exclude_categories=_REFUSED, exclude_characters="{}" + more)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(_PLAIN_NAMES)
    if kind == 1:
        return draw(st.sampled_from(awkward))
    name = draw(st.text(letters, min_size=1, max_size=_MOST_BYTES // 4))  # a character has at most 4 bytes
    if kind == 3:
        name = (name * _MOST_BYTES).encode()[:_MOST_BYTES].decode(errors="ignore")
        name += "x" * (_MOST_BYTES - len(name.encode()))
    return name


def _has_no_tilde(name: str) -> bool:
    """Whether it does not begin with one: those are the library's own."""
    return not name.startswith("~")


def namespaces() -> st.SearchStrategy[str]:
    """Names that `SessionStore.namespace` takes.

    Any that is valid. Often one that is awkward: with glob characters, of many bytes a character, 512 bytes long.
    """
    return _names(":", _AWKWARD_NAMESPACES).filter(_has_no_tilde)


def slots() -> st.SearchStrategy[str]:
    """Names of slots: as `namespaces`, but also with colons."""
    return _names("", _AWKWARD_SLOTS).filter(_has_no_tilde)


def fields() -> st.SearchStrategy[str]:
    """Names of a hash's fields: any str without lone surrogates, often the empty one or another awkward one."""
    return _PLAIN_NAMES | st.sampled_from(_AWKWARD_FIELDS) | _ANY_TEXT


def text_values() -> st.SearchStrategy[str]:
    """Values for `TextCodec`: any str without lone surrogates.

    Often one that is nearly a 64-bit integer or just too large for one, empty, or 68 KB long (which `with_cas` handles
    apart).
    """
    return _text_values()


@st.composite
def _text_values(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 49)) == 49:
        return _LONG
    return draw(_ANY_TEXT | st.sampled_from(_AWKWARD_VALUES) | INT64.map(str))


def json_values() -> st.SearchStrategy[Any]:
    """Values for `JsonCodec`: None, bool, int, finite float, str, and lists and dicts with str keys of these.

    Each reads back equal. Integers go beyond 64 bits, and floats to the ends of their range.
    """
    numbers = st.integers() | st.sampled_from(_EDGES) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | _ANY_TEXT,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_ANY_TEXT, inner, max_size=5),
        max_leaves=16,
    )


def _in_seconds(ttl: float | timedelta) -> float:
    return ttl.total_seconds() if isinstance(ttl, timedelta) else ttl


def ttls(
    *, min_seconds: float = _LEAST_SECONDS, max_seconds: float = _MOST_SECONDS
) -> st.SearchStrategy[float | timedelta]:
    """Durations as every `ttl=` and `fence=` takes them: seconds as int or float, or a timedelta.

    `min_seconds`, `max_seconds`: the shortest and the longest, both included; unless narrowed, from a millisecond to
    10**12 seconds, which is all that the library takes. Raises `TypeError` and `ValueError` for other limits.

    Ask for a minimum of a minute or so where nothing should expire while the test runs.
    """
    for argument, value in (("min_seconds", min_seconds), ("max_seconds", max_seconds)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{argument} must be seconds (int or float), got {shorten(value)}")
    if not _LEAST_SECONDS <= min_seconds <= max_seconds <= _MOST_SECONDS:
        raise ValueError(
            f"min_seconds and max_seconds must be in order and from {_LEAST_SECONDS} to {_MOST_SECONDS}, "
            f"got {shorten(min_seconds)} and {shorten(max_seconds)}"
        )
    edges = [each for each in _EVERYDAY if min_seconds <= _in_seconds(each) <= max_seconds]
    drawn: st.SearchStrategy[float | timedelta] = st.sampled_from([*edges, min_seconds, max_seconds])
    if math.ceil(min_seconds) <= math.floor(max_seconds):
        drawn |= st.integers(math.ceil(min_seconds), math.floor(max_seconds))
    drawn |= st.floats(min_seconds, max_seconds)
    shortest, longest = math.ceil(min_seconds * 1_000_000), math.floor(max_seconds * 1_000_000)
    if shortest <= longest:
        drawn |= st.timedeltas(timedelta(microseconds=shortest), timedelta(microseconds=longest))
    return drawn
