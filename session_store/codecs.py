"""How values become bytes and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from session_store._core.arguments import kind_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    V = TypeVar("V", default=str)  # the type of values; a bare Namespace is one of str
else:
    from typing import TypeVar

    V = TypeVar("V")


class Codec(Protocol[V]):
    """What `SessionStore(codec=...)` takes: a pair of pure functions, used by many threads at once."""

    def encode(self, value: V, /) -> bytes:
        """The bytes to store. Raises `TypeError` for a value that would not come back equal."""

    def decode(self, data: bytes, /) -> V:
        """The value that was stored. Raises `ValueError` for bytes that `encode` does not write."""


class Place(NamedTuple):
    """Where a value lies: the four names that lead to it. `field` is None in a string slot; '' is a field's name.

    It is the same on a cluster and elsewhere. Its repr shows no name but the prefix: a namespace is often a credential.
    """

    prefix: str
    namespace: str
    slot: str
    field: str | None

    def __repr__(self) -> str:
        return f"Place(prefix={self.prefix!r}, ...)"


class PlacedCodec(Protocol[V]):
    """The other kind that `SessionStore(codec=...)` takes: its bytes depend on where they lie, as `EncryptedCodec`'s do."""

    def at(self, place: Place, /) -> Codec[V]:
        """The codec of one place. Asked for at every value that is written or read, by many threads at once."""


class TextCodec:
    r"""Strings as UTF-8; no other type, and no lone surrogates.

    >>> TextCodec().encode("Grüße")
    b'Gr\xc3\xbc\xc3\x9fe'
    """

    __slots__ = ()

    def encode(self, value: str, /) -> bytes:
        """The UTF-8 bytes of a string. O(length)."""
        if not isinstance(value, str):
            raise TypeError(f"value must be a str, got {kind_of(value)}; JsonCodec takes other types")
        try:
            return value.encode()
        except UnicodeEncodeError:
            pass  # raised anew below: this error carries the value
        raise TypeError("value must be a str without lone surrogates: they have no UTF-8 form")

    def decode(self, data: bytes, /) -> str:
        """The string of UTF-8 bytes. O(length)."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass  # raised anew below: this error carries the value
        raise ValueError("not a UTF-8 text")

    def __repr__(self) -> str:
        return "TextCodec()"


class BytesCodec:
    r"""Bytes as they are; no other type.

    >>> BytesCodec().encode(b"\x00\xff")
    b'\x00\xff'
    """

    __slots__ = ()

    def encode(self, value: bytes, /) -> bytes:
        """The value itself. O(1)."""
        if not isinstance(value, bytes):
            raise TypeError(f"value must be bytes, got {kind_of(value)}")
        return value

    def decode(self, data: bytes, /) -> bytes:
        """The value itself. O(1)."""
        return data

    def __repr__(self) -> str:
        return "BytesCodec()"


_MOST_STEPS = 100  # into a value that is refused
_KINDS: dict[type, str] = {float: "a float that is not finite", str: "a str with lone surrogates"}


def _at(path: str) -> str:
    return f" at value{path}" if path else ""


class JsonCodec:
    """Any JSON value: None, bool, int, float, str, and lists and dicts with string keys of these.

    A value is taken only when it reads back equal: a tuple, a set, NaN or a dict with integer keys is a `TypeError`.
    Its text says where: `at value[key 0][3]` is the fourth item of what the dict's first key has. No key is shown.
    Since JSON has a null, `get` returns None for a slot that holds None as well; `exists` tells.
    Needs msgspec: the extra `session-store[json]`.

    >>> JsonCodec().encode({"sku": "A-1", "qty": 2})
    b'{"sku":"A-1","qty":2}'
    """

    __slots__ = ("_decode", "_encode", "_errors")

    def __init__(self) -> None:
        try:
            import msgspec
        except ImportError as error:
            raise ImportError("JsonCodec needs msgspec: pip install 'session-store[json]'") from error
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder().decode
        self._errors = (msgspec.MsgspecError, ValueError, RecursionError)

    def encode(self, value: Any, /) -> bytes:
        """The JSON text of a value. O(size); it is read back once to compare."""
        try:
            data = self._encode(value)
            if self._decode(data) == value:
                return data
        except (*self._errors, TypeError):
            pass  # raised anew below: these errors may show the value
        raise TypeError(f"value must be a JSON value (that reads back equal), {self._refused(value)}")

    def _reads_back(self, value: Any) -> bool:
        try:
            return bool(self._decode(self._encode(value)) == value)
        except (*self._errors, TypeError):
            return False

    def _refused(self, value: Any) -> str:
        """What is no JSON value, and where: its type, and numbers on the way to it, but no key, which may be a secret."""
        path = ""
        for _ in range(_MOST_STEPS):
            if isinstance(value, dict):
                if not all(isinstance(key, str) and self._reads_back(key) for key in value):
                    return f"got a dict with a key that is not a str of UTF-8{_at(path)}"
                parts, step = list(value.values()), "[key {}]"
            elif isinstance(value, list):
                parts, step = value, "[{}]"
            else:
                return f"got {_KINDS.get(type(value)) or kind_of(value)}{_at(path)}"
            number = next((number for number, part in enumerate(parts) if not self._reads_back(part)), None)
            if number is None:
                break
            path += step.format(number)
            value = parts[number]
        return "got what is nested too deeply, or holds itself"

    def decode(self, data: bytes, /) -> Any:
        """The value of a JSON text. O(size)."""
        try:
            return self._decode(data)
        except self._errors:
            pass  # raised anew below: these errors may show the value
        raise ValueError("not a JSON text")

    def __repr__(self) -> str:
        return "JsonCodec()"
