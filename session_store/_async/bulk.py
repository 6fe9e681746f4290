"""What concerns all slots of a namespace: each is found by the index, and dealt with in one script call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from session_store._async._flavour import ready
from session_store._async.commands import AsyncCommands, scan
from session_store._async.reads import AsyncReads
from session_store._core.arguments import Duration, to_milliseconds
from session_store._core.names import base_pattern, is_slot, listed_keys
from session_store._core.operations import load_call
from session_store._core.outcomes import DONE, LISTED
from session_store._core.replication import check_replicas
from session_store._core.replies import checked, loaded
from session_store._core.scripts import LOAD, PURGE, TOUCH
from session_store._core.settings import Settings
from session_store.codecs import V
from session_store.errors import CasContentionError

_MOST_LISTINGS = 16  # before giving up on writers that add slots faster than they are listed
_BATCH = 1000  # keys found by a scan that are dealt with together


class AsyncBulk(AsyncReads[V]):
    """The methods of a namespace that deal with all of its slots."""

    __slots__ = ("_commands", "_operations", "_settings")

    def __init__(
        self,
        commands: AsyncCommands,
        settings: Settings[V],
        name: str,
        default_ttl_ms: int | None = None,
        *,
        existing: bool = False,
    ) -> None:
        self._commands = commands
        self._settings = settings
        self._operations = settings.operations(name, default_ttl_ms, existing=existing)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._operations.namespace

    async def _read(self, command: str, key: bytes, *args: bytes) -> Any:
        return await self._commands.read(command, key, *args)

    async def _listed(self) -> list[bytes]:
        """The keys that the index names; some may have expired."""
        return listed_keys(self._operations.base, await self._read("HKEYS", self._operations.index))

    async def slots(self) -> list[str]:
        """The live slots, sorted. HKEYS of the index, then a pipeline of EXISTS: 2 round trips, O(slots)."""
        keys = await self._listed()
        live = checked(await self._commands.pipelined([("EXISTS", key) for key in keys]))
        skip = len(self._operations.base.encode())
        return sorted(key[skip:].decode() for key, lives in zip(keys, live, strict=True) if lives)

    async def load(self, *slots: str) -> dict[str, V | dict[str, V]]:
        """Read several slots as they are at one moment, to render a page from; without names, all of them.

        Returns what each holds, a value or a dict of fields; a slot that does not live is not in it, nor, without names,
        one of another type, which a layer keeps. One script call (TYPE, and GET or HGETALL per slot), 1 round trip, O(content), writes nothing. For all slots HKEYS of the index
        before, 2 round trips, and one more when a writer adds a slot in between; after 16 times it is a
        `CasContentionError`.
        """
        keys = [self._key(slot) for slot in slots] if slots else await self._listed()
        for _ in range(_MOST_LISTINGS):
            if not keys:
                break
            reply = await self._commands.run(LOAD, *load_call(self._operations.index, keys, every=not slots))
            if reply[0] != LISTED:
                return loaded(self._operations, keys, reply)
            keys = listed_keys(self._operations.base, reply[1:])
        else:
            raise CasContentionError(self._operations.index.decode(), _MOST_LISTINGS)
        return {}

    async def touch(self, *slots: str, ttl: Duration | None = None, scan: bool = False) -> int:
        """Renew slots, all of them where none is named: each then expires after `ttl`, the default when None.

        Returns how many of them live. No writer is disturbed. `scan`: first find the slots that the index does not name,
        because it was evicted or another program wrote them, in steps of SCAN over the whole database, and name them
        again; not with `slots`, which are named in any case.

        HKEYS of the index, then one script call (HMGET of the index, PEXPIRE per slot, HSET): 2 round trips, with `slots`
        only the script call; O(slots), no scan unless asked for. Logs `session-store: touch`.
        """
        ttl_ms = self._operations.ttl_ms(ttl)
        if slots and scan:
            raise TypeError("touch takes names of slots or scan=True, and not both")
        if scan:
            async for found in self._found():
                await self._touch([key for key in found if is_slot(self._operations.base, key)], ttl_ms)
        keys = [self._key(slot) for slot in dict.fromkeys(slots)] if slots else await self._listed()
        count = await self._touch(keys, ttl_ms)
        self._settings.audit.namespace_event("session-store: touch", self.name, count)
        return count

    async def _touch(self, keys: list[bytes], ttl_ms: int) -> int:
        return int(await self._commands.run(TOUCH, (self._operations.index, *keys), (ttl_ms,))) if keys else 0

    async def purge(self, *, fence: Duration | None = None, scan: bool = False) -> int:
        """Delete every slot, all in one step. Returns how many lived. Counters begin anew.

        `fence`: seconds or timedelta, how long writes to the namespace are refused with `NamespacePurgedError`, so that
        a request that began before cannot bring the session back; without it, a fence that stands goes on standing.
        `scan`: also delete keys of the namespace that other programs wrote, in steps of SCAN over the whole database.

        HKEYS of the index, then one script call (UNLINK): 2 round trips, O(slots), no scan; one more when another
        writer adds a slot in between. With a fence that is once at most, for the fence stands from then on; without,
        after 16 times, it is a `CasContentionError`. It may be sent again after a lost reply, and then counts what the
        last one found. Where the store has `min_replicas`, a fence that too few have is a `ReplicationError`. Logs
        `session-store: purge`.
        """
        fence_ms = 0 if fence is None else to_milliseconds(fence, "fence")
        min_replicas = self._settings.min_replicas if fence_ms else 0
        count, replicas = await self._purge_listed(fence_ms, min_replicas)
        if scan:
            async for found in self._found():
                count += (await self._commands.run(PURGE, (self._operations.index, *found), ("these", 0)))[1]
        self._settings.audit.namespace_event("session-store: purge", self.name, count)
        if min_replicas:
            check_replicas(replicas, self._operations.index, min_replicas)
        return count

    async def _purge_listed(self, fence_ms: int, min_replicas: int) -> tuple[int, object]:
        """How many lived, and what WAIT said of the replicas."""
        keys = await self._listed()
        replicas = None
        for _ in range(_MOST_LISTINGS):
            call = (PURGE, (self._operations.index, *keys), ("all", fence_ms))
            if min_replicas:
                reply, replicas = await self._commands.run_replicated(*call, (b"~fence", b""), min_replicas)
            else:
                reply = await self._commands.run(*call)
            if reply[0] == DONE:
                return reply[1], replicas
            keys = listed_keys(self._operations.base, reply[1:])
        raise CasContentionError(self._operations.index.decode(), _MOST_LISTINGS)

    async def _found(self) -> AsyncIterator[list[bytes]]:
        """All keys of the namespace but the index, in batches, as a scan of the database finds them."""
        base = self._operations.base.encode()
        found: list[bytes] = []
        await ready(self._commands.client)
        async for key in scan(self._commands.client, base_pattern(self._operations.base)):
            if key.startswith(base) and key != self._operations.index:
                found.append(key)
            if len(found) == _BATCH:
                yield found
                found = []
        if found:
            yield found
