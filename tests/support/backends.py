"""The tables of back ends that the contract runs on, and what must hold on each of them at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest

from support.versions import tested


class Backend(NamedTuple):
    """A kind of client."""

    version: str | None  # of the real server; None is in memory
    protocol: int
    decode_responses: bool

    @property
    def name(self) -> str:
        place = self.version.replace(" ", "-") if self.version else "memory"
        return f"{place}-resp{self.protocol}-{'str' if self.decode_responses else 'bytes'}"


_DIFFERENT = ((2, False), (3, True))  # in everything


def every_setting(versions: Sequence[str]) -> tuple[Backend, ...]:
    """For tests of replies. All settings in memory and on the first version; two on each further version."""
    settings = tuple(product((2, 3), (False, True)))
    rows = [(place, settings) for place in (None, *versions[:1])]
    rows += [(version, _DIFFERENT) for version in versions[1:]]
    return tuple(Backend(place, *each) for place, chosen in rows for each in chosen)


def one_setting(versions: Sequence[str]) -> tuple[Backend, ...]:
    """For all other tests, which have no reason to depend on settings: in memory and on each version, by turns."""
    return (Backend(None, 3, True), *(Backend(version, *_DIFFERENT[at % 2]) for at, version in enumerate(versions)))


VERSIONS = tuple(tested())


def as_params(values: Iterable[Any], version_of: Callable[[Any], str | None] = str) -> list[Any]:
    """For `parametrize`: what is on another server version than the first is left to the long runs."""
    return [pytest.param(each, marks=pytest.mark.long if version_of(each) in VERSIONS[1:] else ()) for each in values]


INDEX_SLACK_MS = 500  # the index may outlive its slots by this much; see lua/prelude.lua

Found = dict[bytes, tuple[int, "dict[bytes, bytes] | None"]]  # by key: milliseconds left, and the fields of an index


def misplaced(found: Found, foreign: frozenset[bytes] = frozenset()) -> Iterator[str]:
    """What breaks a promise among all the keys of a prefix, apart from the foreign ones that a test put there."""
    indexes = {key: fields for key, (_, fields) in found.items() if fields is not None}
    named = {
        key.removesuffix(b"~index") + field
        for key, fields in indexes.items()
        for field in fields
        if not field.startswith(b"~")
    }
    for key, (left, _) in found.items():
        if key in foreign:
            continue
        if left < 0:
            yield f"{key!r} has no TTL"
        if key.split(b":", 2)[1].lstrip(b"{").startswith(b"~"):
            continue  # of a layer, which keeps no index there
        base = b":".join((*key.split(b":", 2)[:2], b""))
        index = base + b"~index"
        if key in indexes:
            continue
        if index not in indexes:
            yield f"{key!r} lives without an index"
            continue
        if key not in named:
            yield f"{key!r} lives, but the index does not name it"
        if left > found[index][0]:
            yield f"{key!r} outlives its index"
