"""Mutations as the apply script takes them. Each is checked and encoded here, once, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Generic, NamedTuple

from session_store._core.arguments import Duration, amount_and_limit, to_milliseconds
from session_store._core.names import INDEX, KeySpace, encode_field, slot_key
from session_store._core.replies import Watched
from session_store._core.scripts import ScriptCall
from session_store._core.values import values_of
from session_store.codecs import Codec, PlacedCodec, V


class Operation(NamedTuple):
    """One mutation of one slot. Verbs, TTLs and arguments are those of `single.lua`."""

    verb: str
    key: bytes
    ttl_ms: int
    args: tuple[object, ...]

    def __repr__(self) -> str:
        return f"Operation(verb={self.verb!r}, ...)"  # keys and values are nobody's business


def commit_args(
    watched: Mapping[bytes, Watched], operations: Sequence[Operation], *, by_content: bool = False
) -> tuple[tuple[bytes, ...], tuple[object, ...]]:
    """The slots of a call of `commit.lua`, and its arguments from the count of the watched ones on.

    `by_content`: with all content marks, instead of those that are known already.
    """
    numbers = {key: number for number, key in enumerate(watched, 2)}
    args: list[object] = [len(watched)]
    for slot in watched.values():
        args += (slot.mark, slot.content_mark if by_content else slot.known_content_mark)
    for verb, key, ttl_ms, op_args in operations:
        args += (verb, numbers.setdefault(key, len(numbers) + 2), ttl_ms, len(op_args), *op_args)
    return tuple(numbers), tuple(args)


def load_call(index: bytes, keys: Sequence[bytes], *, every: bool) -> ScriptCall:
    """A call of `load.lua`. `every`: the keys are all that the index names."""
    return (index, *keys), ("all" if every else "these",)


class Operations(Generic[V]):
    """Makes the operations of one namespace; checks its name.

    `base` is what all its keys begin with, `index` the key of its index, `values` its way through the codec, `existing`
    whether what writes is for a namespace that was created and lives.
    """

    __slots__ = ("base", "default_ttl_ms", "existing", "index", "namespace", "values")

    def __init__(
        self,
        keyspace: KeySpace,
        namespace: str,
        codec: Codec[V] | PlacedCodec[V],
        default_ttl_ms: int,
        *,
        existing: bool = False,
    ) -> None:
        self.namespace = namespace
        self.base = keyspace.base(namespace)
        self.index = self.base.encode() + INDEX
        self.values = values_of(codec, keyspace.prefix, namespace)
        self.default_ttl_ms = default_ttl_ms
        self.existing = existing

    def ttl_ms(self, ttl: Duration | None, *, keepttl: bool = False) -> int:
        """The TTL to set: the one given, or the store's default. With `keepttl` negative: that of a new slot."""
        milliseconds = self.default_ttl_ms if ttl is None else to_milliseconds(ttl, "ttl")
        return -milliseconds if keepttl else milliseconds

    def set(
        self, slot: str, value: V, ttl: Duration | None, condition: str = "", *, keepttl: bool = False
    ) -> Operation:
        ttl_ms = self.ttl_ms(ttl, keepttl=keepttl)
        return Operation("set", slot_key(self.base, slot), ttl_ms, (condition, self.values.encode(slot, None, value)))

    def delete(self, slot: str) -> Operation:
        return Operation("delete", slot_key(self.base, slot), self.default_ttl_ms, ())

    def hset(
        self,
        slot: str,
        field: str | None,
        value: V | EllipsisType,
        mapping: Mapping[str, V] | None,
        ttl: Duration | None,
        *,
        keepttl: bool = False,
    ) -> Operation:
        """Either a field and its value, or a mapping. Ellipsis is no value: None may be one, the codec decides."""
        if field is not None and value is not ... and mapping is None:
            mapping = {field: value}
        elif field is not None or value is not ... or mapping is None:
            raise TypeError("hset takes a field and a value, or mapping=, and not both")
        if not mapping:
            raise ValueError("mapping must hold at least one field")
        ttl_ms = self.ttl_ms(ttl, keepttl=keepttl)
        return Operation("hset", slot_key(self.base, slot), ttl_ms, self.values.encode_fields(slot, mapping))

    def hdel(
        self, slot: str, fields: tuple[str, ...], ttl: Duration | None = None, *, keepttl: bool = False
    ) -> Operation:
        if not fields:
            raise ValueError("hdel needs at least one field")
        ttl_ms = self.ttl_ms(ttl, keepttl=keepttl)
        return Operation("hdel", slot_key(self.base, slot), ttl_ms, tuple(encode_field(field) for field in fields))

    def hincrby(
        self, slot: str, field: str, amount: int, ttl: Duration | None = None, *, keepttl: bool = False
    ) -> Operation:
        args = (*amount_and_limit(amount), encode_field(field))
        return Operation("hincrby", slot_key(self.base, slot), self.ttl_ms(ttl, keepttl=keepttl), args)

    def incr(self, slot: str, amount: int, ttl: Duration | None = None, *, keepttl: bool = False) -> Operation:
        """The amount is at least 1: a counter that stands still or goes back would repeat an id."""
        args = amount_and_limit(amount, least=1)
        return Operation("incr", slot_key(self.base, slot), self.ttl_ms(ttl, keepttl=keepttl), args)
