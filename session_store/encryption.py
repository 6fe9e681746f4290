"""Values that cannot be read, changed or moved by who has the Redis database but not the key."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING, Generic, NamedTuple

from session_store._core.arguments import has_methods, kind_of
from session_store._core.values import PlainIntegerError
from session_store.codecs import Codec, Place, V

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_KEY_BYTES, _ID_BYTES, _NONCE_BYTES = 32, 4, 12
_HEADER_BYTES = len(_VERSION) + _ID_BYTES
_SEALED_AT = _HEADER_BYTES + _NONCE_BYTES
_PLAIN_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")  # as Redis writes one; what is encrypted begins with _VERSION


class EncryptedCodec(Generic[V]):
    r"""Another codec's values, encrypted with AES-256-GCM and bound to their place.

    - `inner`: the codec of the values themselves: `TextCodec()`, `JsonCodec()`, or your own.
    - `keys`: a list or tuple of 32 random bytes each. The first one writes, all read. To rotate, put a new key first,
      and drop the old one when all that it wrote has expired.
    - `plain_integers`: whether counters and the fields of `hincrby` can be read, as what `inner` makes of their digits:
      7 with `JsonCodec`, "7" with `TextCodec`.

    A value opens only where it was written: in its prefix, namespace, slot and field. One that was changed, or copied
    from another session or field, or written under a key that is not in `keys`, is a `CodecError`, whose text is the
    same for all these causes. Needs cryptography: the extra `session-store[encryption]`.

    What it does not hide or prevent:

    - Names of namespaces, slots and fields are in clear, and so are the lengths of values (33 bytes are added to each).
    - Counters and the fields of `hincrby` are plain integers, for the server must add to them. Reading them is a
      `CodecError` that says so, of `hgetall` and `load` too, where one is among what they read; other slots and fields
      stay readable by name. `hincrby(slot, field, 0)` gives such a field.
    - With `plain_integers=True`, who can write to Redis can put any 64-bit integer in place of any value: nothing proves
      that `incr` or `hincrby` wrote it. Ask for it only where the code that reads a value can bear to be given an
      integer instead. What is encrypted is never taken for an integer: its first byte is 1, which is no digit.
    - Who can write to Redis can change counters, delete values, and put an older value of the same place back.
    - Nonces are random: change the key before it has written 2**32 values (NIST SP 800-38D, 8.3).

    Writing or reading a value of 100 bytes takes some 3 microseconds, 30 times what `TextCodec` takes, and a thirtieth
    of a round trip on one machine. One instance serves many threads. Its repr shows no key, and it cannot be pickled or
    copied: give a new process its keys as you gave them to this one.

    >>> import os
    >>> from session_store import InMemoryClient, SessionStore, TextCodec
    >>> codec = EncryptedCodec(TextCodec(), keys=[os.urandom(32)])
    >>> client = InMemoryClient()
    >>> ns = SessionStore(client, prefix="shop", default_ttl=60, codec=codec).namespace("user-42")
    >>> ns.set("card", "4242")
    True
    >>> ns.get("card")
    '4242'
    >>> b"4242" in client.get("shop:user-42:card")
    False
    """

    __slots__ = ("_inner", "_ring")

    def __init__(self, inner: Codec[V], *, keys: Sequence[bytes], plain_integers: bool = False) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ImportError("EncryptedCodec needs cryptography: pip install 'session-store[encryption]'") from error
        if isinstance(inner, type) or not has_methods(inner, "encode", "decode"):
            raise TypeError(f"inner must be a codec, an object with encode and decode, got {kind_of(inner)}")
        ciphers = {_header(key): AESGCM(key) for key in _checked(keys)}
        if len(ciphers) < len(keys):
            raise ValueError("keys must differ from each other, and so must their ids: two of these do not")
        self._inner = inner
        self._ring = _Ring(ciphers, next(iter(ciphers)), (InvalidTag, ValueError), plain_integers)

    def at(self, place: Place, /) -> Codec[V]:
        """The codec of one place."""
        return _Sealed(self._inner, self._ring, _written(place))

    def __repr__(self) -> str:
        plain_integers = ", plain_integers=True" if self._ring.plain_integers else ""
        return f"EncryptedCodec({self._inner!r}, keys={len(self._ring.ciphers)}{plain_integers})"

    def __reduce__(self) -> str:
        raise TypeError("an EncryptedCodec cannot be pickled or copied: its keys would go along")


class _Ring(NamedTuple):
    """The keys, ready for use."""

    ciphers: dict[bytes, AESGCM]  # by the header of what each writes
    writing: bytes  # the header of the one that writes
    errors: tuple[type[Exception], ...]  # what reading raises for what is not ours
    plain_integers: bool  # whether they are read


class _Sealed(Generic[V]):
    """The codec of one place. A value is written as version, id of the key, nonce, ciphertext and tag."""

    __slots__ = ("_inner", "_place", "_ring")

    def __init__(self, inner: Codec[V], ring: _Ring, place: bytes) -> None:
        self._inner = inner
        self._ring = ring
        self._place = place

    def encode(self, value: V, /) -> bytes:
        data = self._inner.encode(value)
        ciphers, header = self._ring.ciphers, self._ring.writing
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + ciphers[header].encrypt(nonce, data, header + self._place)

    def decode(self, data: bytes, /) -> V:
        ciphers, _, errors, plain_integers = self._ring
        header, nonce, sealed = data[:_HEADER_BYTES], data[_HEADER_BYTES:_SEALED_AT], data[_SEALED_AT:]
        try:
            if header in ciphers:
                return self._inner.decode(ciphers[header].decrypt(nonce, sealed, header + self._place))
            is_plain = _is_plain_integer(data)
            if is_plain and plain_integers:
                return self._inner.decode(data)
        except errors:
            is_plain = False  # raised anew below: which step failed is nobody's business
        if is_plain:  # to tell so gives nothing away: its digits are in clear for all who can write or see them
            raise PlainIntegerError("a plain integer, as incr and hincrby write it; plain_integers=True reads it")
        raise ValueError("not what this codec writes at this place")


def _checked(keys: Sequence[bytes]) -> Sequence[bytes]:
    """The keys, if they can be ones. No message shows any part of one."""
    if not isinstance(keys, (list, tuple)):
        raise TypeError(f"keys must be a list or tuple of bytes, got {kind_of(keys)}")
    if not keys:
        raise ValueError("keys must hold at least one key")
    for key in keys:
        if not isinstance(key, bytes):
            raise TypeError(f"keys must be bytes, got {kind_of(key)}")
        if len(key) != _KEY_BYTES:
            raise ValueError(f"keys must have {_KEY_BYTES} bytes, got one of {len(key)}")
    return keys


def _is_plain_integer(data: bytes) -> bool:
    """Whether these are the digits of a 64-bit integer, as `incr` and `hincrby` leave them."""
    return _PLAIN_INTEGER.fullmatch(data) is not None and -(2**63) <= int(data) < 2**63


def _header(key: bytes) -> bytes:
    """The version, and which key it was: a digest too short, and too one-way, to tell anything of the key."""
    return _VERSION + blake2s(key, digest_size=_ID_BYTES, person=b"session").digest()


def _written(place: Place) -> bytes:
    """A place as bytes: no two are written alike, since each name follows its length, and '' is not None."""
    names = place[:3] if place.field is None else (*place[:3], place.field)
    return "".join(f"{len(name)}:{name}" for name in names).encode()
