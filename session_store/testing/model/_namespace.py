"""What one namespace holds, in plain dicts, and what each mutation does to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from session_store.errors import WrongTypeError

INT64 = range(-(2**63), 2**63)
RECORD_AGE = 600  # seconds that the record of a call keeps an index that nothing else asks for


@dataclass
class Slot:
    """A key that holds something."""

    kind: str  # "string", "hash", or "list", which only other programs write
    value: Any
    left: float  # seconds


def integer(text: str) -> int | None:
    """The integer that Redis reads in a text: 64 bits, and no other way to write it."""
    return int(text) if re.fullmatch("0|-?[1-9][0-9]*", text) and int(text) in INT64 else None


class NamespaceModel:
    """What one namespace holds, and what each mutation does to it. Mutations take the TTL in seconds."""

    def __init__(self, base: str) -> None:
        self.base = base  # <prefix>:<namespace>:
        self.slots: dict[str, Slot] = {}  # what lives, whoever wrote it
        self.index: dict[str, int | None] = {}  # what this library wrote and has not deleted: a counter's last value
        self.ends: dict[str, float] = {}  # seconds until the index takes a slot, that is no counter, to be over
        self.index_left = 0.0  # the index lasts for the longest TTL that a call has asked for
        self.asked = 0.0  # by the call under way, for the index
        self.fence_left = 0.0
        self.until_left = 0.0  # of its lifetime; not above 0 where it has none

    def age(self, seconds: float) -> None:
        """A slot without time left is gone; an index without time left is forgotten, counters included."""
        self.index_left -= seconds
        self.fence_left -= seconds
        self.until_left -= seconds
        self.ends = {name: left - seconds for name, left in self.ends.items()}
        for name, slot in list(self.slots.items()):
            slot.left -= seconds
            if slot.left <= 0:
                self.remove(name)
        if self.index_left <= 0:
            self.index.clear()
            self.until_left = 0

    def most(self, ttl: float) -> float:
        """A TTL that does not go beyond the end of the namespace."""
        return min(ttl, self.until_left) if self.until_left > 0 else ttl

    def create(self, lifetime: float, ttl: float) -> bool:
        """Not where it lives already, as far as the index tells: one that has a lifetime, a slot, a counter's last value."""
        lives = self.until_left > 0 or any(last is not None or self.ends[name] > 0 for name, last in self.index.items())
        if not lives:
            self.until_left, self.index_left = lifetime, min(self.index_left, lifetime)
            self.asked = self.most(ttl)
        self.record()
        return not lives

    def content(self, name: str, kind: str, operation: str) -> Any:
        """What a slot holds, None for nothing. A slot of another kind is an error."""
        slot = self.slots.get(name)
        if slot and slot.kind != kind:
            raise WrongTypeError(self.base + name, operation)
        return slot.value if slot else None

    def write(self, name: str, kind: str, value: Any, ttl: float) -> None:
        """Value, TTL and index entry go together."""
        ttl = self.ends[name] = self.most(ttl)
        self.slots[name] = Slot(kind, value, ttl)
        self.index.setdefault(name, None)
        self.asked = max(self.asked, ttl)

    def record(self) -> None:
        """Every call that has an answer is on record, in an index of its own if there is no other."""
        self.index_left = max(self.index_left, self.most(self.asked or RECORD_AGE))
        self.asked = 0.0

    def remove(self, name: str) -> bool:
        """A key that goes, for whatever reason. The index is not told."""
        return self.slots.pop(name, None) is not None

    def set(self, name: str, ttl: float, value: str, condition: str = "") -> bool:
        """Nothing changes when the condition, nx or xx, forbids it. A counter's last value stays in the index."""
        self.content(name, "string", "set")
        if condition == ("nx" if name in self.slots else "xx"):
            return False
        self.write(name, "string", value, ttl)
        return True

    def delete(self, name: str, ttl: float) -> bool:
        """Any kind of slot, and a counter's last value with it."""
        self.index.pop(name, None)
        return self.remove(name)

    def hset(self, name: str, ttl: float, mapping: dict[str, str]) -> int:
        """Counts the fields that are new."""
        fields = self.content(name, "hash", "hset") or {}
        self.write(name, "hash", fields | mapping, ttl)
        return len(mapping.keys() - fields.keys())

    def hdel(self, name: str, ttl: float, *names: str) -> int:
        """Nothing changes when no field was there. A slot without fields is gone; the index knows it if a counter."""
        fields = self.content(name, "hash", "hdel") or {}
        rest = {field: value for field, value in fields.items() if field not in names}
        asked = self.asked
        if len(rest) < len(fields):
            self.write(name, "hash", rest, ttl)
        if fields and not rest:
            self.remove(name)
            if self.index[name] is None:
                del self.index[name]
                self.asked = asked
        return len(fields) - len(rest)

    def hincrby(self, name: str, ttl: float, field: str, amount: int) -> int:
        """A field begins at 0."""
        fields = self.content(name, "hash", "hincrby") or {}
        total = self.added(name, fields.get(field, "0"), amount, "hincrby")
        self.write(name, "hash", {**fields, field: str(total)}, ttl)
        return total

    def incr(self, name: str, ttl: float, amount: int) -> int:
        """Goes on from the slot's value or the last one given, whichever is farther: no id comes twice."""
        value, last = self.content(name, "string", "incr"), self.index.get(name)
        value = str(last or 0) if value is None else value
        stands = integer(value)
        total = self.added(name, value if stands is None else str(max(stands, last or stands)), amount, "incr")
        self.write(name, "string", str(total), ttl)
        self.index[name] = total
        return total

    def added(self, name: str, value: str, amount: int, operation: str) -> int:
        """A sum of 64 bits."""
        number = integer(value)
        if number is None:
            raise WrongTypeError(self.base + name, operation)
        if number + amount not in INT64:
            raise ResponseError
        return number + amount

    def touch(self, ttl: float, *, scan: bool) -> int:
        """Renews what the index names. Counts what lives.

        Slots that are gone leave the index, but for counters. With scan the index first names what others wrote; what
        reads like an id may be one.
        """
        for name, slot in self.slots.items() if scan else ():
            if slot.kind != "list" and not re.match(r"~|.*\s", name):
                number = integer(slot.value) if slot.kind == "string" else None
                self.index.setdefault(name, number if number and number > 0 else None)
        ttl = self.most(ttl)
        live = [name for name in self.index if name in self.slots]
        for name in live:
            self.slots[name].left = self.ends[name] = ttl
        self.index = {name: last for name, last in self.index.items() if name in live or last is not None}
        self.index_left = max(self.index_left, ttl if live else 0)
        return len(live)

    def purge(self, fence: float, *, scan: bool) -> int:
        """Deletes what the index names, with scan also the rest; counts slots. Only the longest fence is left."""
        names = [*self.index, *(self.slots if scan else ())]
        count = sum(self.remove(name) and not name.startswith("~") for name in names)
        self.index.clear()
        self.fence_left = self.index_left = max(self.fence_left, fence, 0)
        self.until_left = 0
        return count

    def live(self) -> list[str]:
        """The live slots that the library wrote."""
        return sorted(name for name in self.index if name in self.slots)
