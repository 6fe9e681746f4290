"""Values that cannot be read, changed or moved by who has the Redis database but not the key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING, Generic, NamedTuple

from session_store._core.arguments import has_methods, kind_of
from session_store.codecs import Codec, Place, V

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_KEY_BYTES, _ID_BYTES, _NONCE_BYTES = 32, 4, 12
_HEADER_BYTES = len(_VERSION) + _ID_BYTES
_SEALED_AT = _HEADER_BYTES + _NONCE_BYTES


class EncryptedCodec(Generic[V]):
    r"""Another codec's values, encrypted with AES-256-GCM and bound to their place.

    - `inner`: the codec of the values themselves: `TextCodec()`, `JsonCodec()`, or your own.
    - `keys`: a list or tuple of 32 random bytes each. The first one writes, all read. To rotate, put a new key first,
      and drop the old one when all that it wrote has expired.

    A value opens only where it was written: in its prefix, namespace, slot and field. One that was changed, or copied
    from another session or field, or written under a key that is not in `keys`, is a `CodecError`, whose text is the
    same for all causes. Needs cryptography: the extra `session-store[encryption]`.

    What it does not hide or prevent:

    - Names of namespaces, slots and fields are in clear, and so are the lengths of values (33 bytes are added to each).
    - Counters and the fields of `hincrby` are plain integers, for the server must add to them. Reading them as values
      is a `CodecError`; `hincrby(slot, field, 0)` gives such a field.
    - Who can write to Redis can delete values, and put an older value of the same place back.
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

    def __init__(self, inner: Codec[V], *, keys: Sequence[bytes]) -> None:
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
        self._ring = _Ring(ciphers, next(iter(ciphers)), (InvalidTag, ValueError))

    def at(self, place: Place, /) -> Codec[V]:
        """The codec of one place."""
        return _Sealed(self._inner, self._ring, _written(place))

    def __repr__(self) -> str:
        return f"EncryptedCodec({self._inner!r}, keys={len(self._ring.ciphers)})"

    def __reduce__(self) -> str:
        raise TypeError("an EncryptedCodec cannot be pickled or copied: its keys would go along")


class _Ring(NamedTuple):
    """The keys, ready for use."""

    ciphers: dict[bytes, AESGCM]  # by the header of what each writes
    writing: bytes  # the header of the one that writes
    errors: tuple[type[Exception], ...]  # what reading raises for what is not ours


class _Sealed(Generic[V]):
    """The codec of one place. A value is written as version, id of the key, nonce, ciphertext and tag."""

    __slots__ = ("_inner", "_place", "_ring")

    def __init__(self, inner: Codec[V], ring: _Ring, place: bytes) -> None:
        self._inner = inner
        self._ring = ring
        self._place = place

    def encode(self, value: V, /) -> bytes:
        data = self._inner.encode(value)
        ciphers, header, _ = self._ring
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + ciphers[header].encrypt(nonce, data, header + self._place)

    def decode(self, data: bytes, /) -> V:
        ciphers, _, errors = self._ring
        header, nonce, sealed = data[:_HEADER_BYTES], data[_HEADER_BYTES:_SEALED_AT], data[_SEALED_AT:]
        if header in ciphers:
            try:
                return self._inner.decode(ciphers[header].decrypt(nonce, sealed, header + self._place))
            except errors:
                pass  # raised anew below: which step failed is nobody's business
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


def _header(key: bytes) -> bytes:
    """The version, and which key it was: a digest too short, and too one-way, to tell anything of the key."""
    return _VERSION + blake2s(key, digest_size=_ID_BYTES, person=b"session").digest()


def _written(place: Place) -> bytes:
    """A place as bytes: no two are written alike, since each name follows its length, and '' is not None."""
    names = place[:3] if place.field is None else (*place[:3], place.field)
    return "".join(f"{len(name)}:{name}" for name in names).encode()
