"""A commit's decisions: what was recorded, which attempt it is, and what the server's answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any, Generic, overload

from session_store._core.arguments import kind_of
from session_store._core.contents import Contents
from session_store._core.numbers import Duration
from session_store._core.operations import Operation, Operations
from session_store.codecs import V
from session_store.errors import InvalidNameError, NamespacePurgedError, WrongTypeError

MOST_BYTES = 65_536  # of a watched slot, to be sent along when an attempt begins


class Ended:
    """Raises once the closure has ended; what `snap` and `ops` have in common."""

    __slots__ = ("_ended",)

    def __init__(self) -> None:
        self._ended = False

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError("snap and ops end with the closure that they were given to")

    def _end(self) -> None:
        self._ended = True


class CasOps(Ended, Generic[V]):
    """What a closure wants written: recorded here, in order, and committed all together when the closure returns.

    Arguments are checked at once. `snap` does not show what is recorded. An operation of a later attempt replaces
    nothing: every attempt begins with an empty list. There is no `incr`: take an id with `Namespace.incr` before.
    """

    __slots__ = ("_make", "_operations")

    def __init__(self, make: Operations[V]) -> None:
        super().__init__()
        self._make = make
        self._operations: list[Operation] = []

    def _record(self, operation: Operation) -> None:
        self._check_open()
        self._operations.append(operation)

    def set(self, slot: str, value: V, *, ttl: Duration | None = None) -> None:
        """Write a string slot. `ttl`: seconds or timedelta, the store's default when None."""
        self._record(self._make.set(slot, value, ttl))

    def delete(self, slot: str) -> None:
        """Remove a slot, whatever it holds."""
        self._record(self._make.delete(slot))

    @overload
    def hset(self, slot: str, field: str, value: V, *, ttl: Duration | None = None) -> None: ...
    @overload
    def hset(self, slot: str, *, mapping: Mapping[str, V], ttl: Duration | None = None) -> None: ...
    def hset(
        self,
        slot: str,
        field: str | None = None,
        value: V | EllipsisType = ...,
        *,
        mapping: Mapping[str, V] | None = None,
        ttl: Duration | None = None,
    ) -> None:
        """Write one field of a hash slot, or those of a mapping. `ttl` is the whole slot's."""
        self._record(self._make.hset(slot, field, value, mapping, ttl))

    def hdel(self, slot: str, *fields: str, ttl: Duration | None = None) -> None:
        """Remove fields of a hash slot. `ttl` is the whole slot's; a slot without fields is gone."""
        self._record(self._make.hdel(slot, fields, ttl))


class Beginning:
    """What an attempt begins with, from the reply of the begin script."""

    __slots__ = ("committed", "contents", "fenced")

    def __init__(self, reply: list[Any], keys: Sequence[bytes]) -> None:
        self.fenced = bool(reply[0])
        self.committed = None if reply[1] is None else int(reply[1])
        self.contents: dict[bytes, Contents | None] | None = None  # it is the turn of another
        if len(reply) > 2:
            self.contents = dict(zip(keys, map(Contents.from_reply, reply[2:]), strict=True))


def end(*given: Ended) -> None:
    """Ends what a closure was given."""
    for each in given:
        each._end()  # noqa: SLF001  # closures see no method for it


def recorded(ops: CasOps[Any]) -> list[Operation]:
    """What a closure has recorded."""
    return ops._operations  # noqa: SLF001  # closures see no method for it


def is_stale(reply: Any) -> bool:
    """Whether a script refused the token: another process is the same writer."""
    return isinstance(reply, list) and reply[0] == 4


def read_answer(reply: Any, namespace: str, operations: Sequence[Operation]) -> int:
    """The answer in any other reply of a script that writes, or the error that it stands for."""
    if not isinstance(reply, list):
        return int(reply)
    if reply[0] == 1:
        raise NamespacePurgedError(namespace)
    operation = operations[reply[1] - 1]
    raise WrongTypeError(operation.key.decode(), operation.verb)


def watched_slots(slot: str | Sequence[str]) -> tuple[str, ...]:
    """The slots to watch, at least one."""
    if isinstance(slot, str):
        return (slot,)
    if not isinstance(slot, (list, tuple)) or not slot:
        found = f"an empty {kind_of(slot)}" if isinstance(slot, (list, tuple)) else kind_of(slot)
        raise InvalidNameError("slot", slot, "must be a str, or a list or tuple of at least one", found)
    return tuple(slot)
