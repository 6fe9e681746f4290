"""What a layer needs of a namespace beyond its public methods. Nothing else of the primitive's inside is for layers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Generic, TypeVar

from redis.exceptions import ResponseError

from session_store._async._flavour import Waiter, sleep
from session_store._async.commands import AsyncCommands, raise_reply
from session_store._async.directory import AsyncDirectory
from session_store._async.namespace import AsyncNamespace
from session_store._async.once import once
from session_store._async.store import AsyncSessionStore
from session_store._core.arguments import Duration
from session_store._core.audit import Audit
from session_store._core.directories import Entry, Order, Page
from session_store._core.names import slot_key
from session_store._core.scripts import Script, ScriptCall
from session_store._core.values import decoded
from session_store.codecs import BytesCodec, V

__all__ = [
    "AsyncExtension",
    "Script",
    "Waiter",
    "audit_of",
    "client_of",
    "min_replicas_of",
    "of_bytes",
    "page_of",
    "read_each",
    "sleep",
]

T = TypeVar("T")


def of_bytes(store: AsyncSessionStore[Any]) -> AsyncSessionStore[bytes]:
    """The same store for values as they are stored: for a slot in which a layer keeps values beside fields of its own."""
    twin: AsyncSessionStore[bytes] = copy(store)
    twin._settings = replace(store._settings, codec=BytesCodec())  # noqa: SLF001  # this module is the door that layers have
    return twin


def client_of(store: AsyncSessionStore[Any]) -> Any:
    """The client of a store."""
    return store._commands.client  # noqa: SLF001  # as above


def min_replicas_of(store: AsyncSessionStore[Any]) -> int:
    """How many replicas must have what a store acknowledges."""
    return store._settings.min_replicas  # noqa: SLF001  # as above


async def read_each(
    store: AsyncSessionStore[Any], script: Script, namespaces: Sequence[str], slot: str, *args: object
) -> list[Any]:
    """The replies to a script that only reads, one slot of each of many namespaces; `args`: the ARGV of each call.

    1 round trip, on a cluster one to each primary.
    """
    all_operations = [store._settings.operations(name) for name in namespaces]  # noqa: SLF001  # as above
    calls: list[ScriptCall] = [((each.index, slot_key(each.base, slot)), args) for each in all_operations]
    return await store._commands.run_each(script, calls)  # noqa: SLF001  # as above


async def page_of(
    directory: AsyncDirectory,
    value: str,
    look: Callable[[Sequence[str]], Awaitable[Sequence[T | None]]],
    *,
    limit: int,
    cursor: str | None,
    order: Order = "created",
) -> Page[tuple[Entry, T]]:
    """A page of a directory, as its `list` gives one, with what a layer finds under each name.

    `look`: gives that for many names, None for one that has ended. 1 round trip beside those of `look`.
    """
    return await directory._found(value, look, limit=limit, cursor=cursor, order=order)  # noqa: SLF001  # as above


def audit_of(store: AsyncSessionStore[Any]) -> Audit:
    """What writes the events of a store."""
    return store._settings.audit  # noqa: SLF001  # as above


class AsyncExtension(Generic[V]):
    """A namespace as the layers on it see it: scripts of their own under its rules, and values by its codec.

    A slot that a layer keeps is one of the namespace: `touch`, `purge`, fences, `slots` and eviction deal with it as with
    any other, of whatever type it is. `apart`: calls do not travel with those of other tasks, which a large one would
    delay, but on a connection of their own.
    """

    __slots__ = ("_commands", "_operations")

    def __init__(self, namespace: AsyncNamespace[V], *, apart: bool = False) -> None:
        commands = namespace._commands  # noqa: SLF001  # this module is the door that layers have
        self._commands = AsyncCommands(commands.client) if apart else commands
        self._operations = namespace._operations  # noqa: SLF001

    async def once(
        self, script: Script, slots: Sequence[str], *args: object, min_replicas: int = 0, creates: bool = False
    ) -> Any:
        """The reply to a script that writes, applied once however often the client sends it; whatever its form.

        `script`: of parts "prelude" and "once"; its KEYS[2..] are the `slots`, its ARGV[3..] the `args`. `creates`:
        it begins the namespace, by part "lifetime"; a handle with `existing` then does not refuse it. Raises
        `InvalidNameError` for a slot before anything is sent, `NamespacePurgedError` while a fence stands, `WrongTypeError`
        where the first slot holds something else than the script wants, and `ReplicationError`, whose `reply` is the
        script's, where fewer than `min_replicas` have it. 1 round trip.
        """
        keys = self._keys(slots)
        try:
            return await once(
                self._commands,
                self._operations,
                script,
                keys,
                args,
                min_replicas=min_replicas,
                creates=creates,
            )
        except ResponseError as error:
            raise_reply(error, keys[0], script.name)

    async def read(self, script: Script, slots: Sequence[str], *args: object) -> Any:
        """The reply to a script that only reads. Its KEYS[1] is the index, its ARGV the `args`. 1 round trip.

        Raises `WrongTypeError` where the first slot holds something else than the script wants.
        """
        keys = self._keys(slots)
        try:
            return await self._commands.run(script, (self._operations.index, *keys), args)
        except ResponseError as error:
            raise_reply(error, keys[0], script.name)

    async def fence(self) -> bytes:
        """The end of the fence that stands, as scripts take it; b"" for none. HGET of the index, 1 round trip."""
        return await self._commands.read("HGET", self._operations.index, b"~fence") or b""

    async def listed(self) -> list[str]:
        """The slots that the index names, whether they live or not. HKEYS, 1 round trip."""
        fields = await self._commands.read("HKEYS", self._operations.index)
        return [field.decode() for field in fields if not field.startswith(b"~")]

    def _keys(self, slots: Sequence[str]) -> list[bytes]:
        return [slot_key(self._operations.base, slot) for slot in slots]

    def encode(self, slot: str, value: V, field: str | None = None) -> bytes:
        """A value as the store's codec writes it at this place."""
        return self._operations.values.encode(slot, field, value)

    def decode(self, slot: str, data: bytes, field: str | None = None) -> V:
        """A value that was read at this place. Raises `CodecError`."""
        operations = self._operations
        return decoded(lambda: slot_key(operations.base, slot), operations.values.decode, slot, field, data)

    def ttl_ms(self, ttl: Duration | None = None) -> int:
        """A TTL in milliseconds, the namespace's default for None, as scripts take it."""
        return self._operations.ttl_ms(ttl)
