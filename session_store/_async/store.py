"""The per-process object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from itertools import zip_longest
from typing import Any, Generic, overload

from session_store._async._flavour import check_client, ready
from session_store._async.commands import AsyncCommands, scan
from session_store._async.directory import AsyncDirectory
from session_store._async.namespace import AsyncNamespace
from session_store._async.pipelining import PipeliningCommands  # async only
from session_store._core.arguments import Duration, kind_of, to_milliseconds
from session_store._core.audit import Audit
from session_store._core.names import INDEX, KeySpace, listed_keys, slot_key
from session_store._core.operations import load_call
from session_store._core.outcomes import DONE
from session_store._core.policy import CasPolicy
from session_store._core.replies import checked, loaded
from session_store._core.scripts import LOAD, PURGE, ScriptCall
from session_store._core.settings import Settings
from session_store.codecs import Codec, PlacedCodec, TextCodec, V

_BATCH = 500  # namespaces whose slots are looked up together


class AsyncSessionStore(Generic[V]):
    """Session data under one prefix of a Redis database. Make one per process, next to the client; share it freely.

    - `client`: a `redis.asyncio.Redis` (a Sentinel master too), a `redis.asyncio.RedisCluster` or an
      `AsyncInMemoryClient`, with any settings; the store never closes it.
    - `prefix`: ASCII letters, digits and dashes; what every key begins with.
    - `default_ttl`: seconds (int or float) or timedelta; how long a slot lives after a write that names no TTL.
    - `codec`: how values become bytes; `TextCodec` for str, `JsonCodec` for any JSON value, `EncryptedCodec` around
      either, or your own.
    - `logger`: a structlog logger, a `logging.Logger` or a `logging.LoggerAdapter` for the audit events; None is silent.
      One that fails breaks no call.
    - `cas_policy`: how `with_cas` tries again.
    - `hash_tags`: whether the namespace is a cluster's hash tag; None: on exactly for a cluster client, which needs them.
    - `log_name`: what events and reprs show instead of the name of a namespace (itself often a credential) or slot, as
      `fingerprint` does; None shows the name.
    - `min_replicas`: how many replicas must have a commit, an id or a fence before it is acknowledged; where they have
      not within a second (or half of the client's `socket_timeout`, if shorter), it is a `ReplicationError`.
    - `pipelining`: whether the calls of concurrent tasks travel together (async only; see docs/guarantees.md).

    Making one does no I/O. Raises `InvalidNameError`, `TypeError` and `ValueError` for bad arguments.

    >>> from session_store import AsyncInMemoryClient, AsyncSessionStore
    >>> AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=86_400).namespace("user-42")
    AsyncNamespace(prefix='shop', name='user-42')
    """

    __slots__ = ("_commands", "_settings")

    @overload
    def __init__(
        self: AsyncSessionStore[str],
        client: Any,
        *,
        prefix: str,
        default_ttl: Duration,
        logger: Any = None,
        cas_policy: CasPolicy = ...,
        hash_tags: bool | None = None,
        log_name: Callable[[str], str] | None = None,
        min_replicas: int = 0,
        pipelining: bool = True,  # async only
    ) -> None: ...
    @overload
    def __init__(
        self,
        client: Any,
        *,
        prefix: str,
        default_ttl: Duration,
        codec: Codec[V] | PlacedCodec[V],
        logger: Any = None,
        cas_policy: CasPolicy = ...,
        hash_tags: bool | None = None,
        log_name: Callable[[str], str] | None = None,
        min_replicas: int = 0,
        pipelining: bool = True,  # async only
    ) -> None: ...
    def __init__(
        self,
        client: Any,
        *,
        prefix: str,
        default_ttl: Duration,
        codec: Codec[Any] | PlacedCodec[Any] = TextCodec(),
        logger: Any = None,
        cas_policy: CasPolicy = CasPolicy(),
        hash_tags: bool | None = None,
        log_name: Callable[[str], str] | None = None,
        min_replicas: int = 0,
        pipelining: bool = True,  # async only
    ) -> None:
        on_cluster = check_client(client)
        if hash_tags not in (None, False, True):
            raise TypeError(f"hash_tags must be None, True or False, got {kind_of(hash_tags)}")
        if on_cluster and hash_tags is not None and not hash_tags:
            raise ValueError(
                "hash_tags must be None or True for a cluster client: the cluster refuses writes (CROSSSLOT) whose keys, "
                "slot and index, have no hash tag that keeps them together"
            )
        keyspace = KeySpace(prefix, hash_tags=on_cluster if hash_tags is None else bool(hash_tags))
        self._commands = AsyncCommands(client)
        if pipelining:  # async only
            self._commands = PipeliningCommands(client)  # async only
        self._settings: Settings[V] = Settings(
            keyspace=keyspace,
            default_ttl_ms=to_milliseconds(default_ttl, "default_ttl"),
            codec=codec,
            cas_policy=cas_policy,
            audit=Audit(logger, log_name, keyspace),
            min_replicas=min_replicas,
        )

    def __repr__(self) -> str:
        settings = self._settings
        return f"{type(self).__name__}(prefix={settings.keyspace.prefix!r}, default_ttl={settings.default_ttl_ms / 1000:g})"

    @property
    def default_ttl(self) -> float:
        """Seconds that a slot lives after a write that names no TTL."""
        return self._settings.default_ttl_ms / 1000

    def namespace(self, name: str, *, default_ttl: Duration | None = None, existing: bool = False) -> AsyncNamespace[V]:
        """The handle of one session. No I/O. Raises `InvalidNameError`.

        `name`: 1 to 512 bytes of UTF-8 without colons, braces, whitespace and control characters, nor a leading "~".
        `default_ttl`: seconds or timedelta, for writes by this handle that name no TTL; the store's when None.
        `existing`: whether this handle writes only to a namespace that was begun with `create` and lives: all other writes
        are refused with `NamespacePurgedError`, also when no fence stands any more.
        """
        default_ttl_ms = None if default_ttl is None else to_milliseconds(default_ttl, "default_ttl")
        return AsyncNamespace(self._commands, self._settings, name, default_ttl_ms, existing=existing)

    def directory(self, name: str) -> AsyncDirectory:
        """Which namespaces belong to a value, under a name such as "user". No I/O; see `AsyncDirectory`.

        `name`: 1 to 64 ASCII letters, digits, dashes and underscores.
        """
        return AsyncDirectory(self._commands, self._settings, name)

    async def load_many(self, namespaces: Iterable[str], slot: str) -> dict[str, V | dict[str, V]]:
        """Read the same slot of many namespaces, to show a list of sessions, say; each as it is at one moment.

        `namespaces`: their names. Returns what the slot holds in each, a value or a dict of fields, by name; a namespace
        where it does not live is not in it. One script call per namespace (TYPE, and GET or HGETALL), in one pipeline:
        1 round trip, on a cluster one to each primary. O(content), writes nothing.
        """
        if isinstance(namespaces, (str, bytes)):
            raise TypeError("namespaces must be an iterable of names, not one string")
        all_operations = [self._settings.operations(name) for name in dict.fromkeys(namespaces)]
        keys = [slot_key(operations.base, slot) for operations in all_operations]
        calls = [
            load_call(operations.index, [key], every=False)
            for operations, key in zip(all_operations, keys, strict=True)
        ]
        replies = await self._commands.run_each(LOAD, calls)
        found = (loaded(*each) for each in zip(all_operations, ([key] for key in keys), replies, strict=True))
        return {
            operations.namespace: each[slot] for operations, each in zip(all_operations, found, strict=True) if each
        }

    async def purge_many(self, namespaces: Iterable[str], *, fence: Duration | None = None) -> dict[str, int]:
        """Delete all slots of many namespaces: the sessions of a user, say. How many slots lived, by name.

        `namespaces`: their names. `fence`: as `purge` has it. HKEYS of each index, then one script call for each, in two
        pipelines for each 500 namespaces: 2 round trips, on a cluster to each primary; O(slots), no scan. Each namespace
        is purged in one step of its own; after an error some may have been, and it may be called again. A namespace to
        which a slot was added in between is purged by itself, and so are all where a fence has to reach `min_replicas`.
        Logs `session-store: purge` for each.
        """
        if isinstance(namespaces, (str, bytes)):
            raise TypeError("namespaces must be an iterable of names, not one string")
        fence_ms = 0 if fence is None else to_milliseconds(fence, "fence")
        handles = [self.namespace(name) for name in dict.fromkeys(namespaces)]
        counts: dict[str, int] = {}
        for first in range(0, len(handles), _BATCH):
            batch = handles[first : first + _BATCH]
            replies = [] if fence_ms and self._settings.min_replicas else await self._purged(batch, fence_ms)
            for handle, reply in zip_longest(batch, replies):
                if reply is not None and reply[0] == DONE:
                    counts[handle.name] = reply[1]
                    self._settings.audit.namespace_event("session-store: purge", handle.name, reply[1])
                else:
                    counts[handle.name] = await handle.purge(fence=fence)
        return counts

    async def _purged(self, handles: list[AsyncNamespace[V]], fence_ms: int) -> list[Any]:
        all_operations = [self._settings.operations(handle.name) for handle in handles]
        listed = checked(await self._commands.pipelined([("HKEYS", operations.index) for operations in all_operations]))
        calls: list[ScriptCall] = [
            ((operations.index, *listed_keys(operations.base, fields)), ("all", fence_ms))
            for operations, fields in zip(all_operations, listed, strict=True)
        ]
        return await self._commands.run_each(PURGE, calls)

    async def namespaces(self) -> AsyncIterator[str]:
        """Iterate over the names of the namespaces that have a live slot. For administration: it scans the database.

        SCAN in steps of 1,000 keys, on a cluster over every primary; HKEYS and EXISTS in two pipelines for each 500
        namespaces. Guarantees are SCAN's: what lives throughout is named, and may be named twice.
        """
        names: list[str] = []
        await ready(self._commands.client)
        async for key in scan(self._commands.client, self._settings.keyspace.index_pattern()):
            name = self._settings.keyspace.namespace_of_index(key)
            if name is not None:
                names.append(name)
            if len(names) == _BATCH:
                for live in await self._live(names):
                    yield live
                names = []
        for live in await self._live(names):
            yield live

    async def _live(self, names: list[str]) -> list[str]:
        if not names:
            return []
        bases = [self._settings.keyspace.base(name) for name in names]
        # An error stays in place: another program's key may only look like an index.
        replies = await self._commands.pipelined([("HKEYS", base.encode() + INDEX) for base in bases])
        listed = {
            name: listed_keys(base, fields)
            for name, base, fields in zip(names, bases, replies, strict=True)
            if isinstance(fields, list)
        }
        candidates = [name for name, keys in listed.items() if keys]
        counts = checked(await self._commands.pipelined([("EXISTS", *listed[name]) for name in candidates]))
        return [name for name, count in zip(candidates, counts, strict=True) if count]
