"""What comes from frameworks, as names and messages take it: any strings, and whatever Python's json takes."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import blake2s
from typing import Any

from session_store import JsonCodec


def digest(*parts: str) -> str:
    """A name for any strings. As JSON, they are told apart wherever they are cut, and have a form in ASCII."""
    return blake2s(json.dumps(parts).encode()).hexdigest()


def kept(value: dict[str, Any] | list[Any]) -> Any:
    """A value as a conversation takes it: itself, or else as text. Half of a surrogate pair is taken so, or NaN."""
    with suppress(TypeError):
        JsonCodec().encode(value)
        return value
    return json.dumps(value)


def read(held: Any) -> Any:
    """The reverse."""
    return json.loads(held) if isinstance(held, str) else held
