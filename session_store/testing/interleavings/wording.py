"""Commands, replies and contents in short, with names in place of values unless these are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from session_store.testing.interleavings.commands import SCRIPTS, Command, is_script, keys_of
from session_store.testing.interleavings.runs import Step

_LONGEST = 40  # characters of a value that is shown
_COUNTS = frozenset(
    b"EXISTS DEL UNLINK HSET HDEL HLEN HEXISTS EXPIRE PEXPIRE PERSIST LPUSH RPUSH LLEN SADD SREM SCARD SISMEMBER ZADD "
    b"ZREM ZCARD STRLEN APPEND TTL PTTL".split()
)  # whose integer replies are no values
_APPLY_REPLIES = {1: "fenced", 2: "wrong type", 4: "stale token"}


class Wording:
    """Puts things into words. `base` is what the keys of the namespace begin with."""

    def __init__(self, base: bytes = b"", *, show_values: bool = False) -> None:
        self._base = base
        self._show = show_values
        self._names: dict[str, str] = {}

    @property
    def hides(self) -> bool:
        """Whether a name has stood for something so far."""
        return bool(self._names)

    def key(self, key: bytes) -> str:
        """A slot's name, or the whole key of another program."""
        return (
            key[len(self._base) :].decode(errors="replace") if self._base and key.startswith(self._base) else _text(key)
        )

    def value(self, value: Any) -> str:
        """A value as it is, or the name that stands for it; None, True and False are no secrets."""
        if value is None or isinstance(value, bool):
            return str(value)
        return self._named(value, "v")

    def _named(self, value: Any, letter: str) -> str:
        # An integer and its decimal text are the same datum, decoded or not.
        text = _text(value) if isinstance(value, bytes) else str(value)
        if self._show:
            shown = repr(text) if isinstance(value, (bytes, str)) else text
            return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
        number = 1 + sum(name[0] == letter for name in self._names.values())
        return self._names.setdefault(f"{letter}{text}", f"{letter}{number}")

    def contents(self, contents: Mapping[bytes, Any]) -> str:
        """What the slots hold."""
        return ", ".join(f"{self.key(key)}: {self._held(value)}" for key, value in contents.items()) or "nothing"

    def _held(self, value: Any) -> str:
        if isinstance(value, Mapping):
            return (
                "{" + ", ".join(f"{self._named(name, 'f')}: {self.value(each)}" for name, each in value.items()) + "}"
            )
        if isinstance(value, (list, tuple, set)):
            return "[" + ", ".join(self.value(each) for each in value) + "]"
        return self.value(value)

    def result(self, result: tuple[Any, ...]) -> str:
        """What a task has returned or raised."""
        if result[0] == "returned":
            return self._held(result[1])
        shown = ", ".join(repr(each) for each in result[2]) if self._show else ""
        return f"raises {result[1].__name__}" + (f"({shown})" if shown else "")

    def write(self, commands: tuple[Command, ...]) -> str:
        """What was sent in one write."""
        return "; ".join(text for command in commands for text in self._sent(command))

    def _sent(self, command: Command) -> Iterator[str]:
        name = command[0].upper()
        label = SCRIPTS.get(command[1], ("",))[0] if name != b"SCRIPT" and len(command) > 1 else ""
        if label == "apply":
            yield from self._operations(command) or ["look for the commit"]
        elif label == "begin":
            yield "begin"  # it reads what the WATCH before it names
        elif label:
            yield label
        else:
            keys = keys_of(command)
            rest = command[len(keys) + 1 :] if self._show and not is_script(command) and name != b"SCRIPT" else ()
            yield " ".join([_text(name), *map(self.key, keys), *map(self.value, rest)])

    def _operations(self, command: Command) -> list[str]:
        """The operations that a call of the apply script is given; see `lua/apply.lua`."""
        count = int(command[2])
        keys, args = command[3 : 3 + count], command[3 + count :]
        operations, at = [], 2
        while at < len(args):
            verb, key, given = _text(args[at]), keys[int(args[at + 1]) - 1], args[at + 4 : at + 4 + int(args[at + 3])]
            shown = [self.value(each) for each in _arguments(verb, given)] if self._show else []
            operations.append(" ".join([verb, self.key(key), *shown]))
            at += 4 + int(args[at + 3])
        return operations

    def replies(self, step: Step) -> str:
        """What came back."""
        if not step.replies:
            return ""
        last, command = step.replies[-1], step.commands[-1]
        if isinstance(last, Exception):
            return type(last).__name__
        if is_script(command) and command[1] in SCRIPTS:
            return self._scripted(SCRIPTS[command[1]][0], command, last)
        return self._plain(command[0].upper(), last)

    def _plain(self, name: bytes, reply: Any) -> str:
        if name == b"EXEC":
            return self._executed(reply)
        if reply is True or reply in (b"OK", "OK"):
            return "OK"
        if name == b"HGETALL" and isinstance(reply, list):
            return self._held(dict(zip(reply[::2], reply[1::2], strict=True)))
        if isinstance(reply, int) and name in _COUNTS:
            return str(reply)
        return "nil" if reply is None else self._held(reply)

    def _executed(self, replies: Any) -> str:
        if not isinstance(replies, list):
            return "lost"
        refused = [_APPLY_REPLIES.get(reply[0]) for reply in replies if isinstance(reply, list) and reply]
        return next((word for word in refused if word), "committed")

    def _scripted(self, label: str, command: Command, reply: Any) -> str:
        if not isinstance(reply, list) or not reply:
            return self.value(reply)
        if label == "apply":
            adds = b"incr" in command or b"hincrby" in command
            return _APPLY_REPLIES.get(reply[0]) or (self.value(reply[1]) if adds else _text(reply[1]))
        if label == "begin":
            held = [self._begun(each) for each in reply[2:]]
            return "fenced" if reply[0] else "committed before" if reply[1] is not None else ", ".join(held)
        return "list is stale" if reply[0] else str(reply[1])

    def _begun(self, slot: list[Any]) -> str:
        if slot[0] == b"none":
            return "nil"
        if len(slot) == 1:
            return "large"
        return (
            self._held(dict(zip(slot[1][::2], slot[1][1::2], strict=True)))
            if slot[0] == b"hash"
            else self.value(slot[1])
        )


def _arguments(verb: str, given: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What a method was given, out of what the script is."""
    if verb == "set":  # condition, value
        return (given[1], given[0]) if given[0] else given[1:]
    if verb in ("incr", "hincrby"):  # amount, limit, field
        return (*given[2:], given[0])
    return given


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
