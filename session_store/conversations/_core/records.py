"""How a conversation lies in Redis: what scripts take and give, and what that is to an application."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from session_store._core.extension import Script, moment
from session_store.conversations._core.arguments import ROLES, key_bytes
from session_store.conversations._core.bodies import (
    OF_LETTERS,
    Encoder,
    content_of,
    encoded_body,
    from_json,
    new_place,
)
from session_store.conversations._core.values import ConversationInfo, Message, NewMessage, Summary
from session_store.conversations.errors import ConversationNotFoundError, MessageTooLargeError
from session_store.errors import RevisionConflictError

MOST_BYTES = 16 * 2**20  # of a message
_FOLDER = files("session_store.conversations") / "lua"
_LIVES_ON = ("prelude", "once", "conversation", "living")
_CHANGES = (*_LIVES_ON, "changing")
# A script has what it needs, and no more: making functions that are not called takes some of the server's time.
APPEND, CLEAR = (Script(name, *_CHANGES, folder=_FOLDER) for name in ("append", "clear"))
EDIT, REMOVE, REPLACE = (
    Script(name, *_CHANGES, "parts", "going", folder=_FOLDER) for name in ("edit", "remove", "replace")
)
CREATE = Script("create", "prelude", "once", "lifetime", "conversation", "telling", folder=_FOLDER)
UPDATE = Script("update", *_LIVES_ON, "telling", folder=_FOLDER)
SUMMARIZE, TOUCH = (Script(name, *_LIVES_ON, folder=_FOLDER) for name in ("summarize", "touch"))
PAGE = Script("page", "prelude", "conversation", "parts", folder=_FOLDER)
TOLD = Script("told", "prelude", "conversation", "telling", folder=_FOLDER)
FIELDS = ("rev", "ver", "seq", "n", "tok", "ca", "la", "xa", "u", "a", "st", "t", "g", "x", "s", "su")


class Done(NamedTuple):
    """What a change answered. `rest`: what its script says behind the time."""

    revision: int
    at_ms: int
    rest: str


def read_change(answer: bytes, expected: int | None) -> Done:
    """The reply of a change of messages; raises what it says where nothing was done.

    What only one script says comes as `rest`, with the revision 0.
    """
    what, _, rest = answer.decode().partition(":")
    if what == "missing":
        raise ConversationNotFoundError
    if what == "conflict":
        raise RevisionConflictError(expected or 0, int(rest))
    if what != "done":
        return Done(0, 0, answer.decode())
    revision, at_ms, rest = rest.split(":", 2)
    return Done(int(revision), int(at_ms), rest)


def body_of(codec: Encoder, place: str, content: Any, metadata: Any) -> bytes:
    """The body of a message."""
    data = encoded_body(codec, place, content, metadata)
    if len(data) > MOST_BYTES:
        raise MessageTooLargeError(len(data), MOST_BYTES)
    return data


def message_args(codec: Any, messages: Sequence[NewMessage]) -> list[object]:
    """Messages as scripts take them."""
    args: list[object] = []
    for message in messages:
        place = new_place()
        body = body_of(codec, place, message.content, message.metadata)
        args += (ROLES[message.role], message.tokens, place, key_bytes(message.key), body)
    return args


def read_message(codec: Any, seq: int, data: bytes) -> Message:
    """A message as it is stored."""
    created, edited, tokens, role, place, length, rest = data.split(b"|", 6)
    key, body = rest[: int(length)], rest[int(length) :]
    content, metadata = content_of(codec, place.decode(), body)
    return Message(
        seq,
        OF_LETTERS[role.decode()],
        content,
        int(tokens),
        metadata,
        key.decode() or None,
        moment(int(created)),
        moment(int(edited)) if edited else None,
    )


def place_of(data: bytes) -> str:
    """The place of a message's body."""
    return data.split(b"|", 6)[4].decode()


def read_info(codec: Any, conversation_id: str, reply: Sequence[Any]) -> ConversationInfo:
    """What the scripts' `told` gives."""
    now, left, *values = reply
    held = dict(zip(FIELDS, values, strict=True))

    def text(name: str) -> str | None:
        return None if held[name] is None else held[name].decode()

    def value(name: str) -> Any:
        return None if held[name] is None else from_json(codec, name, held[name])

    ends = int(now) + max(left, 0)
    return ConversationInfo(
        id=conversation_id,
        user=text("u"),
        agent=text("a"),
        status=text("st") or "",
        title=value("t"),
        tags=tuple(value("g") or ()),
        metadata=value("x"),
        revision=int(held["rev"]),
        version=int(held["ver"]),
        last_seq=int(held["seq"]),
        count=int(held["n"]),
        tokens=int(held["tok"]),
        summary=Summary(*value("s")) if held["s"] is not None else None,
        created_at=moment(int(held["ca"])),
        last_activity=moment(int(held["la"])),
        expires_at=moment(min(ends, int(held["xa"])) if held["xa"] else ends),
    )
