"""Litestar's server-side sessions over its RedisStore: the backend's steps, in the order of its middleware."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis.asyncio
from litestar.middleware.session.server_side import ServerSideSessionBackend, ServerSideSessionConfig
from litestar.stores.redis import RedisStore

from benchmarks.peers.face import LAST_WINS, PREFIX, TTL, AsyncBlobPeer, Change, Session


class Litestar(AsyncBlobPeer):
    """Its middleware stores the session in every response, and that renews the TTL."""

    layout = f"{PREFIX}-litestar"

    def __init__(self, port: int) -> None:
        self.name = "Litestar"
        self.note = f"{LAST_WINS}; saves the session in each request (no setting)"
        self._client = redis.asyncio.Redis(port=port)
        self._store = RedisStore(self._client, namespace=self.layout)
        self._backend = ServerSideSessionBackend(ServerSideSessionConfig(max_age=TTL))

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        return f"{self.layout}:{session_id}", self._backend.serialize_data(session)

    async def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        data = await self._backend.get(session_id, self._store)
        session: Session = self._backend.deserialize_data(data)
        if change is not None:
            change(session)
        await self._backend.set(session_id, self._backend.serialize_data(session), self._store)
        return session

    async def close(self) -> None:
        await self._client.aclose()
