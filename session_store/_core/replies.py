"""What replies mean: those of reads, and those of scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from session_store._core.marks import content_mark
from session_store._core.outcomes import BEGAN, FENCED, WRONG_TYPE, outcome_of
from session_store._core.values import decoded
from session_store.codecs import V
from session_store.errors import NamespacePurgedError, WrongTypeError

if TYPE_CHECKING:
    from session_store._core.operations import Operation, Operations

_ANSWERS: dict[str, Callable[[dict[bytes, bytes], tuple[bytes, ...]], Any]] = {
    "HGET": lambda fields, names: fields.get(names[0]),
    "HMGET": lambda fields, names: [fields.get(name) for name in names],
    "HGETALL": lambda fields, _: fields,
    "HKEYS": lambda fields, _: list(fields),
    "HLEN": lambda fields, _: len(fields),
    "HEXISTS": lambda fields, names: names[0] in fields,
}


def read_reply(command: str, reply: Any) -> Any:
    """The reply to a read command; RESP2 has a list for a hash."""
    if command == "HGETALL" and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    return reply


def checked(replies: list[Any]) -> list[Any]:
    """The replies to several commands that were sent together, unless one is an error, which is raised as it came.

    Pipelines are to be executed with `raise_on_error=False`: else redis-py would put the command, and so its keys, into
    the error's text.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def read_answer(reply: Any, namespace: str, operations: Sequence[Operation]) -> int:
    """The answer in a reply of a script that writes, or the error that it stands for."""
    outcome = outcome_of(reply)
    if outcome is None:
        return int(reply)
    if outcome == FENCED:
        raise NamespacePurgedError(namespace)
    operation = operations[reply[1] - 1]
    raise WrongTypeError(operation.key.decode(), operation.verb)


def loaded(operations: Operations[V], keys: Sequence[bytes], reply: list[Any]) -> dict[str, V | dict[str, V]]:
    """What a reply says that the keys hold, by slot; those that hold nothing are left out."""
    if reply[0] == WRONG_TYPE:
        raise WrongTypeError(keys[reply[1] - 1].decode(), "load")
    skip = len(operations.base.encode())
    contents: dict[str, V | dict[str, V]] = {}
    for key, content in zip(keys, reply[1:], strict=True):
        slot = key[skip:].decode()
        if isinstance(content, list):
            fields = dict(zip(content[::2], content[1::2], strict=True))
            contents[slot] = decoded(key, operations.values.decode_all, slot, fields)
        elif content is not None:
            contents[slot] = decoded(key, operations.values.decode, slot, None, content)
    return contents


def _in_order(content: Any) -> Any:
    return content if isinstance(content, bytes) else sorted(zip(content[::2], content[1::2], strict=True))


class Watched:
    """What one slot was: its kind, its marks, and what it held, unless that was too large to be sent along."""

    __slots__ = ("_content", "_fields", "_kind", "is_changed", "is_large", "known_content_mark", "mark")

    def __init__(self, reply: list[Any]) -> None:
        """`reply`: a slot as lua/view.lua describes it."""
        self._kind = reply[0].decode()
        self.mark: bytes = reply[1]
        self._content = reply[2] if len(reply) > 2 else None
        self._fields: dict[bytes, bytes] | None = None
        self.known_content_mark: bytes = reply[3] if len(reply) > 3 else b""
        self.is_large = self._content is None and self._kind in ("string", "hash")
        self.is_changed = False  # a read of it has found something else

    @property
    def content_mark(self) -> bytes:
        """The mark of what it held, worked out here where that is known; b"" where it is not."""
        if not self.known_content_mark and self._content is not None:
            self.known_content_mark = content_mark(self._kind, self._content)
        return self.known_content_mark

    def holds_the_same(self, now: Watched) -> bool:
        """Whether it holds what it held. Its fields may have come in another order. False where nobody can tell."""
        if self.mark == now.mark:
            return True
        if self._content is None or now._content is None:
            return self.known_content_mark == now.content_mark != b""
        return bool(self._kind == now._kind and _in_order(self._content) == _in_order(now._content))

    def noticed(self, reply: list[Any]) -> Any:
        """Takes note of what lua/read.lua found; what the read command answered."""
        same, mark, answer = reply
        if same:
            self.mark = mark  # the same content in another order: with this mark the next look is cheap
        else:
            self.is_changed = True
        return answer

    def answer(self, command: str, key: bytes, args: tuple[bytes, ...]) -> Any:
        """What the server would have replied to a read command then."""
        if command == "EXISTS":
            return self._kind != "none"
        if command == "TYPE":
            return self._kind.encode()
        wanted = "string" if command == "GET" else "hash"
        if self._kind not in ("none", wanted):
            raise WrongTypeError(key.decode(), command.lower())
        if command == "GET":
            return self._content
        if self._fields is None:
            content = self._content or ()
            self._fields = dict(zip(content[::2], content[1::2], strict=True))
        return _ANSWERS[command](self._fields, args)


def hold_the_same(watched: dict[bytes, Watched], now: list[Any]) -> bool:
    """Whether slots hold what they held, as far as the reply tells that says that the attempt is lost."""
    return now[0] == BEGAN and all(map(Watched.holds_the_same, watched.values(), map(Watched, now[1:])))
