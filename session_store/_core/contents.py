"""A slot's contents as an attempt began with them, and what the read commands answer from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from session_store.errors import WrongTypeError

_ANSWERS: dict[str, Callable[[dict[bytes, bytes], tuple[bytes, ...]], Any]] = {
    "HGET": lambda fields, names: fields.get(names[0]),
    "HMGET": lambda fields, names: [fields.get(name) for name in names],
    "HGETALL": lambda fields, _: fields,
    "HKEYS": lambda fields, _: list(fields),
    "HLEN": lambda fields, _: len(fields),
    "HEXISTS": lambda fields, names: names[0] in fields,
}


class Contents:
    """What one slot held: nothing, a string, a hash, or something that is not ours."""

    __slots__ = ("_data", "_kind")

    def __init__(self, kind: str, data: Any) -> None:
        self._kind = kind
        self._data = data

    @classmethod
    def from_reply(cls, reply: list[Any]) -> Contents | None:
        """A slot in the reply of the begin script; None for one that was too large to send along."""
        kind = reply[0].decode()
        data = reply[1] if len(reply) > 1 else None
        if kind == "hash" and data is not None:
            data = dict(zip(data[::2], data[1::2], strict=True))
        if kind in ("string", "hash") and data is None:
            return None
        return cls(kind, data)

    def answer(self, command: str, key: bytes, args: tuple[bytes, ...]) -> Any:
        """What the server would have replied to a read command then."""
        if command == "EXISTS":
            return self._kind != "none"
        wanted = "string" if command == "GET" else "hash"
        if self._kind not in ("none", wanted):
            raise WrongTypeError(key.decode(), command.lower())
        return self._data if command == "GET" else _ANSWERS[command](self._data or {}, args)
