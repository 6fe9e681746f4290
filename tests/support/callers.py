"""Both flavours behind one sync face."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

from session_store import AsyncSessionStore, SessionStore
from support.closures import in_flavour, settled

T = TypeVar("T")

FLAVOURS = ("sync", "async")
TTL = 600  # seconds; no test lasts so long
NAME = "session"
HALF = TTL / 2


class Caller:
    """A namespace of either flavour, called as if it were sync: `caller.incr("n")`.

    Each has a client, a store and (if async) a loop of its own, so that each may serve a thread of its own.
    """

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop | None, name: str = NAME, **settings: Any) -> None:
        self.client = client
        self._loop = loop
        self.is_async = loop is not None
        store_class = SessionStore if loop is None else AsyncSessionStore
        self._store: Any = store_class(client, **{"default_ttl": TTL, **settings})
        self._namespace: Any = self._store.namespace(name)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.wait(getattr(self._namespace, method)(*args, **kwargs))

    def wait(self, result: Any) -> Any:
        """What a method has returned, awaited if need be."""
        return result if self._loop is None else self._loop.run_until_complete(result)

    def key(self, slot: str) -> str:
        return self._namespace.key(slot)

    def namespaces(self) -> list[str]:
        """The names that `store.namespaces()` gives, in no order."""
        found = self._store.namespaces()
        return list(found) if self._loop is None else self.wait(_listed(found))

    def cas(self, slot: Any, fn: Callable[[str | None, Any], Any], **options: Any) -> Any:
        """`with_cas`, with a closure that is given what `snap.get("n")` shows, and `ops`."""

        async def closure(snap: Any, ops: Any) -> Any:
            return fn(await settled(snap.get("n")), ops)

        return self.wait(self._namespace.with_cas(slot, in_flavour(closure, is_async=self.is_async), **options))

    def close(self) -> None:
        if self._loop is None:
            self.client.close()
        else:
            self._loop.run_until_complete(self.client.aclose())
            self._loop.close()


async def _listed(found: Any) -> list[str]:
    return [name async for name in found]


@contextmanager
def connecting(flavour: str, prefix: str) -> Iterator[Callable[..., Caller]]:
    """A function that connects to a port: the same namespace each time, through a client and a store of its own.

    `retries`: how often redis-py sends again; None is its own default, which takes seconds in some versions. `backoff`:
    seconds between them.
    `name`: of another namespace. `settings`: of the store. `make`: makes the client, of redis-py's class for the flavour.
    The rest are the client's.
    """
    with ExitStack() as stack:

        def connect(
            port: int,
            *,
            retries: int | None = 3,
            backoff: float = 0,
            name: str = NAME,
            settings: dict[str, Any] | None = None,
            make: Callable[..., Any] = lambda kind, **options: kind(**options),
            **options: Any,
        ) -> Caller:
            loop = asyncio.new_event_loop() if flavour == "async" else None
            module, retry_class = (redis, Retry) if loop is None else (redis.asyncio, AsyncRetry)
            if retries is not None:
                options["retry"] = retry_class(ConstantBackoff(backoff), retries)
            client = make(module.Redis, port=port, **{"socket_timeout": 10, **options})
            caller = Caller(client, loop, name, **{"prefix": prefix, **(settings or {})})
            stack.callback(caller.close)
            return caller

        yield connect


def fill(ns: Any) -> None:
    """A namespace as READS and WRITES expect it."""
    ns.set("n", "1", ttl=HALF)
    ns.hset("h", mapping={"f": "1", "g": "1"}, ttl=HALF)
    ns.incr("ids", 2)
    ns.touch(ttl=HALF)


def change_several(value: str | None, ops: Any) -> None:
    ops.set("n", "2")
    ops.set("new", "2")
    ops.hset("h", "f", "2")
    ops.hdel("h", "g")
    ops.delete("ids")


def replace(value: str | None, ops: Any) -> None:
    """A commit that gives memory back before it takes some."""
    ops.delete("n")
    ops.hset("n", "f", "2")


# Every method that talks to Redis, each as a call that finds something to do.
READS: dict[str, Callable[[Any], object]] = {
    "get": lambda ns: ns.get("n"),
    "exists": lambda ns: ns.exists("n"),
    "ttl": lambda ns: ns.ttl("n") is not None,
    "hget": lambda ns: ns.hget("h", "f"),
    "hmget": lambda ns: ns.hmget("h", ["f", "g"]),
    "hgetall": lambda ns: ns.hgetall("h"),
    "hkeys": lambda ns: sorted(ns.hkeys("h")),
    "hlen": lambda ns: ns.hlen("h"),
    "hexists": lambda ns: ns.hexists("h", "f"),
    "slots": lambda ns: ns.slots(),
    "namespaces": lambda ns: ns.namespaces(),
    "with_cas that only reads": lambda ns: ns.cas("n", lambda value, ops: value),
}
WRITES: dict[str, Callable[[Any], object]] = {
    "set": lambda ns: ns.set("n", "2"),
    "set of a new slot": lambda ns: ns.set("new", "2"),
    "set nx": lambda ns: ns.set("new", "2", nx=True),
    "set xx": lambda ns: ns.set("n", "2", xx=True),
    "hset": lambda ns: ns.hset("h", mapping={"f": "2", "new": "2"}),
    "hset of a new slot": lambda ns: ns.hset("new", "f", "2"),
    "hincrby": lambda ns: ns.hincrby("h", "f"),
    "incr": lambda ns: ns.incr("ids"),
    "with_cas": lambda ns: ns.cas("n", lambda value, ops: ops.set("n", "2")),
    "with_cas that changes several": lambda ns: ns.cas(["n", "h"], change_several),
    "with_cas that replaces": lambda ns: ns.cas("n", replace),
    "with_cas that deletes": lambda ns: ns.cas("n", lambda value, ops: ops.delete("n")),
    "hdel": lambda ns: ns.hdel("h", "f"),
    "delete": lambda ns: ns.delete("n"),
    "touch": lambda ns: ns.touch(),
    "touch of what a scan finds": lambda ns: ns.touch(scan=True),
    "purge": lambda ns: ns.purge(),
    "purge with a fence": lambda ns: ns.purge(fence=HALF),
    "purge of what a scan finds": lambda ns: ns.purge(scan=True),
}


def contents(rival: redis.Redis, base: str) -> dict[str, object]:
    """All that a namespace holds, tokens too, and whether each key lives for HALF of the TTL or all of it; looked at by
    another client, with `decode_responses`."""
    found: dict[str, object] = {}
    for key in rival.scan_iter(f"{base}*"):
        value = rival.hgetall(key) if rival.type(key) == "hash" else rival.get(key)
        left = rival.pttl(key) / 1000
        found[key] = (value, "no TTL" if left < 0 else "half" if left <= HALF + 1 else "all")
    return found


def slots_of(found: dict[str, object]) -> dict[str, object]:
    """The same without the index, whose tokens no two calls share."""
    return {key: held for key, held in found.items() if not key.endswith("~index")}


def insist(call: Callable[[], T]) -> T:
    """Makes a call again that redis-py gave up before it was sent, because the pool had no live connection to give.

    A client that resends often enough raises these errors for nothing else; were one raised for a call that was made,
    a test that counts would tell.
    """
    while True:
        try:
            return call()
        except (ConnectionError, TimeoutError):
            pass
