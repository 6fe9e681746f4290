"""Looks for an order that explains what concurrent calls of one namespace returned and what they left behind.

A call that returned happened once, at some moment between its start and its end, with that result. A call that raised
`WrongTypeError`, `NamespacePurgedError` or its closure's error was right to at such a moment, and wrote nothing. A call
without an outcome (a connection error of a single call, `CommitUnknownError`, a cancelled task) happened once at any
moment after its start, or never; never, when its write was not even sent. All other errors are promises that nothing
was written.

A purge forgets which calls were recognised, so around one this says less, as docs/guarantees.md does: a write that was sent
several times may happen again after it, and so may the purge itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import inf
from typing import Any, NamedTuple

from support.spaces import Program, Space, normal

UNKNOWN = frozenset({"ConnectionError", "TimeoutError", "CommitUnknownError", "CancelledError"})
ANSWERS = frozenset({"WrongTypeError", "NamespacePurgedError"})  # of the script that writes
NOTHING_WRITTEN = frozenset({"CasContentionError"})
IN_TWO_STEPS = frozenset({"touch", "slots", "namespaces"})  # what the index names, and then what lives of it
WRITES = frozenset({"set", "delete", "hset", "hdel", "hincrby", "incr", "with_cas", "purge", "raise_fence"})
MOST_NODES = 300_000


class Undecided(Exception):
    """There are too many orders to try."""


@dataclass(eq=False)
class Call:
    """A call, what became of it, and when: `start` and `end` are places in the order of all starts and ends."""

    number: int
    method: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    program: Program | None = None  # the closure of a with_cas
    start: float = 0
    end: float = inf
    result: Any = None
    error: str = ""  # the name of its class
    sent: int = 1  # how often its write went out
    faults: list[str] = field(default_factory=list)

    def returned(self, result: Any) -> None:
        self.result = normal(result)

    def raised(self, error: BaseException) -> None:
        self.error = type(error).__name__
        self.result = normal(error.args) if self.error in ("Refusal", "Interruption") else None

    @property
    def is_unknown(self) -> bool:
        """Whether it may have happened, or may not."""
        if self.error not in UNKNOWN or self.method not in WRITES or not self.sent:
            return False
        return self.method != "with_cas" or self.error in ("CommitUnknownError", "CancelledError")

    @property
    def is_to_explain(self) -> bool:
        """Whether there must have been a moment when it was right."""
        return self.error not in UNKNOWN and self.error not in NOTHING_WRITTEN

    def slots(self) -> frozenset[str] | None:
        """What it reads and writes; None for all."""
        if self.program:
            return self.program.slots
        return frozenset(self.args[:1]) if self.args else None

    def __str__(self) -> str:
        words = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.options.items())]
        if self.program:
            words = [self.program.name]
        outcome = f"raised {self.error}" if self.error else f"-> {self.result!r}"
        faults = f"  ({', '.join(self.faults)}; sent {self.sent} times)" if self.faults else ""
        return f"{self.start:>4}..{self.end:<4} {self.method}({', '.join(words)}) {outcome}{faults}"


def _meet(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether two sets of slots, of which None is the set of all, have one in common."""
    return one is None or other is None or bool(one & other)


def _union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    union: frozenset[str] = frozenset()
    for each in sets:
        if each is None:
            return None
        union |= each
    return union


class _Node(NamedTuple):
    """How far an order has come."""

    done: frozenset[int]  # calls that need no more explanation
    open: tuple[tuple[int, Any, frozenset[str]], ...]  # calls half-way, with what they go on with; see _look
    extra: tuple[int, ...]  # calls that happened without having been answered, as often as they did
    space: Space

    def key(self) -> object:
        return self.done, self.open, self.extra, self.space.key()


def _has_fence(call: Call) -> bool:
    return call.method == "purge" and "fence" in call.options and bool(call.sent or not call.error)


def _fence_of(purge: Call) -> Call:
    """That of a purge, which may stand before anything is deleted: where the index named more than the purge knew."""
    return Call(-1 - purge.number, "raise_fence", start=purge.start, error="TimeoutError")


class Explanation:
    """The search for an order, depth first. `tried` is how many places in orders it has been to."""

    def __init__(self, calls: list[Call], contents: Mapping[str, Any]) -> None:
        calls = [*calls, *map(_fence_of, filter(_has_fence, calls))]
        self._calls = {call.number: call for call in calls}
        self._contents = dict(contents)
        self._to_explain = sorted((call for call in calls if call.is_to_explain), key=lambda call: call.end)
        purged = any(call.method == "purge" and (call.sent or not call.error) for call in calls)
        self._most_extra = {call.number: self._times(call, purged=purged) for call in calls}
        self._can_repeat = [call for call in calls if self._most_extra[call.number] > 0]
        self._seen: set[object] = set()

    @property
    def tried(self) -> int:
        return len(self._seen)

    @staticmethod
    def _times(call: Call, *, purged: bool) -> int:
        """How often a call may have happened beside the one time that its answer tells of."""
        if call.method not in WRITES:
            return 0
        if not purged:
            return int(call.is_unknown)
        answered = not call.error or (call.error in ANSWERS and call.method != "with_cas")
        return max(call.sent - answered, 0)

    def find(self) -> bool:
        """Whether there is an order. Raises `Undecided` when it takes too long to tell."""
        first = _Node(frozenset(), (), (), Space())
        waiting = [iter([first])]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                continue
            if len(node.done) == len(self._to_explain) and node.space.slots == self._contents:
                return True
            key = node.key()
            if key not in self._seen:
                self._seen.add(key)
                if len(self._seen) > MOST_NODES:
                    raise Undecided
                waiting.append(self._next(node))
        return False

    def _next(self, node: _Node) -> Iterator[_Node]:
        left = [call for call in self._to_explain if call.number not in node.done]
        deadline = left[0].end if left else inf
        opened = {number: rest for number, *rest in node.open}
        for call in left:
            if call.start < deadline:
                yield from self._answer(node, call, opened)
        for call in self._that_matter(node, [call for call in left if call.start < deadline]):
            if call.start < deadline and node.extra.count(call.number) < self._most_extra[call.number]:
                extra = tuple(sorted((*node.extra, call.number)))
                for space in self._happen(node.space, call):
                    yield self._moved(node._replace(extra=extra, space=space))

    def _that_matter(self, node: _Node, following: list[Call]) -> list[Call]:
        """The calls that may happen without an answer, and by that change what can follow, or what is left in the end."""
        if following:
            slots = _union(call.slots() for call in following)
        else:
            both = node.space.slots.keys() | self._contents.keys()
            slots = frozenset(slot for slot in both if node.space.slots.get(slot) != self._contents.get(slot))
        matter: list[Call] = []
        for _ in self._can_repeat:  # what matters to what matters does so as well
            more = [call for call in self._can_repeat if call not in matter and _meet(call.slots(), slots)]
            if not more:
                break
            matter += more
            slots = _union([slots, *(call.slots() for call in more)])
        return matter

    def _answer(self, node: _Node, call: Call, opened: dict[int, Any]) -> Iterator[_Node]:
        """The call happens, or its next step does, as its outcome says."""
        number, space = call.number, node.space
        done = node.done | {number}
        if call.method in IN_TWO_STEPS:
            yield from self._look(node, call, opened)
        elif call.method == "purge" and call.options.get("scan"):
            yield from self._purge_and_scan(node, call, opened)
        elif number not in space.records:  # if it were, it could as well have been answered when that was made
            after, result, error = space.after(call)
            if (result, error) == (call.result, call.error):
                if self._most_extra[number] and not error and call.method != "purge":
                    after.records[number] = result
                yield self._moved(node._replace(done=done, space=after))

    def _look(self, node: _Node, call: Call, opened: dict[int, Any]) -> Iterator[_Node]:
        """The names in the index come first; of each, whether it lives comes later, and of `slots` one by one."""
        if call.number not in opened:
            names = frozenset(node.space.slots)
            if call.method != "slots" or names.issuperset(call.result):
                yield self._open(node, call, names, node.space)
            return
        names, unsure = opened[call.number]
        live = names & node.space.slots.keys()
        counted = {"touch": len(live), "namespaces": bool(live), "slots": call.result}[call.method]
        if counted == call.result and not (unsure and call.method == "slots"):
            yield self._close(node, call, node.space)

    def _purge_and_scan(self, node: _Node, call: Call, opened: dict[int, Any]) -> Iterator[_Node]:
        """A purge of what the index names, and later of some that have come up since: what the scan has found."""
        if call.number not in opened:
            after, count, _ = node.space.after(call)
            yield self._open(node, call, count, after)
            return
        found = call.result - opened[call.number][0]
        for names in combinations(sorted(node.space.slots), found) if found >= 0 else ():
            yield self._close(node, call, node.space.without(names))

    def _open(self, node: _Node, call: Call, goes_on_with: Any, space: Space) -> _Node:
        entry = (call.number, goes_on_with, frozenset(node.space.slots))
        return self._moved(node._replace(open=(*node.open, entry), space=space))

    def _close(self, node: _Node, call: Call, space: Space) -> _Node:
        still = tuple(entry for entry in node.open if entry[0] != call.number)
        return self._moved(node._replace(done=node.done | {call.number}, open=still, space=space))

    def _moved(self, node: _Node) -> _Node:
        """What is so now may be what a call of `slots` has seen: a name that it gave lives, or another does not."""
        entries = []
        for number, goes_on_with, unsure in node.open:
            call = self._calls[number]
            if call.method == "slots":
                still = frozenset(name for name in unsure if (name in call.result) != (name in node.space.slots))
                entries.append((number, goes_on_with, still))
            else:
                entries.append((number, goes_on_with, frozenset()))
        return node._replace(open=tuple(sorted(entries, key=lambda entry: entry[0])))

    def _happen(self, space: Space, call: Call) -> Iterator[Space]:
        """What a call leaves behind that happens without anybody hearing of it."""
        if call.number in space.records:
            return
        after, result, error = space.after(call)
        if not error and after.key() != space.key():  # what changes nothing need not happen
            if call.method != "purge":
                after.records[call.number] = result
            yield after
        if call.method == "purge" and call.options.get("scan"):
            for count in range(1, len(space.slots) + 1):
                for names in combinations(sorted(space.slots), count):
                    yield space.without(names)


def explained(calls: list[Call], contents: Mapping[str, Any]) -> bool:
    """Whether some order of these calls explains their outcomes and the contents of the slots after them."""
    return Explanation(calls, contents).find()
