"""What a checkpointer needs of a store."""

from __future__ import annotations

from session_store import AsyncSessionStore, CodecError
from session_store._async.extension import AsyncExtension

_BYTES = b"\x00\xff"


def check_store(store: object) -> None:
    """Raises `TypeError` for a store of the other flavour, and for one whose codec does not carry bytes. No I/O."""
    if not isinstance(store, AsyncSessionStore):
        raise TypeError(f"store must be of type {AsyncSessionStore.__name__}, got {type(store).__name__}")
    place = AsyncExtension(store.namespace("langgraph."))
    try:
        carries = place.decode("probe", place.encode("probe", _BYTES)) == _BYTES
    except (TypeError, ValueError, CodecError):
        carries = False
    if not carries:
        raise TypeError(
            "store must have a codec that carries bytes: codec=BytesCodec(), or EncryptedCodec(BytesCodec(), keys=[..])"
        )
