"""Commands, replies and contents in short, with names in place of values unless these are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from session_store._core.names import INDEX
from session_store._core.outcomes import COMMITTED, DONE, FENCED, LISTED, LOCKED, LOST, STALE, WRONG_TYPE
from session_store._core.scripts import BEGIN, COMMIT, LOAD, READ, RELEASE, SINGLE, TOUCH, Script
from session_store.testing.interleavings.commands import Command, is_script, keys_of, operations_of, script_of
from session_store.testing.interleavings.runs import Step

_LONGEST = 40  # characters of a value that is shown
_COUNTS = frozenset(
    b"EXISTS DEL UNLINK HSET HDEL HLEN HEXISTS EXPIRE PEXPIRE PERSIST LPUSH RPUSH LLEN SADD SREM SCARD SISMEMBER ZADD "
    b"ZREM ZCARD STRLEN APPEND TTL PTTL".split()
)  # whose integer replies are no values
_OUTCOMES = {
    FENCED: "fenced",
    WRONG_TYPE: "wrong type",
    STALE: "stale token",
    LOCKED: "locked",
    COMMITTED: "committed before",
}


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
        name, script = command[0].upper(), script_of(command)
        if script is SINGLE:
            yield self._operation(command)
        elif script is COMMIT:
            yield self._commit(command)
        elif script is BEGIN:
            yield " ".join(["begin", *map(self.key, keys_of(command)[1:])])
        elif script is READ:
            yield f"read {_text(_given(command)[1][2])} {self.key(keys_of(command)[1])}"
        elif script is RELEASE:
            yield " ".join(["release", *(_text(name.removeprefix(b"~lock:")) for name in _given(command)[1][2:])])
        elif script is not None and script.effects in ("once", "reads"):
            keys, args = _given(command)
            given = args[2:] if self._show and script.effects == "once" else ()
            yield " ".join([script.name, *map(self.key, keys[1:]), *map(self.value, given)])
        elif script is not None:
            yield script.name
        else:
            keys = keys_of(command)
            rest = command[len(keys) + 1 :] if self._show and not is_script(command) and name != b"SCRIPT" else ()
            yield " ".join([_text(name), *map(self.key, keys), *map(self.value, rest)])

    def _operation(self, command: Command) -> str:
        """What a call of `lua/single.lua` does."""
        keys, args = _given(command)
        return self._described(args[2], keys[1], args[4:])

    def _commit(self, command: Command) -> str:
        """What a call of `lua/commit.lua` does."""
        keys, args = _given(command)
        if args[2] == b"0":
            return "look for the commit"
        shown = [self._described(verb, keys[place], given) for verb, place, given in operations_of(args)]
        return f"commit {'; '.join(shown) or 'nothing'}"

    def _described(self, verb: bytes, key: bytes, given: tuple[bytes, ...]) -> str:
        shown = [self.value(each) for each in _arguments(_text(verb), given)] if self._show else []
        return " ".join([_text(verb), self.key(key), *shown])

    def replies(self, step: Step) -> str:
        """What came back."""
        if not step.replies:
            return ""
        last, command = step.replies[-1], step.commands[-1]
        if isinstance(last, Exception):
            return type(last).__name__
        script = script_of(command)
        if script is not None:
            return self._scripted(script, command, last)
        if command[0].upper() == b"HKEYS" and command[1] == self._base + INDEX and isinstance(last, list):
            last = [
                field for field in last if not field.startswith(b"~")
            ]  # but the names of producers, drawn at random
        return self._plain(command[0].upper(), last)

    def _plain(self, name: bytes, reply: Any) -> str:
        if name == b"EXEC":
            return "committed" if isinstance(reply, list) else "lost"
        if reply is True or reply in (b"OK", "OK"):
            return "OK"
        if name == b"HGETALL" and isinstance(reply, list):
            return self._held(dict(zip(reply[::2], reply[1::2], strict=True)))
        if isinstance(reply, int) and name in _COUNTS:
            return str(reply)
        return "nil" if reply is None else self._held(reply)

    def _scripted(self, script: Script, command: Command, reply: Any) -> str:
        if not isinstance(reply, list):
            return self._answered(script, command, reply)
        outcome = reply[0] if reply else None
        if outcome == LOST:
            began = self._scripted(BEGIN, command, reply[1])  # what the next attempt begins with
            return f"lost, {began}" if reply[1][0] == LOCKED else f"lost, now {began}"
        if outcome in _OUTCOMES:
            return _OUTCOMES[outcome]
        return "list is stale" if outcome == LISTED else self._found(script, command, reply)

    def _found(self, script: Script, command: Command, reply: list[Any]) -> str:
        """What a script has read, or how many slots it has found."""
        if script is BEGIN:
            return ", ".join(self._begun(each) for each in reply[1:])
        if script is READ:
            return self._plain(_given(command)[1][2], reply[2]) + ("" if reply[0] else ", changed")
        if reply and reply[0] == DONE:
            return ", ".join(self._loaded(each) for each in reply[1:]) if script is LOAD else str(reply[1])
        return self._held(reply)

    def _answered(self, script: Script, command: Command, reply: Any) -> str:
        if reply is None:
            return "" if script is RELEASE else "nil"
        if script is COMMIT:
            if _given(command)[1][2] != b"0":
                return "committed"
            return "none" if reply == b"0" else f"attempt {_text(reply)}"
        counts = script in (TOUCH, SINGLE) and not (script is SINGLE and _given(command)[1][2] in (b"incr", b"hincrby"))
        return _count(reply) if counts else self.value(reply)

    def _loaded(self, slot: Any) -> str:
        if isinstance(slot, list):
            slot = dict(zip(slot[::2], slot[1::2], strict=True))
        return "nil" if slot is None else self._held(slot)

    def _begun(self, slot: list[Any]) -> str:
        if slot[0] == b"none":
            return "nil"
        if len(slot) < 3 or slot[2] is None:
            return "large" if slot[0] in (b"string", b"hash") else _text(slot[0])
        return self._loaded(slot[2])


def _given(command: Command) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """KEYS and ARGV of a script's call."""
    keys = keys_of(command)
    return keys, command[3 + len(keys) :]


def _count(reply: int | bytes) -> str:
    """What is no value: how many there were, or which attempt it was."""
    return _text(reply) if isinstance(reply, bytes) else str(reply)


def _arguments(verb: str, given: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What a method was given, out of what the script is."""
    if verb == "set":  # condition, value
        return (given[1], given[0]) if given[0] else given[1:]
    if verb in ("incr", "hincrby"):  # amount, limit, field
        return (*given[2:], given[0])
    return given


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
