"""The reads that a namespace and a snapshot share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Generic

from session_store._core.names import encode_field, slot_key
from session_store._core.operations import Operations
from session_store._core.values import decoded
from session_store.codecs import V
from session_store.errors import WrongTypeError


class AsyncReads(ABC, Generic[V]):
    """Reads of one namespace. Each is one Redis command and one round trip, and writes nothing: no TTL moves.

    All raise `InvalidNameError` before anything is sent, `WrongTypeError` for a slot of the other type, `CodecError`
    for what the codec did not write, and redis-py's errors unchanged.
    """

    __slots__ = ()
    _operations: Operations[V]

    @abstractmethod
    async def _read(self, command: str, key: bytes, *args: bytes) -> Any:
        """The reply to one read command."""

    def _key(self, slot: str) -> bytes:
        return slot_key(self._operations.base, slot)

    async def get(self, slot: str) -> V | None:
        """The value of a string slot, None when there is no such slot. GET, O(length)."""
        key = self._key(slot)
        value = await self._read("GET", key)
        return None if value is None else decoded(key, self._operations.values.decode, slot, None, value)

    async def exists(self, slot: str) -> bool:
        """Whether a slot lives, whatever it holds. EXISTS, O(1)."""
        return bool(await self._read("EXISTS", self._key(slot)))

    async def kind(self, slot: str) -> str | None:
        """What a slot holds, "string" or "hash", None when there is no such slot. TYPE, O(1).

        It tells what `load` cannot where values may be dicts. What another program keeps there, of no type of ours, is a
        `WrongTypeError`.
        """
        key = self._key(slot)
        kind = (await self._read("TYPE", key)).decode()
        if kind not in ("none", "string", "hash"):
            raise WrongTypeError(key.decode(), "kind")
        return None if kind == "none" else str(kind)

    async def hget(self, slot: str, field: str) -> V | None:
        """The value of one field of a hash slot, None when there is no such slot or field. HGET, O(1)."""
        key = self._key(slot)
        value = await self._read("HGET", key, encode_field(field))
        return None if value is None else decoded(key, self._operations.values.decode, slot, field, value)

    async def hmget(self, slot: str, fields: Iterable[str]) -> list[V | None]:
        """The values of some fields of a hash slot, in their order. HMGET, O(fields); nothing is sent for none."""
        key = self._key(slot)
        if isinstance(fields, (str, bytes)):
            raise TypeError("fields must be an iterable of field names, not one string")
        names = [encode_field(field) for field in fields]
        values = await self._read("HMGET", key, *names) if names else []
        return decoded(key, self._operations.values.decode_some, slot, names, values)

    async def hgetall(self, slot: str) -> dict[str, V]:
        """All fields of a hash slot and their values, empty when there is no such slot. HGETALL, O(fields)."""
        key = self._key(slot)
        fields: dict[bytes, bytes] = await self._read("HGETALL", key)
        return decoded(key, self._operations.values.decode_all, slot, fields)

    async def hkeys(self, slot: str) -> list[str]:
        """The fields of a hash slot, in no order. HKEYS, O(fields)."""
        key = self._key(slot)
        fields: list[bytes] = await self._read("HKEYS", key)
        return decoded(key, lambda: [field.decode() for field in fields])

    async def hlen(self, slot: str) -> int:
        """How many fields a hash slot has, 0 when there is no such slot. HLEN, O(1)."""
        return int(await self._read("HLEN", self._key(slot)))

    async def hexists(self, slot: str, field: str) -> bool:
        """Whether a hash slot has a field. HEXISTS, O(1)."""
        return bool(await self._read("HEXISTS", self._key(slot), encode_field(field)))
