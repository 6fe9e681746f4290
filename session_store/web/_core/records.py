"""A session as it lies in Redis, and what its scripts answer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from session_store._core.extension import Script, encode_field
from session_store.errors import ReplicationError
from session_store.web._core.tokens import WebToken

SLOT = "session"
OWNER, LABEL = "~owner", "~label"
MOVED = "~moved"  # the mark of the session of another library that it was; see session_store.web.migrating
_FOLDER = files("session_store.web") / "lua"

CREATE = Script("create", "prelude", "once", "lifetime", "session", folder=_FOLDER)
SAVE = Script("save", "prelude", "once", "session", folder=_FOLDER)
ROTATE = Script("rotate", "prelude", "once", "lifetime", "listing", "session", "renewal", folder=_FOLDER)
RENEW = Script("renew", "prelude", "once", "listing", "session", "renewal", folder=_FOLDER)

Standing = Literal["current", "old", "superseded", "ended"]
Changes = Mapping[str, tuple[Any, bytes | None]]  # by field: what it holds, ... for whatever, and what it is to hold


class Record(NamedTuple):
    """The fields of a session, as they are."""

    fields: dict[str, bytes]

    def standing(self, token: WebToken, now_ms: int) -> Standing:
        """What a token is to it, as `standing` of lua/session.lua has it."""
        if token.has(self.fields.get("~secret")):
            return "current"
        if "~secret" not in self.fields:
            return "ended"
        return "old" if token.has(self.fields.get("~old")) and now_ms < (self.ms("grace") or 0) else "superseded"

    @property
    def may_load_old(self) -> bool:
        """Whether a token before the current one loads, or only saves what it had loaded."""
        return self.fields.get("~mode") == b"load"

    def ms(self, name: str) -> int | None:
        """One of its times."""
        value = self.fields.get(f"~{name}")
        return None if value is None else int(value)

    def keys(self) -> dict[str, bytes]:
        """What the application keeps in it."""
        return {name[1:]: value for name, value in self.fields.items() if name.startswith(".")}

    def size(self) -> int:
        return sum(len(name.encode()) + len(value) for name, value in self.fields.items() if name.startswith("."))


class Answer(NamedTuple):
    """What a script answered."""

    outcome: Literal["done", "ended", "superseded", "changed", "listed"]
    now_ms: int = 0  # by the server's clock, when it was done
    held: dict[str, bytes | None] = {}  # noqa: RUF012  # by field, what others have changed; nobody changes it
    slots: list[str] = []  # noqa: RUF012  # those of the namespace; the same
    lacking: ReplicationError | None = None  # it was done, and too few replicas have it


def change_args(changes: Changes) -> list[bytes]:
    """Changes as the scripts take them."""
    args: list[bytes] = []
    for name, (before, after) in changes.items():
        args += (encode_field(name), b"*" if before is ... else _marked(before), _marked(after))
    return args


def _marked(value: bytes | None) -> bytes:
    return b"" if value is None else b"=" + value


def read_answer(reply: Any) -> Answer:
    """The reply of a script."""
    if isinstance(reply, list):
        if reply[0] == b"listed":
            return Answer("listed", slots=[slot.decode() for slot in reply[1:]])
        pairs = zip(reply[1::2], reply[2::2], strict=True)
        return Answer("changed", held={name.decode(): value[1:] if value else None for name, value in pairs})
    if reply in (b"ended", b"superseded"):
        return Answer(reply.decode())
    return Answer("done", int(reply))


def encoded(codec: Any, key: str, value: Any, name: str | None = None) -> bytes:
    """A value as it is stored; where the codec does not take it, the error says which key it is of."""
    try:
        data: bytes = codec.encode(SLOT, value, name or f".{key}")
    except TypeError as error:
        raise TypeError(f"{key!r} of the session: {error}") from None
    return data
