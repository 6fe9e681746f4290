"""redis-py without a library: the session as one JSON text, and the two ways of redis-py to change a basket safely."""

# ruff: noqa: D102  # what each method is to do is said once, at `Peer` in face.py

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio

from benchmarks.peers.face import LAST_WINS, PREFIX, TTL, AsyncBlobPeer, BlobPeer, Change, Session

LAYOUT = f"{PREFIX}-bare"


def _key(session_id: str) -> str:
    return f"{LAYOUT}:{session_id}"


def _basket(session_id: str) -> str:
    return f"{LAYOUT}:{session_id}:basket"


def _stored(session_id: str, session: Session) -> tuple[str, bytes]:
    return _key(session_id), json.dumps(session).encode()


class Bare(BlobPeer):
    """Sync: GET, and SET with EX where something changed. `renews`: GETEX instead of GET."""

    layout = LAYOUT

    def __init__(self, port: int, *, renews: bool = False) -> None:
        self.name = "redis-py JSON, GETEX" if renews else "redis-py JSON"
        self.note = LAST_WINS
        self._renews = renews
        self._client = redis.Redis(port=port)

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        return _stored(session_id, session)

    def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        key = _key(session_id)
        found: Any = self._client.getex(key, ex=TTL) if self._renews and change is None else self._client.get(key)
        session: Session = json.loads(found)
        if change is not None:
            change(session)
            self._client.set(key, json.dumps(session), ex=TTL)
        return session

    def close(self) -> None:
        self._client.close()


class BareHash(Bare):
    """Sync, the basket as a hash: HINCRBY and EXPIRE in one MULTI."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "redis-py HINCRBY"
        self.note = "HINCRBY and EXPIRE in MULTI"

    def add(self, session_id: str, article: str) -> None:
        key = _basket(session_id)
        pipeline = self._client.pipeline()
        pipeline.hincrby(key, article)
        pipeline.expire(key, TTL)
        pipeline.execute()

    def pieces(self, session_id: str) -> int:
        found: Any = self._client.hgetall(_basket(session_id))
        return sum(map(int, found.values()))


class BareTransaction(BareHash):
    """Sync, the basket as a hash, changed with `Redis.transaction()`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "redis-py transaction()"
        self.note = "retries for ever, without a pause"

    def add(self, session_id: str, article: str) -> None:
        key = _basket(session_id)

        def change(pipeline: Any) -> None:
            count = int(pipeline.hget(key, article) or 0)
            pipeline.multi()
            pipeline.hset(key, article, count + 1)
            pipeline.expire(key, TTL)

        self._client.transaction(change, key)


class AsyncBare(AsyncBlobPeer):
    """Async; see `Bare`."""

    layout = LAYOUT

    def __init__(self, port: int, *, renews: bool = False) -> None:
        self.name = "redis.asyncio JSON, GETEX" if renews else "redis.asyncio JSON"
        self.note = LAST_WINS
        self._renews = renews
        self._client = redis.asyncio.Redis(port=port)

    def stored(self, session_id: str, session: Session) -> tuple[str, bytes]:
        return _stored(session_id, session)

    async def request(self, session_id: str, change: Change | None) -> Mapping[str, Any]:
        key = _key(session_id)
        renewed = self._renews and change is None
        found: Any = await (self._client.getex(key, ex=TTL) if renewed else self._client.get(key))
        session: Session = json.loads(found)
        if change is not None:
            change(session)
            await self._client.set(key, json.dumps(session), ex=TTL)
        return session

    async def close(self) -> None:
        await self._client.aclose()


class AsyncBareHash(AsyncBare):
    """Async, the basket as a hash: HINCRBY and EXPIRE in one MULTI."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "redis.asyncio HINCRBY"
        self.note = "HINCRBY and EXPIRE in MULTI"

    async def add(self, session_id: str, article: str) -> None:
        key = _basket(session_id)
        pipeline = self._client.pipeline()
        pipeline.hincrby(key, article)
        pipeline.expire(key, TTL)
        await pipeline.execute()

    async def pieces(self, session_id: str) -> int:
        found: Any = await self._client.hgetall(_basket(session_id))
        return sum(map(int, found.values()))


class AsyncBareTransaction(AsyncBareHash):
    """Async, the basket as a hash, changed with `Redis.transaction()`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.name = "redis.asyncio transaction()"
        self.note = "retries for ever, without a pause"

    async def add(self, session_id: str, article: str) -> None:
        key = _basket(session_id)

        async def change(pipeline: Any) -> None:
            count = int(await pipeline.hget(key, article) or 0)
            pipeline.multi()
            pipeline.hset(key, article, count + 1)
            pipeline.expire(key, TTL)

        await self._client.transaction(change, key)
