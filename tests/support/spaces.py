"""What one namespace holds in a history of calls, and what each call does to it: no clock, nothing expires.

Smaller than the model of `session_store.testing`, and independent of it: it is there to be copied and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from support.histories import Call


class Refusal(Exception):
    """What closures raise. Its argument is what they had seen."""


class Interruption(BaseException):
    """What ends a closure as Ctrl-C would: nothing that is there for errors sees it."""


class Program(NamedTuple):
    """A closure of `with_cas`, for both flavours and for the model: it reads, and then decides."""

    name: str
    watched: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]  # methods and slots
    decide: Callable[[list[Any], Any], Any]  # given what was read, and `ops`
    others: tuple[str, ...] = ()  # slots that it writes and does not watch

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(self.watched + self.others)


def normal(value: Any) -> Any:
    """A result as it is compared: what has no order has one, and everything can be hashed."""
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(normal, value))
    return value


class WrongTypeError(Exception):
    """As the library's of this name."""


class NamespacePurgedError(Exception):
    """As the library's of this name."""


class _Ops:
    """What a closure records."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, verb: str) -> Callable[..., None]:
        return lambda *args, **options: self.recorded.append((verb, args, options))


class Space:
    """The slots, where each counter stands, whether a fence stands, and which calls are on record."""

    __slots__ = ("fenced", "last", "records", "slots")

    def __init__(self) -> None:
        self.slots: dict[str, Any] = {}  # a str, or a dict, which is never changed
        self.last: dict[str, int] = {}
        self.fenced = False
        self.records: dict[int, Any] = {}  # results by number of call

    def copy(self) -> Space:
        other = Space()
        other.slots, other.last = dict(self.slots), dict(self.last)
        other.fenced, other.records = self.fenced, dict(self.records)
        return other

    def key(self) -> object:
        slots = frozenset((name, normal(value)) for name, value in self.slots.items())
        return slots, frozenset(self.last.items()), self.fenced, frozenset(self.records.items())

    def after(self, call: Call) -> tuple[Space, Any, str]:
        """What is there when a call has happened, its result, and the name of its error."""
        after = self.copy()
        try:
            if call.program:
                return after, normal(after.with_cas(call.program)), ""
            return after, normal(getattr(after, call.method)(*call.args, **call.options)), ""
        except (WrongTypeError, NamespacePurgedError) as error:
            return self, None, type(error).__name__
        except (Refusal, Interruption) as error:
            return self, normal(error.args), type(error).__name__

    def without(self, names: tuple[str, ...]) -> Space:
        after = self.copy()
        for name in names:
            del after.slots[name]
            after.last.pop(name, None)
        return after

    def _of(self, slot: str, kind: type) -> Any:
        value = self.slots.get(slot)
        if value is not None and not isinstance(value, kind):
            raise WrongTypeError
        return value

    def _check_fence(self) -> None:
        if self.fenced:
            raise NamespacePurgedError

    def get(self, slot: str) -> str | None:
        return self._of(slot, str)

    def exists(self, slot: str) -> bool:
        return slot in self.slots

    ttl = exists  # in range, or None: that is all that a history without a clock knows

    def hgetall(self, slot: str) -> dict[str, str]:
        return self._of(slot, dict) or {}

    def hget(self, slot: str, field: str) -> str | None:
        return self.hgetall(slot).get(field)

    def hmget(self, slot: str, fields: list[str]) -> list[str | None]:
        return list(map(self.hgetall(slot).get, fields))

    def hkeys(self, slot: str) -> list[str]:
        return sorted(self.hgetall(slot))

    def hlen(self, slot: str) -> int:
        return len(self.hgetall(slot))

    def hexists(self, slot: str, field: str) -> bool:
        return field in self.hgetall(slot)

    def set(self, slot: str, value: str, *, ttl: float = 0, nx: bool = False, xx: bool = False) -> bool:
        self._check_fence()
        there = self._of(slot, str) is not None
        if (nx and there) or (xx and not there):
            return False
        self.slots[slot] = value
        return True

    def delete(self, slot: str) -> bool:
        self._check_fence()
        self.last.pop(slot, None)
        return self.slots.pop(slot, None) is not None

    def hset(
        self, slot: str, field: str = "", value: str = "", *, mapping: Mapping[str, str] | None = None, ttl: float = 0
    ) -> int:
        self._check_fence()
        fields = self.hgetall(slot)
        self.slots[slot] = {**fields, **(mapping or {field: value})}
        return len(self.slots[slot]) - len(fields)

    def hdel(self, slot: str, *fields: str) -> int:
        self._check_fence()
        before = self.hgetall(slot)
        rest = {name: value for name, value in before.items() if name not in fields}
        if rest:
            self.slots[slot] = rest
        elif before:
            del self.slots[slot]
        return len(before) - len(rest)

    def hincrby(self, slot: str, field: str, amount: int = 1) -> int:
        self._check_fence()
        total = self._sum(self.hgetall(slot).get(field, "0"), amount)
        self.slots[slot] = {**self.hgetall(slot), field: str(total)}
        return total

    def incr(self, slot: str, amount: int = 1) -> int:
        self._check_fence()
        stands = self._of(slot, str) or "0"
        total = max(self._sum(stands, 0), self.last.get(slot, 0)) + amount
        self.slots[slot], self.last[slot] = str(total), total
        return total

    @staticmethod
    def _sum(value: str, amount: int) -> int:
        if not value.lstrip("-").isdigit():
            raise WrongTypeError
        return int(value) + amount

    def purge(self, *, fence: float | None = None, scan: bool = False) -> int:
        """It forgets the records as well."""
        count = len(self.slots)
        self.slots.clear()
        self.last.clear()
        self.records.clear()
        self.fenced = self.fenced or fence is not None
        return count

    def raise_fence(self) -> None:
        """The first step of a purge with a fence, where it takes two."""
        self.fenced = True

    def with_cas(self, program: Program) -> Any:
        self._check_fence()
        seen = [getattr(self, method)(slot) for method, slot in program.reads]
        ops = _Ops()
        result = program.decide(seen, ops)
        for verb, args, options in ops.recorded:
            getattr(self, verb)(*args, **options)
        return result
