"""Values on their way through the store's codec, which may be one for each place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from session_store._core.names import encode_field
from session_store.codecs import Codec, Place, PlacedCodec, TextCodec, V
from session_store.errors import CodecError

T = TypeVar("T")


# What TextCodec does, without the call: what it raises is a ValueError, too, and is not passed on.
_of_utf8: Callable[[bytes], Any] = bytes.decode


class PlainIntegerError(ValueError):
    """A codec has met what `incr` and `hincrby` write, and does not take it for a value."""


class Values(Generic[V]):
    """The values of one namespace, by a codec to which all places are alike."""

    __slots__ = ("_codec", "_decode")

    def __init__(self, codec: Codec[V]) -> None:
        self._codec = codec
        kind: type = type(codec)
        self._decode = _of_utf8 if kind is TextCodec else codec.decode

    def encode(self, slot: str, field: str | None, value: V) -> bytes:
        """The bytes of the value of a string slot (`field` is None) or of one field."""
        return self._codec.encode(value)

    def encode_fields(self, slot: str, fields: Mapping[str, V]) -> tuple[bytes, ...]:
        """The fields of a hash slot and their values, by turns."""
        encode = self._codec.encode
        parts: list[bytes] = []
        for name, value in fields.items():
            parts += (encode_field(name), encode(value))
        return tuple(parts)

    def decode(self, slot: str, field: str | None, data: bytes) -> V:
        """The value of a string slot (`field` is None) or of one field."""
        return self._decode(data)

    def decode_some(self, slot: str, names: Iterable[bytes], values: Sequence[bytes | None]) -> list[V | None]:
        """The values of some fields of a hash slot."""
        decode = self._decode
        return [None if value is None else decode(value) for value in values]

    def decode_all(self, slot: str, fields: Mapping[bytes, bytes]) -> dict[str, V]:
        """All fields of a hash slot, and their values."""
        decode = self._decode
        return {field.decode(): decode(value) for field, value in fields.items()}


class PlacedValues(Values[V]):
    """The values of one namespace, by a codec that depends on the place."""

    __slots__ = ("_namespace", "_placed", "_prefix")

    def __init__(self, placed: PlacedCodec[V], prefix: str, namespace: str) -> None:
        self._placed = placed
        self._prefix = prefix
        self._namespace = namespace

    def _at(self, slot: str, field: str | None) -> Codec[V]:
        return self._placed.at(Place(self._prefix, self._namespace, slot, field))

    def encode(self, slot: str, field: str | None, value: V) -> bytes:
        return self._at(slot, field).encode(value)

    def encode_fields(self, slot: str, fields: Mapping[str, V]) -> tuple[bytes, ...]:
        parts: list[bytes] = []
        for name, value in fields.items():
            parts += (encode_field(name), self._at(slot, name).encode(value))
        return tuple(parts)

    def decode(self, slot: str, field: str | None, data: bytes) -> V:
        return self._at(slot, field).decode(data)

    def decode_some(self, slot: str, names: Iterable[bytes], values: Sequence[bytes | None]) -> list[V | None]:
        return [
            None if value is None else self._at(slot, name.decode()).decode(value)
            for name, value in zip(names, values, strict=True)
        ]

    def decode_all(self, slot: str, fields: Mapping[bytes, bytes]) -> dict[str, V]:
        return {name.decode(): self._at(slot, name.decode()).decode(value) for name, value in fields.items()}


def decoded(key: bytes | Callable[[], bytes], decode: Callable[..., T], *args: Any) -> T:
    """What `decode` makes of what a key held. `key`: the key, or what makes it, for who decodes many values of one."""
    try:
        return decode(*args)
    except ValueError as error:  # raised anew below: this error may carry what was read
        plain_integer = isinstance(error, PlainIntegerError)
    raise CodecError((key() if callable(key) else key).decode(), plain_integer)


def values_of(codec: Codec[V] | PlacedCodec[V], prefix: str, namespace: str) -> Values[V]:
    """The values of a namespace; whether they depend on the place is decided here, once."""
    if hasattr(codec, "at"):
        return PlacedValues(cast("PlacedCodec[V]", codec), prefix, namespace)
    return Values(codec)
