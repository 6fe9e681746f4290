"""What the state machine does: calls at random, alone and inside closures, by two stores and by another program.

A call is data, so that the model and every back end get the same one, and a failing example reads like the code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from session_store.testing.calls import Call, Outcome
from session_store.testing.model._reference import OUTSIDER

# How fast a run is decides nothing. Time passes in multiples of 80 seconds; TTLs, fences and lifetimes of the library are 20 more
# than one of those, TTLs of others 60, and the time that a lone record is kept 40. So what is left is never near 0, nor
# within a second of a new TTL (which touch would not write), but when it is the same. It is compared in steps of 20 seconds,
# rounded up: an example may take as long.
DEFAULT_TTL = 260
TTLS = (None, 100, 340.0, timedelta(seconds=900))
FENCES = (None, None, 100, timedelta(seconds=340))
OTHERS_TTLS = (60, 300, 940)
STEPS = (80, 240, 560)
PAGE_VIEW_TTL, APART = 1_000_020, 80_000  # each burst of page views has a TTL that is far from any other
FOR_EVER = 10_000_000  # seconds; nothing lives longer

NAMESPACES = ("u", "u*", "uu")  # the first begins all names; the second is a pattern that all match
NAMES = ("u", "u", "u", "u", "u*", "uu")
SLOTS = ("a", "a", "b:*", "ü")  # one is drawn as often as the others together: calls should meet
FIELDS = ("f", "g", "")

LONG = "x" * 66_000  # too large to be sent along when an attempt begins
VALUES = ("x", "Grüße", "", "7", "-0", "007", "9223372036854775807", "9223372036854775808", LONG)


def twenties(seconds: float) -> int:
    """TTLs to compare; 0 for none."""
    return math.ceil(seconds / 20)


class Deed(NamedTuple):
    """A call by a store, 0 or 1, or by another program."""

    who: int
    name: str | None  # of the namespace; None is that of the closure in whose way it is
    call: Call | Commit
    existing: bool = False  # whether the handle of a store is for a namespace that was created

    def at(self, place: Any) -> Any:
        """What comes of it at the model or a back end."""
        if isinstance(self.call, Commit):
            return self.call.at(place, self.who, self.name or "", existing=self.existing)
        return self.call.on(place.handle(self.who, self.name, existing=self.existing))

    def shown(self, name: str) -> str:
        """The code of it, in the way of a closure of the namespace of this name."""
        name = self.name or name
        existing = ", existing=True" if self.existing else ""
        who = f"other_program({name!r})" if self.who == OUTSIDER else f"store_{self.who}.namespace({name!r}{existing})"
        call = self.call.shown(name) if isinstance(self.call, Commit) else repr(self.call)
        return f"{who}.{call}"

    def __repr__(self) -> str:
        return self.shown("...")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  # as Hypothesis calls it
        printer.text(repr(self))


@dataclass(frozen=True)
class Commit:
    """A `with_cas` whose closure reads, lets others act, reads again, and records operations or fails."""

    slots: str | list[str]
    before: list[Call]
    others: list[Deed]
    at_every_attempt: bool  # others act at the first attempt only, or at each
    after: list[Call]
    ops: list[Call]
    fails: bool
    max_retries: int

    def at(self, place: Any, who: int, name: str, *, existing: bool = False) -> tuple[Outcome, list[list[Any]]]:
        """What comes of it, and what each attempt has seen."""
        attempts: list[list[Any]] = []

        def closure(snap: Any, ops: Any) -> int:
            seen: list[Any] = [call.on(snap) for call in self.before]
            attempts.append(seen)
            if self.at_every_attempt or len(attempts) == 1:
                seen += [deed._replace(name=deed.name or name).at(place) for deed in self.others]
            seen += [call.on(snap) for call in self.after]
            seen += [call.on(ops) for call in self.ops]
            if self.fails:
                raise ZeroDivisionError
            return len(attempts)

        call = Call("with_cas", (self.slots, closure), {"max_retries": self.max_retries})
        return call.on(place.handle(who, name, existing=existing)), attempts

    def shown(self, name: str) -> str:
        """The code of it, in the namespace of this name; its closure as a list of what that does."""
        when = "each_time" if self.at_every_attempt else "once"
        does = [
            *(f"snap.{call}" for call in self.before),
            *(f"{when}({deed.shown(name)})" for deed in self.others),
            *(f"snap.{call}" for call in self.after),
            *(f"ops.{call}" for call in self.ops),
            *(["fail()"] if self.fails else []),
        ]
        return f"with_cas({self.slots!r}, closure({', '.join(does)}), max_retries={self.max_retries})"


# What is drawn from: every call there is, written out. One draw from a long list is small, and shrinks well.


def every(method: str, *args: Iterable[Any], **options: Iterable[Any]) -> list[Call]:
    """The calls of a method with every choice of arguments; an option of None is left out."""
    choices = itertools.product(itertools.product(*args), itertools.product(*options.values()))
    return [
        Call(method, given, {name: value for name, value in zip(options, named, strict=True) if value is not None})
        for given, named in choices
    ]


def either(*pools: Sequence[Any]) -> st.SearchStrategy[Any]:
    """An item of one of the pools: these are alike in weight, whatever their size."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:  # were the pools its arguments, Hypothesis would write them out, again and again
        pool = pools[draw(st.integers(0, len(pools) - 1))]
        return pool[draw(st.integers(0, len(pool) - 1))]

    return drawn()


SOME_FIELDS = ((), ("f",), ("g", "f"), FIELDS)
MAPPINGS = ({"f": "x"}, {"g": "7", "": ""}, {"g": "007"}, {"f": LONG})

ONE_SLOT = [every(method, SLOTS) for method in ("get", "exists", "kind", "hgetall", "hkeys", "hlen")]
READS = either(
    *ONE_SLOT, every("hmget", SLOTS, SOME_FIELDS), *(every(each, SLOTS, FIELDS) for each in ("hget", "hexists"))
)
READS_OF = {
    slot: [
        *(Call(method, (slot,)) for method in ("get", "exists", "kind", "hgetall", "hkeys", "hlen")),
        Call("hmget", (slot, FIELDS)),
    ]
    for slot in SLOTS
}
SETS = every("set", SLOTS, VALUES, ttl=TTLS)
CONDITIONAL_SETS = every("set", SLOTS, VALUES, nx=(True,)) + every("set", SLOTS, VALUES, ttl=TTLS, xx=(True,))
HSETS = every("hset", SLOTS, FIELDS, VALUES, ttl=TTLS) + every("hset", SLOTS, mapping=MAPPINGS, ttl=TTLS)
HDELS = every("hdel", SLOTS, FIELDS) + every("hdel", SLOTS, *([name] for name in FIELDS))
HINCRBYS = every("hincrby", SLOTS, FIELDS, (1, -7, 2**63 - 1, -(2**63)))
INCRS = every("incr", SLOTS, (1, 1, 50, 50, 2**63 - 1))
DELETES = every("delete", SLOTS)
TOUCHES = every("touch", ttl=TTLS, scan=(False, True))
LOWER_SETS = every("set", SLOTS, ("7",), ttl=TTLS)  # a counter may stand higher
CREATES = every("create", lifetime=(180, 420.0, timedelta(seconds=820)))
PURGES = every("purge", fence=FENCES, scan=(False, True))

# What a closure records: operations, and as one of them the pair in which an hdel makes room for a set.
ONE_OP = (
    [[op] for op in (*SETS, *HSETS)],
    [[op] for op in DELETES],
    [[op] for op in every("hdel", SLOTS, FIELDS, ttl=TTLS)],
)
EMPTIED_AND_SET = [
    [every("hdel", (slot,), *([name] for name in FIELDS))[0], *every("set", (slot,), ("x",))] for slot in SLOTS
]


@st.composite
def ops(draw: st.DrawFn) -> list[Call]:
    """What a closure records."""
    return [op for some in draw(st.lists(either(*ONE_OP, EMPTIED_AND_SET), max_size=3)) for op in some]


class Batch(tuple[Call, ...]):
    """What a `batch` records, as a function that does."""

    __slots__ = ()

    def __call__(self, ops: Any) -> int:
        for call in self:
            call.on(ops)
        return len(self)


BATCHES = ops().map(lambda recorded: Call("batch", (Batch(recorded),)))

ANY_SLOTS = (*SLOTS, "no slot's name", "~lock:a")  # other programs heed no rule
BYTES = ("\udcff", "x\udcff", "\udc80\udcff")  # that are no text
BY_OTHERS = either(
    every("delete", SLOTS),
    every("write", ANY_SLOTS, ("string",), (*VALUES, *BYTES), OTHERS_TTLS),
    every("write", ANY_SLOTS, ("hash",), MAPPINGS, OTHERS_TTLS),
    every("write", ANY_SLOTS, ("list",), (["x"],), OTHERS_TTLS),
)


@st.composite
def deeds(draw: st.DrawFn, who: Sequence[int], names: Sequence[str | None], call: st.SearchStrategy[Any]) -> Deed:
    """Somebody's calls."""
    somebody = draw(st.sampled_from(who))
    existing = somebody != OUTSIDER and draw(st.sampled_from((False, False, True)))
    return Deed(somebody, draw(st.sampled_from(names)), draw(call), existing)


STORES = (0, 1)
WATCHED: tuple[str | list[str], ...] = (*SLOTS, ["a", "b:*"], ["ü", "a", "ü"])
NEAR = (None, None, None, *NAMESPACES)
IN_THE_WAY = deeds(STORES, NEAR, either(SETS, HSETS, HDELS, HINCRBYS, INCRS, DELETES, PURGES, CREATES)) | deeds(
    (OUTSIDER,), NEAR, BY_OTHERS | st.just(Call("outlive", (FOR_EVER,)))
)


@st.composite
def commits(draw: st.DrawFn, others: st.SearchStrategy[list[Deed]]) -> Commit:
    """Commits in whose way these others are."""
    return Commit(
        slots=draw(st.sampled_from(WATCHED)),
        before=draw(st.lists(READS, max_size=2)),
        others=draw(others),
        at_every_attempt=draw(st.booleans()),
        after=draw(st.lists(READS, max_size=2)),
        ops=draw(ops()),
        fails=draw(st.sampled_from((False,) * 7 + (True,))),
        max_retries=draw(st.integers(0, 2)),
    )


NESTED = deeds(STORES, NEAR, commits(st.just([])))
