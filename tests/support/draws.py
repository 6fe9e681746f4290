"""Calls of a namespace, drawn from a seed: few slots and fields, and values that tell whose they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from support.histories import Call
from support.spaces import Interruption, Program, Refusal

TEXTS = ("a", "b")  # strings, which closures also move between them
HASH, COUNTER = "h", "n"
IDS, TOTAL = "ids", "total"  # only `incr` writes the one, and only closures that add one write the other
SLOTS = (*TEXTS, HASH, COUNTER, IDS, TOTAL)
FIELDS, SUM = ("f", "g"), "sum"  # fields of the hash: texts, and an integer
TTLS = (300, 600, 900)  # seconds; a history lasts for less than one
ADD_ONE = "add one"


def add_one() -> Program:
    def decide(seen: list[Any], ops: Any) -> int:
        ops.set(TOTAL, str(int(seen[0] or 0) + 1))
        return int(seen[0] or 0) + 1

    return Program(ADD_ONE, (TOTAL,), (("get", TOTAL),), decide)


def move(source: str, target: str) -> Program:
    def decide(seen: list[Any], ops: Any) -> Any:
        if seen[0] is not None:
            ops.delete(source)
            ops.set(target, seen[0])
        return seen[0]

    return Program(f"move {source} to {target}", (source, target), (("get", source),), decide)


def rewrite(value: str) -> Program:
    def decide(seen: list[Any], ops: Any) -> Any:
        ops.hset(HASH, mapping={"f": f"{HASH}.{value}"})
        ops.hdel(HASH, "g")
        return seen

    return Program(f"write f, delete g: {value}", (HASH,), (("hgetall", HASH),), decide)


def write_both(value: str) -> Program:
    def decide(seen: list[Any], ops: Any) -> Any:
        ops.set("a", f"a.{value}")
        ops.hset(HASH, "g", f"{HASH}.{value}")
        return seen

    return Program(f"write a and h: {value}", ("a", HASH), (("get", "a"), ("hgetall", HASH)), decide)


def refuse(value: str, error: type[BaseException]) -> Program:
    def decide(seen: list[Any], ops: Any) -> Any:
        ops.set("a", f"a.{value}")
        raise error(seen[0])

    return Program(f"write a, then raise {error.__name__}", ("a",), (("get", "a"),), decide)


def look() -> Program:
    return Program("look at a and b", TEXTS, (("get", "a"), ("get", "b")), lambda seen, ops: seen)


def replace(value: str) -> Program:
    def decide(seen: list[Any], ops: Any) -> Any:
        ops.delete("a")
        ops.set("b", f"b.{value}")
        return seen[0]

    return Program(f"delete a, write b: {value}", ("a",), (("get", "a"),), decide, others=("b",))


class Draws:
    """Calls, one by one. `purges`: whether purges are among them."""

    def __init__(self, seed: object, *, purges: bool) -> None:
        self._chance = random.Random(f"{seed}")
        self._numbers = 0
        self._makers: list[Callable[[], Call]] = []
        weights = {self._read: 16, self._write: 30, self._count: 14, self._commit: 30, self._all: 8, self._mistake: 2}
        for maker, weight in (weights | {self._purge: 10 if purges else 0}).items():
            self._makers += [maker] * weight

    def call(self) -> Call:
        self._numbers += 1
        call = self._chance.choice(self._makers)()
        call.number, call.sent = self._numbers, 0
        return call

    def _text(self) -> str:
        return self._chance.choice(TEXTS)

    def _field(self) -> str:
        return self._chance.choice(FIELDS)

    def _ttl(self) -> dict[str, float]:
        return {"ttl": self._chance.choice(TTLS)} if self._chance.random() < 0.3 else {}

    def _read(self) -> Call:
        slot = self._chance.choice(SLOTS)
        return self._chance.choice(
            [
                Call(0, "get", (self._text(),)),
                Call(0, "exists", (slot,)),
                Call(0, "ttl", (slot,)),
                Call(0, "hget", (HASH, self._field())),
                Call(0, "hmget", (HASH, [*FIELDS, SUM])),
                Call(0, "hgetall", (HASH,)),
                Call(0, "hkeys", (HASH,)),
                Call(0, "hlen", (HASH,)),
                Call(0, "hexists", (HASH, self._field())),
            ]
        )

    def _write(self) -> Call:
        text, field = self._text(), self._field()
        value, of_hash = f"{text}.{self._numbers}", f"{HASH}.{self._numbers}"
        return self._chance.choice(
            [
                Call(0, "set", (text, value), self._ttl()),
                Call(0, "set", (text, value), {"nx": True}),
                Call(0, "set", (text, value), {"xx": True}),
                Call(0, "delete", (self._chance.choice((*TEXTS, HASH, COUNTER)),)),
                Call(0, "hset", (HASH, field, of_hash), self._ttl()),
                Call(0, "hset", (HASH,), {"mapping": dict.fromkeys(FIELDS, of_hash), **self._ttl()}),
                Call(0, "hdel", (HASH, field)),
                Call(0, "hdel", (HASH, *FIELDS, SUM)),
                Call(0, "hincrby", (HASH, SUM, self._chance.choice((1, 5, -2)))),
            ]
        )

    def _count(self) -> Call:
        if self._chance.random() < 0.5:
            return Call(0, "incr", (IDS,))
        return Call(0, "incr", (COUNTER, self._chance.choice((1, 1, 10))))

    def _commit(self) -> Call:
        value, texts = str(self._numbers), self._chance.sample(TEXTS, 2)
        refusal = refuse(value, self._chance.choice((Refusal, Interruption)))
        program = self._chance.choice(
            [add_one(), add_one(), move(*texts), rewrite(value), write_both(value), replace(value), refusal, look()]
        )
        return Call(0, "with_cas", program=program)

    def _all(self) -> Call:
        touches = [Call(0, "touch", (), {**self._ttl(), **scan}) for scan in ({}, {"scan": True})]
        return self._chance.choice([*touches, Call(0, "slots"), Call(0, "namespaces")])

    def _mistake(self) -> Call:
        """A slot of the other kind; where there is no slot, it becomes one of that kind."""
        number = self._numbers
        return self._chance.choice(
            [
                Call(0, "get", (HASH,)),
                Call(0, "hget", ("a", "f")),
                Call(0, "hlen", (COUNTER,)),
                Call(0, "set", (HASH, f"{HASH}.{number}")),
                Call(0, "hset", ("b", "f", f"b.{number}")),
                Call(0, "incr", ("a",)),
                Call(0, "hincrby", (HASH, "f", 1)),
            ]
        )

    def _purge(self) -> Call:
        fence = {"fence": TTLS[0]} if self._chance.random() < 0.15 else {}
        return Call(0, "purge", (), {**fence, **({"scan": True} if self._chance.random() < 0.2 else {})})


def belongs(call: Call) -> bool:
    """Whether a result can be the answer to this call, by its kind and by the slots that its values name."""
    result, kinds = call.result, _KINDS.get(call.method, (object,))
    if not isinstance(result, kinds) or (call.method in _FLAGS) != isinstance(result, bool):
        return call.method == "with_cas"
    homes = {call.args[0], *(TEXTS if call.args[0] in TEXTS else ())} if call.args else set()
    return not homes or all(text.partition(".")[0] in homes for text in _texts(result) if "." in text)


_FLAGS = frozenset({"exists", "ttl", "hexists", "set", "delete", "namespaces"})
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_FLAGS, (bool,)),
    **dict.fromkeys(("get", "hget"), (str, type(None))),
    **dict.fromkeys(("hmget", "hgetall", "hkeys", "slots"), (tuple,)),
    **dict.fromkeys(("hlen", "hset", "hdel", "hincrby", "incr", "touch", "purge"), (int,)),
}


def _texts(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
