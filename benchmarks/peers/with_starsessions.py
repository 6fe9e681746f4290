"""starsessions on Redis: its session handler, loaded and saved around each request as its middleware does it."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import redis.asyncio
from starlette.requests import HTTPConnection
from starsessions.serializers import JsonSerializer
from starsessions.session import SessionHandler
from starsessions.stores.redis import RedisStore

from benchmarks.peers.face import LAST_WINS, PREFIX, TTL, AsyncBlobPeer, Change, Session


class Starsessions(AsyncBlobPeer):
    """Its middleware saves every session that was loaded, changed or not. rolling=True: each save renews the TTL."""

    layout = f"{PREFIX}-starsessions"

    def __init__(self, port: int) -> None:
        self.name = "starsessions"
        self.note = f"{LAST_WINS}; saves each session that was loaded (no setting); rolling=True"
        self._client = redis.asyncio.Redis(port=port)
        self._store = RedisStore(connection=self._client, prefix=f"{self.layout}:")
        self._serializer = JsonSerializer()

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        now = time.time()
        metadata = {"lifetime": TTL, "created": now, "last_access": now}
        return f"{self.layout}:{session_id}", self._serializer.serialize({**session, "__metadata__": metadata})

    async def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        connection = HTTPConnection({"type": "http"})
        handler = SessionHandler(connection, session_id, self._store, self._serializer, TTL)
        await handler.load()
        session = connection.session
        if change is not None:
            change(session)
        await handler.save(TTL)
        return session

    async def close(self) -> None:
        await self._client.aclose()
