"""What is kept of messages and of what is told of a conversation, as the store's codec takes it, whichever back end it is for."""

from __future__ import annotations

import os
from binascii import b2a_base64
from typing import Any, Protocol, cast

from session_store.codecs import JsonCodec
from session_store.conversations._core.arguments import ROLES
from session_store.conversations._core.values import Role

SLOT = "conversation"
OF_LETTERS = {letter: cast("Role", role) for role, letter in ROLES.items()}
_json = JsonCodec()


class Encoder(Protocol):
    """The codec of the places of one conversation."""

    def encode(self, slot: str, value: Any, field: str) -> bytes:
        """A value as the codec writes it at this place."""

    def decode(self, slot: str, data: bytes, field: str) -> Any:
        """A value that was read at this place. Raises `CodecError`."""


def new_place() -> str:
    """Where a body belongs, so that an encrypted one cannot be put in place of another: 11 characters."""
    return b2a_base64(os.urandom(8), newline=False)[:11].decode()


def to_json(value: Any, what: str) -> str:
    """A value as text. Raises `TypeError` for one that would not read back equal."""
    try:
        return _json.encode(value).decode()
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


def encoded(codec: Encoder, field: str, value: Any) -> bytes | None:
    """One thing that is told of a conversation, None for nothing."""
    return None if value is None else codec.encode(SLOT, to_json(value, "what is told of a conversation"), field)


def from_json(codec: Encoder, field: str, data: bytes) -> Any:
    """The reverse."""
    return _json.decode(codec.decode(SLOT, data, field).encode())


def encoded_body(codec: Encoder, place: str, content: Any, metadata: Any) -> bytes:
    """The body of a message."""
    parts = [content] if metadata is None else [content, metadata]
    return codec.encode(SLOT, to_json(parts, "content and metadata of a message"), f"m:{place}")


def content_of(codec: Encoder, place: str, body: bytes) -> tuple[Any, Any]:
    """Content and metadata of a message."""
    content, *metadata = from_json(codec, f"m:{place}", body)
    return content, metadata[0] if metadata else None
