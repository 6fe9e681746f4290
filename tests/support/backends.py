"""The table of back ends that the contract runs on, and what must hold on each of them at any time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Backend(NamedTuple):
    """A kind of client."""

    real: bool  # on a real server, or in memory
    protocol: int
    decode_responses: bool

    @property
    def name(self) -> str:
        place = "server" if self.real else "memory"
        return f"{place}-resp{self.protocol}-{'str' if self.decode_responses else 'bytes'}"


BACKENDS = tuple(
    Backend(real, protocol, decode) for real in (False, True) for protocol in (2, 3) for decode in (False, True)
)
INDEX_SLACK_MS = 500  # the index may outlive its slots by this much; see lua/prelude.lua

Found = dict[bytes, tuple[int, "dict[bytes, bytes] | None"]]  # by key: milliseconds left, and the fields of an index


def misplaced(found: Found, foreign: frozenset[bytes] = frozenset()) -> Iterator[str]:
    """What breaks a promise among all the keys of a prefix, apart from the foreign ones that a test put there."""
    for key, (left, _) in found.items():
        if left < 0 and key not in foreign:
            yield f"{key!r} has no TTL"
    indexes = {key[: -len(b"~index")]: key for key, (_, fields) in found.items() if fields is not None}
    for base, index in indexes.items():
        left, fields = found[index]
        named = {base + field for field in fields or {} if not field.startswith(b"~")}
        lives = {key for key in found if key.startswith(base) and key != index and key not in foreign}
        for key in lives - named:
            yield f"{key!r} lives, but the index does not name it"
        for key in lives:
            if found[key][0] > left:
                yield f"{key!r} outlives its index"
    for key in found:
        if key not in foreign and key not in indexes.values() and not any(key.startswith(base) for base in indexes):
            yield f"{key!r} lives without an index"
