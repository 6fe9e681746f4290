"""Writers that compete: each reads a hash, adds one to a field, and commits if nobody was quicker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import redis

from benchmarks.clients import PREFIX, TTL, key_of, remove
from benchmarks.results import OURS
from session_store import CasContentionError, CasOps, CasSnapshot, SessionStore

TRANSACTION, PLAIN = "Redis.transaction()", "plain protocol"
PEERS = (OURS, TRANSACTION, PLAIN)
NOTES = {
    OURS: "4 attempts, then an error",
    TRANSACTION: "tries again for ever, without a wait (its default)",
    PLAIN: "4 attempts without a wait, then an error",
}
SESSION = "user-42"
OUR_SESSION = f"ours-{SESSION}"
BASKET: dict[Any, Any] = {
    "tea": "2",
    "cup": "1",
    "pot": "1",
    "total": "2550",
    "count": "0",
}  # any, for redis-py's types
PLAIN_ATTEMPTS = 4  # as many as ours

Commit = Callable[[str], bool]  # a slot; whether it was committed, or given up


def key(peer: str, slot: str) -> str:
    """The key of a slot, as the peer names it."""
    return f"{PREFIX}:{OUR_SESSION}:{slot}" if peer == OURS else key_of(SESSION, slot)


def our_store(client: redis.Redis) -> SessionStore:
    """The store of a process."""
    return SessionStore(client, prefix=PREFIX, default_ttl=TTL)


class Writer:
    """One writer of a peer.

    `store` is our store, one for all writers of a process. `runs` counts how often its closure ran, `pause_s` is how long
    the closure takes, `name` is our namespace's.
    """

    def __init__(
        self, peer: str, client: redis.Redis, store: SessionStore, pause_s: float = 0, name: str = OUR_SESSION
    ) -> None:
        self.runs = 0
        self._pause_s = pause_s
        self._client = client
        self._ns = store.namespace(name)
        commits: dict[str, Commit] = {OURS: self._ours, TRANSACTION: self._transaction, PLAIN: self._plain}
        self.commit = commits[peer]

    def _one_more(self, basket: dict[Any, Any], name: str | bytes) -> str:
        self.runs += 1
        if self._pause_s:
            time.sleep(self._pause_s)
        return str(int(basket[name]) + 1)

    def _ours(self, slot: str) -> bool:
        def closure(snap: CasSnapshot, ops: CasOps) -> None:
            ops.hset(slot, "count", self._one_more(snap.hgetall(slot), "count"))

        try:
            self._ns.with_cas(slot, closure)
        except CasContentionError:
            return False
        return True

    def _change(self, pipeline: Any, name: str) -> None:
        count = self._one_more(pipeline.hgetall(name), b"count")
        pipeline.multi()
        pipeline.hset(name, "count", count)
        pipeline.expire(name, TTL)

    def _transaction(self, slot: str) -> bool:
        name = key_of(SESSION, slot)
        self._client.transaction(lambda pipeline: self._change(pipeline, name), name)
        return True

    def _plain(self, slot: str) -> bool:
        name = key_of(SESSION, slot)
        for _ in range(PLAIN_ATTEMPTS):
            with self._client.pipeline() as pipeline:
                pipeline.watch(name)  # type: ignore[no-untyped-call]  # redis-py's
                self._change(pipeline, name)
                try:
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return True
        return False


def fill(client: redis.Redis, peer: str, slots: Iterable[str]) -> None:
    """Baskets that begin with a count of 0, and nothing else of the peer's."""
    remove(client)
    ns = SessionStore(client, prefix=PREFIX, default_ttl=TTL).namespace(OUR_SESSION)
    for slot in slots:
        if peer == OURS:
            ns.hset(slot, mapping=BASKET)
        else:
            client.hset(key(peer, slot), mapping=BASKET)
            client.expire(key(peer, slot), TTL)


def counted(client: redis.Redis, peer: str, slots: Iterable[str]) -> int:
    """What the baskets' counts add up to."""
    pipeline = client.pipeline(transaction=False)
    for slot in slots:
        pipeline.hget(key(peer, slot), "count")
    return sum(int(count) for count in pipeline.execute())
