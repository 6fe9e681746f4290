"""What the state machine does: calls at random, alone and inside closures, by two stores and by another program.

A call is data, so that the model and every back end get the same one, and a failing example reads like the code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from session_store import InvalidNameError, SessionStoreError
from support.model import OUTSIDER

# How fast a run is decides nothing. Time passes in multiples of 80 seconds; TTLs and fences of the library are 20 more
# than one of those, TTLs of others 60, and the time that a lone record is kept 40. So what is left is never near 0, nor
# within a second of a new TTL (which touch would not write), but when it is the same. It is compared in tens of seconds,
# rounded up: an example may take as long.
DEFAULT_TTL = 260
TTLS = (None, 100, 340.0, timedelta(seconds=900))
FENCES = (None, None, 100, timedelta(seconds=340))
OTHERS_TTLS = (60, 300, 940)
STEPS = (80, 240, 560)
PAGE_VIEW_TTL, APART = 1_000_020, 80_000  # each burst of page views has a TTL that is far from any other
FOR_EVER = 10_000_000  # seconds; nothing lives longer

NAMESPACES = ("u", "u*", "uu")  # the first begins all names; the second is a pattern that all match
NAMES = st.sampled_from(("u", "u", "u", "u", "u*", "uu"))
SLOTS = ("a", "a", "b:*", "ü")  # one is drawn as often as the others together: calls should meet
FIELDS = ("f", "g", "")


class Long(str):
    """A value too large to be sent along when an attempt begins; its report is short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Long"


VALUES = ("x", "Grüße", "", "7", "-0", "007", "9223372036854775807", "9223372036854775808", Long("x" * 66_000))


class Call(NamedTuple):
    """A method and what it is given."""

    method: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012  # nobody writes to it

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"{self.method}({', '.join(given)})"

    def on(self, target: Any) -> Any:
        """What comes of it: the type and value of a result, or the type and facts of an error."""
        method = getattr(target, self.method)
        try:
            result = method(*self.args, **self.options)
        except Exception as error:
            return type(error), vars(error) if isinstance(error, SessionStoreError) else None
        if self.method == "ttl":
            return result and tens(result)
        kind = str if isinstance(result, Long) else type(result)
        return kind, sorted(result) if self.method == "hkeys" else result


def tens(seconds: float) -> int:
    """TTLs to compare; 0 for none."""
    return math.ceil(seconds / 10)


class Deed(NamedTuple):
    """A call by a store, 0 or 1, or by another program."""

    who: int
    name: str | None  # of the namespace; None is that of the closure in whose way it is
    call: Call | Commit

    def at(self, place: Any) -> Any:
        """What comes of it at the model or a back end."""
        if isinstance(self.call, Commit):
            return self.call.at(place, self.who, self.name)
        return self.call.on(place.handle(self.who, self.name))


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

    def at(self, place: Any, who: int, name: str) -> Any:
        """What comes of it, and what each attempt has seen."""
        attempts: list[list[Any]] = []

        def closure(snap: Any, ops: Any) -> int:
            seen = [call.on(snap) for call in self.before]
            attempts.append(seen)
            if self.at_every_attempt or len(attempts) == 1:
                seen += [deed._replace(name=deed.name or name).at(place) for deed in self.others]
            seen += [call.on(snap) for call in self.after]
            seen += [call.on(ops) for call in self.ops]
            if self.fails:
                raise ZeroDivisionError
            return len(attempts)

        call = Call("with_cas", (self.slots, closure), {"max_retries": self.max_retries})
        return call.on(place.handle(who, name)), attempts


# What is drawn from: every call there is, written out. One draw from a long list is small, and shrinks well.


def every(method: str, *args: Iterable[Any], **options: Iterable[Any]) -> list[Call]:
    """The calls of a method with every choice of arguments."""
    choices = itertools.product(itertools.product(*args), itertools.product(*options.values()))
    return [Call(method, given, dict(zip(options, named, strict=True))) for given, named in choices]


def either(*pools: Sequence[Any]) -> st.SearchStrategy[Any]:
    """An item of one of the pools: these are alike in weight, whatever their size."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:  # sampled_from would write all the pools out, again and again
        pool = pools[draw(st.integers(0, len(pools) - 1))]
        return pool[draw(st.integers(0, len(pool) - 1))]

    return drawn()


some_fields = ((), ("f",), ("g", "f"), FIELDS)
mappings = ({"f": "x"}, {"g": "7", "": ""}, {"g": "007"}, {"f": VALUES[-1]})

one_slot = [every(method, SLOTS) for method in ("get", "exists", "hgetall", "hkeys", "hlen")]
reads = either(
    *one_slot, every("hmget", SLOTS, some_fields), *(every(each, SLOTS, FIELDS) for each in ("hget", "hexists"))
)
sets = every("set", SLOTS, VALUES, ttl=TTLS)
conditional_sets = every("set", SLOTS, VALUES, nx=(True,)) + every("set", SLOTS, VALUES, ttl=TTLS, xx=(True,))
hsets = every("hset", SLOTS, FIELDS, VALUES, ttl=TTLS) + every("hset", SLOTS, mapping=mappings, ttl=TTLS)
hdels = every("hdel", SLOTS, FIELDS) + every("hdel", SLOTS, *([name] for name in FIELDS))
hincrbys = every("hincrby", SLOTS, FIELDS, (1, -7, 2**63 - 1, -(2**63)))
incrs = every("incr", SLOTS, (1, 1, 50, 50, 2**63 - 1))
deletes = every("delete", SLOTS)
touches = every("touch", ttl=TTLS)
lower_sets = every("set", SLOTS, ("7",), ttl=TTLS)  # a counter may stand higher
purges = every("purge", fence=FENCES, scan=(False, True))

# What a closure records: operations, and as one of them the pair in which an hdel makes room for a set.
one_op = (
    [[op] for op in (*sets, *hsets)],
    [[op] for op in deletes],
    [[op] for op in every("hdel", SLOTS, FIELDS, ttl=TTLS)],
)
emptied_and_set = [
    [every("hdel", (slot,), *([name] for name in FIELDS))[0], *every("set", (slot,), ("x",))] for slot in SLOTS
]


@st.composite
def ops(draw: st.DrawFn) -> list[Call]:
    """What a closure records."""
    return [op for some in draw(st.lists(either(*one_op, emptied_and_set), max_size=3)) for op in some]


any_slots = (*SLOTS, "no slot's name", "~turn:a")  # other programs heed no rule
by_others = either(
    every("delete", SLOTS),
    every("write", any_slots, ("string",), (*VALUES, "\udcff"), OTHERS_TTLS),  # the last is a byte that is no text
    every("write", any_slots, ("hash",), mappings, OTHERS_TTLS),
    every("write", any_slots, ("list",), (["x"],), OTHERS_TTLS),
)
near = st.sampled_from((None, None, None, *NAMESPACES))
in_the_way = st.builds(Deed, st.integers(0, 1), near, either(sets, hsets, hdels, hincrbys, incrs, deletes, purges)) | (
    st.builds(Deed, st.just(OUTSIDER), near, by_others | st.just(Call("outlive", (FOR_EVER,))))
)


def commits(others: st.SearchStrategy[list[Deed]]) -> st.SearchStrategy[Commit]:
    """Commits in whose way these others are."""
    return st.builds(
        Commit,
        slots=st.sampled_from((*SLOTS, ["a", "b:*"], ["ü", "a", "ü"])),
        before=st.lists(reads, max_size=2),
        others=others,
        at_every_attempt=st.booleans(),
        after=st.lists(reads, max_size=2),
        ops=ops(),
        fails=st.sampled_from((False,) * 7 + (True,)),
        max_retries=st.integers(0, 2),
    )


nested = st.builds(Deed, st.integers(0, 1), near, commits(st.just([])))


def refused() -> Iterator[tuple[type[Exception], Call]]:
    """Calls that are refused before anything is sent, in whatever state a namespace is, and the error of each."""
    with_slot = {"hget": "f", "hmget": ["f"], "hdel": "f", "hexists": "f", "hincrby": "f", "set": "x"}
    with_slot |= dict.fromkeys(("get", "delete", "exists", "ttl", "hgetall", "hkeys", "hlen", "incr"))
    for slot in ("", "~index", "a b", "{a}", "a\n", "\ud800", "é" * 257, None):
        yield from (
            (InvalidNameError, Call(method, (slot, arg) if arg else (slot,))) for method, arg in with_slot.items()
        )
        yield InvalidNameError, Call("hset", (slot, "f", "x"))
        yield InvalidNameError, Call("with_cas", (slot, lambda snap, ops: None))
    for name in ("\ud800", 5):
        for method in ("hget", "hdel", "hexists", "hincrby"):
            yield InvalidNameError, Call(method, ("a", name))
        yield InvalidNameError, Call("hset", ("a", name, "x"))
    for ttl in (0, -60, math.nan, math.inf, timedelta(0)):
        yield from ((ValueError, call) for call in with_ttl(ttl))
    for ttl in ("60", True):
        yield from ((TypeError, call) for call in with_ttl(ttl))
    for value in (None, 5, b"x", "\ud800"):
        yield TypeError, Call("set", ("a", value))
        yield TypeError, Call("hset", ("a",), {"mapping": {"f": "x", "g": value}})
    for amount, error in ((2**63, ValueError), (1.0, TypeError), (True, TypeError)):
        yield error, Call("incr", ("a", amount))
        yield error, Call("hincrby", ("a", "f", amount))
    yield ValueError, Call("incr", ("a", 0))
    yield ValueError, Call("set", ("a", "x"), {"nx": True, "xx": True})
    yield ValueError, Call("hset", ("a",), {"mapping": {}})
    yield ValueError, Call("hdel", ("a",))
    yield TypeError, Call("hset", ("a", "f", "x"), {"mapping": {"f": "x"}})
    yield TypeError, Call("hmget", ("a", "f"))
    yield InvalidNameError, Call("with_cas", ([], lambda snap, ops: None))
    yield ValueError, Call("with_cas", ("a", lambda snap, ops: None), {"max_retries": -1})
    yield TypeError, Call("with_cas", ("a", coroutine))


def with_ttl(ttl: Any) -> list[Call]:
    """Every call that takes a duration."""
    given = {"ttl": ttl}
    return [
        *(Call("set", ("a", "x"), given), Call("hset", ("a", "f", "x"), given)),
        *(Call("touch", (), given), Call("purge", (), {"fence": ttl})),
    ]


async def coroutine(snap: Any, ops: Any) -> None:
    """A closure of the other flavour."""


REFUSED = list(refused())
