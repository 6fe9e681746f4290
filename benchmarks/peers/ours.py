"""session_store: the session is a hash slot, the basket another; what changes is changed where it lies."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

from collections.abc import Iterable

import redis
import redis.asyncio

from benchmarks.peers.face import PREFIX, TTL, GaveUp, Session
from session_store import AsyncCasSnapshot, AsyncSessionStore, CasContentionError, CasOps, CasSnapshot, SessionStore

LAYOUT = f"{PREFIX}-ours"


class _Ours:
    layout = LAYOUT
    note = ""

    def fill(self, client: redis.Redis, sessions: Iterable[tuple[str, Session]]) -> None:
        """Writes sessions with the library itself; this is not timed."""
        store = SessionStore(client, prefix=LAYOUT, default_ttl=TTL)
        for session_id, session in sessions:
            fields = {name: str(value) for name, value in session.items() if name != "basket"}
            store.namespace(session_id).hset("session", mapping=fields)


class Ours(_Ours):
    """Sync. `renews`: every request renews the TTL, with `touch` where it writes nothing."""

    def __init__(self, port: int, *, renews: bool = False) -> None:
        self.name = "session_store, touch()" if renews else "session_store"
        self.note = "touch() after reading, where nothing is written" if renews else ""
        self._renews = renews
        self._client = redis.Redis(port=port)
        self._store = SessionStore(self._client, prefix=LAYOUT, default_ttl=TTL)

    def read(self, session_id: str) -> object:
        ns = self._store.namespace(session_id)
        session = ns.hgetall("session")
        if self._renews:
            ns.touch()
        return session["user"]

    def visit(self, session_id: str) -> None:
        ns = self._store.namespace(session_id)
        ns.hgetall("session")
        ns.hincrby("session", "visits")

    def visits(self, session_id: str) -> int:
        return int(self._store.namespace(session_id).hget("session", "visits") or 0)

    def add(self, session_id: str, article: str) -> None:
        self._store.namespace(session_id).hincrby("basket", article)

    def pieces(self, session_id: str) -> int:
        return sum(map(int, self._store.namespace(session_id).hgetall("basket").values()))

    def close(self) -> None:
        self._client.close()


class OursCas(Ours):
    """Sync, and the basket is changed with `with_cas`, as a rule that needs to look at it would."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "session_store, with_cas"
        self.note = "3 retries, the default"

    def add(self, session_id: str, article: str) -> None:
        def change(snap: CasSnapshot, ops: CasOps) -> None:
            ops.hset("basket", article, str(int(snap.hget("basket", article) or 0) + 1))

        try:
            self._store.namespace(session_id).with_cas("basket", change)
        except CasContentionError as error:
            raise GaveUp from error


class AsyncOurs(_Ours):
    """Async; see `Ours`."""

    def __init__(self, port: int, *, renews: bool = False) -> None:
        self.name = "session_store, touch()" if renews else "session_store"
        self.note = "touch() after reading, where nothing is written" if renews else ""
        self._renews = renews
        self._client = redis.asyncio.Redis(port=port)
        self._store = AsyncSessionStore(self._client, prefix=LAYOUT, default_ttl=TTL)

    async def read(self, session_id: str) -> object:
        ns = self._store.namespace(session_id)
        session = await ns.hgetall("session")
        if self._renews:
            await ns.touch()
        return session["user"]

    async def visit(self, session_id: str) -> None:
        ns = self._store.namespace(session_id)
        await ns.hgetall("session")
        await ns.hincrby("session", "visits")

    async def visits(self, session_id: str) -> int:
        return int(await self._store.namespace(session_id).hget("session", "visits") or 0)

    async def add(self, session_id: str, article: str) -> None:
        await self._store.namespace(session_id).hincrby("basket", article)

    async def pieces(self, session_id: str) -> int:
        return sum(map(int, (await self._store.namespace(session_id).hgetall("basket")).values()))

    async def close(self) -> None:
        await self._client.aclose()


class AsyncOursCas(AsyncOurs):
    """Async, and the basket is changed with `with_cas`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "session_store, with_cas"
        self.note = "3 retries, the default"

    async def add(self, session_id: str, article: str) -> None:
        async def change(snap: AsyncCasSnapshot, ops: CasOps) -> None:
            ops.hset("basket", article, str(int(await snap.hget("basket", article) or 0) + 1))

        try:
            await self._store.namespace(session_id).with_cas("basket", change)
        except CasContentionError as error:
            raise GaveUp from error
