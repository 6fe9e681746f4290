"""The session libraries that are compared, each behind the face of `benchmarks.peers.face`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import redis

from benchmarks.peers.sessions import session

TRIAL = ("a-session-to-try-with", session(0))


@dataclass(frozen=True)
class Entry:
    """A peer before it is made: its name in the tables, where its class is, and that class's options."""

    name: str
    module: str
    kind: str
    options: dict[str, bool] = field(default_factory=dict)

    def make(self, port: int) -> Any:
        """The peer, as a client of the server on that port."""
        return getattr(import_module(f"benchmarks.peers.{self.module}"), self.kind)(port, **self.options)


SYNC_KEEP = (
    Entry("session_store", "ours", "Ours"),
    Entry("redis-py JSON", "bare", "Bare"),
    Entry("Flask-Session, no refresh", "with_flask", "FlaskSession", {"renews": False}),
    Entry("Django sessions", "with_django", "Django"),
)
SYNC_RENEW = (
    Entry("session_store, touch()", "ours", "Ours", {"renews": True}),
    Entry("redis-py JSON, GETEX", "bare", "Bare", {"renews": True}),
    Entry("Flask-Session", "with_flask", "FlaskSession"),
    Entry("Django sessions, always saved", "with_django", "Django", {"renews": True}),
)
ASYNC_KEEP = (
    Entry("session_store", "ours", "AsyncOurs"),
    Entry("redis.asyncio JSON", "bare", "AsyncBare"),
)
ASYNC_RENEW = (
    Entry("session_store, touch()", "ours", "AsyncOurs", {"renews": True}),
    Entry("redis.asyncio JSON, GETEX", "bare", "AsyncBare", {"renews": True}),
    Entry("starsessions", "with_starsessions", "Starsessions"),
    Entry("Litestar", "with_litestar", "Litestar"),
)
SYNC_BASKET = (
    Entry("session_store", "ours", "Ours"),
    Entry("session_store, with_cas", "ours", "OursCas"),
    Entry("redis-py HINCRBY", "bare", "BareHash"),
    Entry("redis-py transaction()", "bare", "BareTransaction"),
    Entry("redis-py JSON", "bare", "Bare"),
    Entry("Flask-Session", "with_flask", "FlaskSession"),
    Entry("Django sessions", "with_django", "Django"),
    Entry("Django with cache.lock", "with_django", "DjangoLocked"),
)
ASYNC_BASKET = (
    Entry("session_store", "ours", "AsyncOurs"),
    Entry("session_store, with_cas", "ours", "AsyncOursCas"),
    Entry("redis.asyncio HINCRBY", "bare", "AsyncBareHash"),
    Entry("redis.asyncio transaction()", "bare", "AsyncBareTransaction"),
    Entry("redis.asyncio JSON", "bare", "AsyncBare"),
    Entry("starsessions", "with_starsessions", "Starsessions"),
    Entry("Litestar", "with_litestar", "Litestar"),
)


Started = tuple[list[Any], dict[str, str]]  # the peers that run, and why the others do not, by name


def start(entries: Iterable[Entry], port: int) -> Started:
    """Makes sync peers, and tries each on one session: whatever goes wrong there is shown, and stops nobody else."""
    started, missing = [], {}
    with redis.Redis(port=port) as client:
        for entry in entries:
            try:
                peer = entry.make(port)
                peer.fill(client, [TRIAL])
                peer.visit(TRIAL[0])
                _check(peer.visits(TRIAL[0]))
            except Exception as error:  # noqa: PERF203  # a handful of peers
                missing[entry.name] = _said(error)
            else:
                started.append(peer)
    return started, missing


async def start_async(entries: Iterable[Entry], port: int) -> Started:
    """The same for async peers."""
    started, missing = [], {}
    with redis.Redis(port=port) as client:
        for entry in entries:
            try:
                peer = entry.make(port)
                peer.fill(client, [TRIAL])
                await peer.visit(TRIAL[0])
                _check(await peer.visits(TRIAL[0]))
            except Exception as error:  # noqa: PERF203  # a handful of peers
                missing[entry.name] = _said(error)
            else:
                started.append(peer)
    return started, missing


def _check(visits: int) -> None:
    if visits != 1:
        raise RuntimeError(f"{visits} visits after one")


def _said(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
