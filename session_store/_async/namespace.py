"""The per-request handle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import EllipsisType
from typing import TypeVar, overload

from session_store._async import cas
from session_store._async._flavour import check_closure, check_result
from session_store._async.bulk import AsyncBulk
from session_store._async.once import once
from session_store._async.snapshot import AsyncCasSnapshot
from session_store._core import scripts
from session_store._core.arguments import Duration, to_milliseconds
from session_store._core.commits import CasOps, end, recorded
from session_store._core.operations import Operation, commit_args
from session_store._core.replies import read_answer
from session_store.codecs import V

R = TypeVar("R")


class AsyncNamespace(AsyncBulk[V]):
    """One session's slots: a cheap handle, made per request by `AsyncSessionStore.namespace`; making one does no I/O.

    A slot is a string, a hash or a counter, and comes into being by being written. Every write sets the slot's TTL, to
    `ttl` (seconds as int or float, or a timedelta) where one is given and to the store's default elsewhere; with
    `keepttl`, as in Redis' SET, a slot that lives keeps the TTL that it has, and a new one gets that. Reads leave it
    alone. Every write is one script call and one round trip, applied all or not at all. When the client sends it again
    after a lost reply, it is recognised for 10 minutes (or until the namespace is purged or has expired), applied once
    all the same, and answered as it was the first time.

    Beside what is named at each method, all raise `InvalidNameError`, `TypeError` and `ValueError` for bad arguments
    before anything is sent; writes raise `WrongTypeError` for a slot of the other type and `NamespacePurgedError`
    while a fence stands; redis-py's errors pass through unchanged.

    >>> import asyncio
    >>> from session_store import AsyncInMemoryClient, AsyncSessionStore
    >>> async def visit() -> int:
    ...     ns = AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=3600).namespace("user-42")
    ...     await ns.hset("basket", "A-1", "2")
    ...     return await ns.hincrby("basket", "A-1", 3)
    >>> asyncio.run(visit())
    5
    """

    __slots__ = ()

    def __repr__(self) -> str:
        name = self._settings.audit.shown(self.name)
        return f"{type(self).__name__}(prefix={self._settings.keyspace.prefix!r}, name={name!r})"

    def key(self, slot: str) -> str:
        """The full Redis key of a slot. No I/O."""
        return self._key(slot).decode()

    async def _apply(self, operation: Operation, min_replicas: int = 0) -> int:
        verb, key, ttl_ms, args = operation
        call = scripts.SINGLE, (key,), (verb, ttl_ms, *args)
        reply = await once(self._commands, self._operations, *call, min_replicas=min_replicas)
        return read_answer(reply, self.name, [operation])

    async def create(self, *, lifetime: Duration) -> bool:
        """Begin the namespace, to end for certain when `lifetime` (seconds or timedelta) is over, by the server's clock.

        From then on no TTL goes beyond that end, whatever asks for it: no write and no `touch` can put it off. Until
        something is written it lives for the handle's default TTL, and then as long as its slots do. Returns False when
        it lives already, with a lifetime or without, and then nothing is changed. Raises `NamespacePurgedError` while a
        fence stands. One script call (TIME, HMGET, HGETALL, HSET, PTTL, PEXPIRE), 1 round trip, O(slots).
        """
        args = to_milliseconds(lifetime, "lifetime"), self._operations.default_ttl_ms
        return bool(int(await once(self._commands, self._operations, scripts.CREATE, (), args, creates=True)))

    async def ttl(self, slot: str) -> float | None:
        """Seconds that a slot has left; None when there is no such slot, inf when another program took its TTL away.

        PTTL, 1 round trip, O(1).
        """
        left = int(await self._read("PTTL", self._key(slot)))
        if left < 0:
            return None if left == -2 else float("inf")
        return left / 1000

    async def set(
        self,
        slot: str,
        value: V,
        *,
        ttl: Duration | None = None,
        keepttl: bool = False,
        nx: bool = False,
        xx: bool = False,
    ) -> bool:
        """Write a string slot. `nx`: only when there is no such slot; `xx`: only when there is one.

        Returns False when nx or xx forbade it, and then the slot stays as it is, its TTL too. One script call
        (TIME, HMGET, TYPE, SET, HSET, PTTL), 1 round trip, O(length). A counter's slot takes the value, but `incr` goes on above
        every id that it has given.
        """
        if nx and xx:
            raise ValueError("nx and xx exclude each other")
        condition = "nx" if nx else "xx" if xx else ""
        return await self._apply(self._operations.set(slot, value, ttl, condition, keepttl=keepttl)) == 1

    async def delete(self, slot: str) -> bool:
        """Remove a slot, whatever it holds; a counter begins anew afterwards. Returns whether it existed.

        One script call (TIME, HMGET, DEL, HSET, HDEL, PTTL), 1 round trip, O(size).
        """
        return await self._apply(self._operations.delete(slot)) == 1

    @overload
    async def hset(
        self, slot: str, field: str, value: V, *, ttl: Duration | None = None, keepttl: bool = False
    ) -> int: ...
    @overload
    async def hset(
        self, slot: str, *, mapping: Mapping[str, V], ttl: Duration | None = None, keepttl: bool = False
    ) -> int: ...
    async def hset(
        self,
        slot: str,
        field: str | None = None,
        value: V | EllipsisType = ...,
        *,
        mapping: Mapping[str, V] | None = None,
        ttl: Duration | None = None,
        keepttl: bool = False,
    ) -> int:
        """Write one field of a hash slot, or all of a mapping. The TTL is the slot's. Returns how many are new.

        One script call (TIME, HMGET, TYPE, HSET, PEXPIRE, HSET, PTTL), 1 round trip, O(fields).
        """
        return await self._apply(self._operations.hset(slot, field, value, mapping, ttl, keepttl=keepttl))

    async def hdel(self, slot: str, *fields: str, ttl: Duration | None = None, keepttl: bool = False) -> int:
        """Remove fields of a hash slot; one without fields is gone. Returns how many were removed.

        When none was, the slot stays as it is, its TTL too. One script call (TIME, HMGET, TYPE, HDEL, PEXPIRE, HSET, PTTL),
        1 round trip, O(fields).
        """
        return await self._apply(self._operations.hdel(slot, fields, ttl, keepttl=keepttl))

    async def hincrby(
        self, slot: str, field: str, amount: int = 1, *, ttl: Duration | None = None, keepttl: bool = False
    ) -> int:
        """Add to the integer in a field, 0 when there is none. Returns the sum.

        A field that holds no integer is a `WrongTypeError`; a sum beyond 64 bits is redis-py's `ResponseError`. One
        script call (TIME, HMGET, TYPE, HGET, HINCRBY, PEXPIRE, HGET, HSET, PTTL), 1 round trip, O(1).
        """
        return await self._apply(self._operations.hincrby(slot, field, amount, ttl, keepttl=keepttl))

    async def incr(self, slot: str, amount: int = 1, *, ttl: Duration | None = None, keepttl: bool = False) -> int:
        """Allocate the next id (or a block of `amount` ids, of which it returns the last); the first is 1.

        No id comes twice while anything in the namespace lives, even when the counter's own key has expired, was
        evicted or deleted by another program: the index remembers it. (Were the index evicted as well, it would begin
        anew, as it does after `delete` and `purge`.) A slot that comes into being by an `incr` with `keepttl` is a window
        instead: it begins with 1 again when its time is over. A slot that holds no integer is a `WrongTypeError`; passing 64
        bits is redis-py's `ResponseError`. Where the store has `min_replicas`, an id that too few have is lost with a
        `ReplicationError`. One script call (TIME, HMGET, TYPE, GET, SET, INCRBY, GET, HSET, PTTL), with WAIT behind it for
        `min_replicas`, 1 round trip, O(1).
        """
        return await self._apply(self._operations.incr(slot, amount, ttl, keepttl=keepttl), self._settings.min_replicas)

    async def batch(self, fn: Callable[[CasOps[V]], Awaitable[R]]) -> R:
        """Write several slots in one step, without looking at any: what a function records, all of it or nothing.

        `fn(ops)`: records writes in `ops`, as a closure of `with_cas` does, and runs once. What it returned is returned;
        what it raises passes through, and nothing is written. Raises `WrongTypeError` for an operation on a slot of the
        other type, after those before it, and `ReplicationError` when fewer than `min_replicas` have it. One script call,
        1 round trip, O(what is written); none where nothing was recorded.
        """
        check_closure(fn, "fn(ops)")
        ops = CasOps(self._operations)
        try:
            result = await fn(ops)
            check_result(result)
        finally:
            end(ops)
        operations = recorded(ops)
        if operations:
            keys, args = commit_args({}, operations)
            call = scripts.COMMIT, keys, (1, 0, -1, *args)
            reply = await once(self._commands, self._operations, *call, min_replicas=self._settings.min_replicas)
            read_answer(reply, self.name, operations)
        return result

    async def with_cas(
        self,
        slot: str | Sequence[str],
        fn: Callable[[AsyncCasSnapshot[V], CasOps[V]], Awaitable[R]],
        *,
        max_retries: int | None = None,
    ) -> R:
        """Run a closure on a snapshot of the watched slots and commit what it records, or run it again.

        `slot`: the slot to watch, or a list or tuple of several. `fn(snap, ops)`: reads from `snap`, records writes in
        `ops`. It may run several times, so what else it does must bear repeating; what it returned at the attempt that
        committed is returned. What it raises passes through, and nothing is written. `max_retries`: attempts after the
        first, instead of the policy's.

        When a watched slot holds something else at the commit than at the beginning, whoever wrote it, expiry too, the
        attempt is lost and there is another one; what was changed and changed back, or has another TTL only, disturbs
        nobody. Calls on one slot take turns (see `CasPolicy`). A commit whose reply is lost is settled: it is never
        applied twice, and returns what it should have returned. A call that is cancelled or struck by a time limit while
        its commit is on its way settles it too, in a second at most for a task, and then raises what struck it.

        Raises `CasContentionError` when every attempt lost, `CommitUnknownError` when a reply was lost and the server
        stays away, `ReplicationError` when it committed but fewer than `min_replicas` have it, `NestedCasError` inside a
        closure of the same namespace, `TypeError` for a closure of the wrong flavour. 2 script calls and round trips, and
        1 more for each lost attempt; a large slot (see `CasSnapshot`) is read when asked for. O(content of the watched
        slots): each is dumped and digested by the server, 10 microseconds for a small hash, some milliseconds for a value
        of 1 MB. Logs `session-store: cas-contention-retry`, `cas-contention-exhausted`, `cas-commit-unknown`.
        """
        return await cas.AsyncCommit(
            self._commands, self._settings, self._operations, slot=slot, fn=fn, max_retries=max_retries
        ).run()
