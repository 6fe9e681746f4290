"""What a closure wants written, and what the server's answers to writes mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any, Generic, overload

from session_store._core.arguments import Duration, kind_of
from session_store._core.names import slot_key
from session_store._core.operations import Operation, Operations
from session_store.codecs import V
from session_store.errors import InvalidNameError


class ClosureScoped:
    """Raises once the closure has ended; what `snap` and `ops` have in common."""

    __slots__ = ("_ended",)

    def __init__(self) -> None:
        self._ended = False

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError("snap and ops end with the closure that they were given to")


class CasOps(ClosureScoped, Generic[V]):
    """What a closure wants written: recorded here, in order, and committed all together when the closure returns.

    Arguments are checked at once. `snap` does not show what is recorded. An operation of a later attempt replaces
    nothing: every attempt begins with an empty list. There is no `incr`: take an id with `Namespace.incr` before.
    """

    __slots__ = ("_operations", "_recorded")

    def __init__(self, operations: Operations[V]) -> None:
        super().__init__()
        self._operations = operations
        self._recorded: list[Operation] = []

    def _record(self, operation: Operation) -> None:
        self._check_open()
        self._recorded.append(operation)

    def set(self, slot: str, value: V, *, ttl: Duration | None = None, keepttl: bool = False) -> None:
        """Write a string slot. `ttl`: seconds or timedelta, the store's default when None.

        `keepttl`, here and below: a slot that lives keeps the TTL that it has; `ttl` is that of a new one.
        """
        self._record(self._operations.set(slot, value, ttl, keepttl=keepttl))

    def delete(self, slot: str) -> None:
        """Remove a slot, whatever it holds."""
        self._record(self._operations.delete(slot))

    @overload
    def hset(self, slot: str, field: str, value: V, *, ttl: Duration | None = None, keepttl: bool = False) -> None: ...
    @overload
    def hset(
        self, slot: str, *, mapping: Mapping[str, V], ttl: Duration | None = None, keepttl: bool = False
    ) -> None: ...
    def hset(
        self,
        slot: str,
        field: str | None = None,
        value: V | EllipsisType = ...,
        *,
        mapping: Mapping[str, V] | None = None,
        ttl: Duration | None = None,
        keepttl: bool = False,
    ) -> None:
        """Write one field of a hash slot, or those of a mapping. `ttl` is the whole slot's."""
        self._record(self._operations.hset(slot, field, value, mapping, ttl, keepttl=keepttl))

    def hdel(self, slot: str, *fields: str, ttl: Duration | None = None, keepttl: bool = False) -> None:
        """Remove fields of a hash slot. `ttl` is the whole slot's; a slot without fields is gone."""
        self._record(self._operations.hdel(slot, fields, ttl, keepttl=keepttl))


def end(*given: ClosureScoped) -> None:
    """Ends what a closure was given."""
    for each in given:
        each._ended = True  # noqa: SLF001  # closures see no method for it


def recorded(ops: CasOps[Any]) -> list[Operation]:
    """What a closure has recorded."""
    return ops._recorded  # noqa: SLF001  # closures see no method for it


def watched_keys(base: str, slot: str | Sequence[str]) -> tuple[bytes, ...]:
    """The keys of the slots to watch, at least one."""
    if isinstance(slot, str):
        return (slot_key(base, slot),)
    if not isinstance(slot, (list, tuple)) or not slot:
        found = f"an empty {kind_of(slot)}" if isinstance(slot, (list, tuple)) else kind_of(slot)
        raise InvalidNameError("slot", slot, "must be a str, or a list or tuple of at least one", found)
    return tuple(dict.fromkeys([slot_key(base, name) for name in slot]))
