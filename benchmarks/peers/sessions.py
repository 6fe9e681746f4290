"""The sessions of the mix: what is in one, how large it is, and which one the next request asks for."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate

from benchmarks.peers.face import Session

SEED = 20_240
SMALLEST, LARGEST = 400, 600  # bytes of a session as compact JSON
WRITES = 0.1  # of the requests


def session_id(number: int) -> str:
    """32 characters that every library takes for a session's id."""
    return sha256(f"{SEED}-{number}".encode()).hexdigest()[:32]


def session(number: int) -> Session:
    """A session of 400 to 600 bytes as compact JSON; always the same for one number."""
    digest = sha256(f"{number}".encode()).hexdigest()
    made: Session = {
        "user": f"user-{number}",
        "name": f"Ada Lovelace {number}",
        "email": f"ada.lovelace.{number}@example.org",
        "locale": "en_GB",
        "csrf": digest,
        "page": f"/articles/{digest[:8]}",
        "step": "address",
        "visits": 0,
        "basket": {},
        "seen": "",
    }
    size = random.Random(number).randint(SMALLEST, LARGEST)
    made["seen"] = ("A-4711 " * 100)[: size - len(json.dumps(made, separators=(",", ":")))]
    return made


def sessions(count: int) -> Iterator[tuple[str, Session]]:
    """All sessions with their ids."""
    return ((session_id(number), session(number)) for number in range(count))


class Requests:
    """Draws requests: Zipf's law with exponent 1 says whose session it is, and one in ten changes it. Seeded."""

    def __init__(self, count: int) -> None:
        self._random = random.Random(SEED)
        self._ids = [session_id(number) for number in range(count)]
        self._weights = list(accumulate(1 / rank for rank in range(1, count + 1)))

    def draw(self, count: int) -> list[tuple[str, bool]]:
        """The next requests: a session's id, and whether it is changed."""
        ids = self._random.choices(self._ids, cum_weights=self._weights, k=count)
        return [(each, self._random.random() < WRITES) for each in ids]
