"""Which namespaces belong to somebody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from session_store._async.commands import AsyncCommands
from session_store._core.arguments import Duration, check_count, to_milliseconds
from session_store._core.directories import (
    ADD,
    LEAST_LOOKED_AT,
    PAGE,
    REMOVE,
    Entry,
    Listing,
    Member,
    Order,
    Page,
    check_name,
    refreshed_ms,
    still_dead,
)
from session_store._core.names import slot_key
from session_store._core.replies import checked
from session_store._core.settings import Settings

T = TypeVar("T")


class AsyncDirectory:
    """Which namespaces belong to a value: the sessions of a user, say. Made by `AsyncSessionStore.directory`, without I/O.

    What it names is a hint. Add a namespace before anything is written to it, and remove it after it was purged: then
    none is missing. One that has expired is left out of lists, and forgotten when a list comes across it; one that was
    added less than 60 seconds ago never is, since it may be about to be written. Nothing scans, and all of it expires.

    A member takes some 240 bytes on the server. Values are digested: none is stored, and any str will do.

    >>> import asyncio
    >>> from session_store import AsyncInMemoryClient, AsyncSessionStore
    >>> async def visit() -> list[str]:
    ...     store = AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=3600)
    ...     users = store.directory("user")
    ...     await users.add("u-42", "session-abc")
    ...     await store.namespace("session-abc").set("step", "address")
    ...     return [entry.name for entry in await users.list("u-42", slot="step")]
    >>> asyncio.run(visit())
    ['session-abc']
    """

    __slots__ = ("_commands", "_name", "_settings")

    def __init__(self, commands: AsyncCommands, settings: Settings[Any], name: str) -> None:
        self._commands = commands
        self._settings = settings
        self._name = check_name(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._settings.keyspace.prefix!r}, name={self._name!r})"

    def _listing(self, value: str, order: str = "created") -> Listing:
        return Listing(self._settings.keyspace, self._name, value, order)

    async def add(self, value: str, namespace: str, *, ttl: Duration | None = None) -> bool:
        """Name a namespace, or tell that it is active. Returns whether it is new.

        `ttl`: seconds or timedelta that the namespace lives at least from now on, the store's default when None; the
        directory outlives it by a minute. When it is active is written once in a minute, or in a quarter of the TTL if
        that is shorter. One script call (ZADD, ZSCORE, PTTL, PEXPIRE), 1 round trip, O(log members). It may be sent again.
        """
        self._settings.keyspace.base(namespace)
        listing = self._listing(value)
        ttl_ms = self._settings.default_ttl_ms if ttl is None else to_milliseconds(ttl, "ttl")
        return bool(await self._commands.run(ADD, listing.keys, (namespace.encode(), ttl_ms, refreshed_ms(ttl_ms))))

    async def remove(self, value: str, namespace: str) -> bool:
        """Name it no more. Returns whether it was named. One script call (ZREM), 1 round trip, O(log members)."""
        self._settings.keyspace.base(namespace)
        return bool(await self._commands.run(REMOVE, self._listing(value).keys, (b"", namespace.encode())))

    async def list(
        self, value: str, *, slot: str, limit: int = 50, cursor: str | None = None, order: Order = "created"
    ) -> Page[Entry]:
        """A page of those that live, the latest first.

        `slot`: one that lives exactly as long as a namespace does; who has it not is left out. `cursor`: that of the page
        before; it holds the name of a namespace. `order`: by "created", a pager sees each member that lived throughout
        once, and none that came later; by "active", one that becomes active meanwhile may come twice or not at all.

        Raises `ValueError` for a cursor of another list. A script call (ZREVRANGEBYSCORE, ZSCORE) and a pipeline of EXISTS:
        2 round trips, on a cluster one more to each primary; 2 more for each 64 members that have ended, and 1 to forget
        them. O(members looked at).
        """

        async def lives(names: Sequence[str]) -> list[bool | None]:
            keys = [slot_key(self._settings.keyspace.base(name), slot) for name in names]
            replies = checked(await self._commands.pipelined([("EXISTS", key) for key in keys]))
            return [bool(reply) or None for reply in replies]

        page = await self._found(value, lives, limit=limit, cursor=cursor, order=order)
        return Page(tuple(entry for entry, _ in page), page.cursor)

    async def _found(
        self,
        value: str,
        look: Callable[[Sequence[str]], Awaitable[Sequence[T | None]]],
        *,
        limit: int,
        cursor: str | None,
        order: Order,
    ) -> Page[tuple[Entry, T]]:
        """A page of those of whose names `look` finds something, and what it finds; None is for what has ended."""
        listing, behind = self._listing(value, order), self._listing(value, order).behind(cursor)
        if check_count(limit, "limit") == 0:
            raise ValueError("limit must be at least 1")
        found: list[tuple[Member, T]] = []
        while True:
            most = max(limit + 1 - len(found), LEAST_LOOKED_AT)
            reply = await self._commands.run(PAGE, listing.keys, (most, *behind))
            members = listing.members(reply)
            seen = await look([member.entry.name for member in members]) if members else ()
            ended = [member.name for member, what in zip(members, seen, strict=True) if what is None]
            if ended:
                await self._commands.run(REMOVE, self._listing(value).keys, (still_dead(reply), *ended))
            found += [(member, what) for member, what in zip(members, seen, strict=True) if what is not None]
            if len(found) > limit or len(members) < most:
                break
            behind = (members[-1].time, members[-1].name)
        page = found[:limit]
        return Page(
            tuple((member.entry, what) for member, what in page),
            listing.cursor(page[-1][0]) if len(found) > limit else None,
        )
