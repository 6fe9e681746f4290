"""The one face of all session libraries here: a request that reads a session, or reads and changes it.

What is called is each library's own session interface, without HTTP around it: no router, no server, no cookies on the
wire. So what is timed is the store.
"""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import redis

TTL = 86_400  # seconds that a session lives, everywhere
PREFIX = "bench-sessions"  # what each key begins with, whoever writes it
LAST_WINS = "no locking: last write wins"  # the note of those who do nothing about it
BATCH = 1_000  # sessions or keys that are dealt with together while no clock runs

Session = dict[str, Any]
Change = Callable[[MutableMapping[str, Any]], None]
T = TypeVar("T")


class GaveUp(Exception):  # noqa: N818  # it is an answer, and counted
    """The library said that this change was not made; nothing was written."""


class Peer(Protocol):
    """A sync session library.

    - `name`, `note`: as in `Result`.
    - `layout`: what its keys begin with; peers of one layout read each other's sessions.
    - `fill`: writes sessions as the library itself would have them, quickly; this is not timed.
    - `read`: one request that reads the session.
    - `visit`: one request that reads the session and adds 1 to its visits; `visits`: how many there were.
    - `add`: one request that adds 1 to an article in the basket; raises `GaveUp` when it did not; `pieces`: how many
      there are in the basket.
    """

    name: str
    layout: str
    note: str

    def fill(self, client: redis.Redis, sessions: Iterable[tuple[str, Session]]) -> None: ...
    def read(self, session_id: str) -> object: ...
    def visit(self, session_id: str) -> None: ...
    def visits(self, session_id: str) -> int: ...
    def add(self, session_id: str, article: str) -> None: ...
    def pieces(self, session_id: str) -> int: ...
    def close(self) -> None: ...


class AsyncPeer(Protocol):
    """An async session library; see `Peer`."""

    name: str
    layout: str
    note: str

    def fill(self, client: redis.Redis, sessions: Iterable[tuple[str, Session]]) -> None: ...
    async def read(self, session_id: str) -> object: ...
    async def visit(self, session_id: str) -> None: ...
    async def visits(self, session_id: str) -> int: ...
    async def add(self, session_id: str, article: str) -> None: ...
    async def pieces(self, session_id: str) -> int: ...
    async def close(self) -> None: ...


def one_visit_more(session: MutableMapping[str, Any]) -> None:
    """The change of the session mix. It assigns to the session itself, so that every library notices."""
    session["visits"] = session["visits"] + 1


def one_more(article: str, session: MutableMapping[str, Any]) -> None:
    """One more of an article in the basket."""
    basket = session["basket"]
    session["basket"] = {**basket, article: basket.get(article, 0) + 1}


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


class Filling(ABC):
    """Sessions that are one value under one key each."""

    layout: str

    @abstractmethod
    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        """The key and the value as the library itself would write them."""

    def fill(self, client: redis.Redis, sessions: Iterable[tuple[str, Session]]) -> None:
        """Writes sessions in pipelines; this is not timed."""
        for batch in batches(sessions, BATCH):
            pipeline = client.pipeline(transaction=False)
            for session_id, session in batch:
                key, value = self.stored(session_id, session)
                pipeline.set(key, value, ex=TTL)
            pipeline.execute()


class BlobPeer(Filling):
    """A sync library that loads a session as a whole, and saves it as a whole."""

    @abstractmethod
    def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        """One request, from begin to end, as the library's documentation has it: the session that it saw."""

    def read(self, session_id: str) -> object:
        return self.request(session_id, None)["user"]

    def visit(self, session_id: str) -> None:
        self.request(session_id, one_visit_more)

    def visits(self, session_id: str) -> int:
        return int(self.request(session_id, None)["visits"])

    def add(self, session_id: str, article: str) -> None:
        self.request(session_id, partial(one_more, article))

    def pieces(self, session_id: str) -> int:
        return sum(self.request(session_id, None)["basket"].values())


class AsyncBlobPeer(Filling):
    """The same, async."""

    @abstractmethod
    async def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        """One request, from begin to end, as the library's documentation has it: the session that it saw."""

    async def read(self, session_id: str) -> object:
        return (await self.request(session_id, None))["user"]

    async def visit(self, session_id: str) -> None:
        await self.request(session_id, one_visit_more)

    async def visits(self, session_id: str) -> int:
        return int((await self.request(session_id, None))["visits"])

    async def add(self, session_id: str, article: str) -> None:
        await self.request(session_id, partial(one_more, article))

    async def pieces(self, session_id: str) -> int:
        return sum((await self.request(session_id, None))["basket"].values())
