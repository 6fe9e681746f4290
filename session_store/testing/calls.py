"""Calls as data: what is called, what came of it, and a Hypothesis strategy for lists of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FunctionType
from typing import Any

from hypothesis import strategies as st

from session_store._core.arguments import check_count
from session_store.errors import SessionStoreError
from session_store.testing import strategies


def shown(value: object) -> str:
    """A repr; of a function its name, and of a long str that repeats one character, the expression that makes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, str) and len(value) > 64 and value == value[0] * len(value):
        return f"{value[0]!r} * {len(value)}"
    return value.__qualname__ if isinstance(value, FunctionType) else repr(value)


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """What came of a call: what it returned, or what it raised.

    - `returned`: the result, None when it raised. The list of `hkeys` is sorted, since it comes in no order.
    - `raised`: the exception, None when it returned.

    Two are equal when they returned the same, of the same type, or raised errors of the same type; for errors of this
    library, also with the same attributes. So the outcomes of one call on two clients can be compared.
    """

    returned: Any = None
    raised: Exception | None = None

    def _facts(self) -> tuple[object, ...]:
        if self.raised is None:
            return type(self.returned), self.returned
        return type(self.raised), vars(self.raised) if isinstance(self.raised, SessionStoreError) else None

    def __eq__(self, other: object) -> bool:
        return self._facts() == other._facts() if isinstance(other, Outcome) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # what was returned may be a list or a dict

    def __repr__(self) -> str:
        return f"returned {shown(self.returned)}" if self.raised is None else f"raised {self.raised!r}"


@dataclass(frozen=True, repr=False)
class Call:
    """A method of a `Namespace` and what it is given, as data; its repr reads like the code.

    - `method`: the method's name.
    - `args`, `options`: its positional and its keyword arguments.

    >>> from session_store import InMemoryClient, SessionStore
    >>> call = Call("hset", ("basket", "tea", "1"), {"ttl": 60})
    >>> call
    hset('basket', 'tea', '1', ttl=60)
    >>> call.on(SessionStore(InMemoryClient(), prefix="shop", default_ttl=60).namespace("user-42"))
    returned 1
    """

    method: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        given = [*map(shown, self.args), *(f"{name}={shown(value)}" for name, value in self.options.items())]
        return f"{self.method}({', '.join(given)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  # as Hypothesis and IPython call it
        printer.text(repr(self))

    def on(self, namespace: Any) -> Outcome:
        """Makes the call, and returns what came of it: an `Outcome`.

        `namespace`: a `Namespace`, or what has its methods. Whatever `Exception` the method raises is in the outcome.
        """
        try:
            result = getattr(namespace, self.method)(*self.args, **self.options)
        except Exception as error:
            return Outcome(raised=error)
        return Outcome(sorted(result) if self.method == "hkeys" else result)


_NO_ARGS: st.SearchStrategy[Sequence[Any]] = st.just(())
_NO_OPTIONS: st.SearchStrategy[dict[str, Any]] = st.just({})


@st.composite
def _call(
    draw: st.DrawFn,
    /,
    method: str,
    *args: st.SearchStrategy[Any],
    more_args: st.SearchStrategy[Sequence[Any]] = _NO_ARGS,
    options: st.SearchStrategy[dict[str, Any]] = _NO_OPTIONS,
    **optional: st.SearchStrategy[Any],
) -> Call:
    """A call of a method. An optional argument is left out as often as it is given."""
    drawn = [draw(each) for each in args]
    given = {name: draw(each) for name, each in optional.items() if draw(st.booleans())}
    return Call(method, (*drawn, *draw(more_args)), {**draw(options), **given})


def _any_call(
    slot: st.SearchStrategy[str],
    field: st.SearchStrategy[str],
    value: st.SearchStrategy[Any],
    ttl: st.SearchStrategy[Any],
) -> st.SearchStrategy[Call]:
    """A call of any method, each as likely as the others."""
    some = st.lists(field, min_size=1, max_size=3)
    condition = st.sampled_from(({"nx": True}, {"xx": True}))
    mapping = st.fixed_dictionaries({"mapping": st.dictionaries(field, value, min_size=1, max_size=3)})
    return st.one_of(
        *(
            _call(name, slot)
            for name in ("get", "exists", "kind", "ttl", "hgetall", "hkeys", "hlen", "key", "delete", "incr")
        ),
        *(_call(name, slot, field) for name in ("hget", "hexists")),
        _call("hmget", slot, st.lists(field, max_size=3)),
        _call("set", slot, value, ttl=ttl),
        _call("set", slot, value, options=condition, ttl=ttl),
        _call("hset", slot, field, value, ttl=ttl),
        _call("hset", slot, options=mapping, ttl=ttl),
        _call("hdel", slot, more_args=some),
        _call("hincrby", slot, field, st.integers(-9, 9) | strategies.INT64),
        _call("incr", slot, st.integers(1, 9) | st.integers(1, 2**63 - 1)),
        _call("touch", ttl=ttl),
        _call("touch", options=st.just({"scan": True}), ttl=ttl),
        _call("purge", scan=st.booleans()),
        _call("create", options=st.fixed_dictionaries({"lifetime": ttl})),
        _call("slots"),
        _call("load", more_args=st.lists(slot, max_size=3)),
    )


@st.composite
def _operations(
    draw: st.DrawFn,
    names: tuple[st.SearchStrategy[str], st.SearchStrategy[str]],
    values: st.SearchStrategy[Any],
    ttls: st.SearchStrategy[Any],
    sizes: tuple[int, int],
) -> list[Call]:
    """The calls of one list share a few slots and fields: they should meet each other."""
    slot, field = (st.sampled_from(draw(st.lists(each, min_size=1, max_size=3, unique=True))) for each in names)
    any_call = _any_call(slot, field, values, ttls)
    # Once a fence stands, all that follows is refused: it should not stand in most lists.
    fenced = _call("purge", options=st.fixed_dictionaries({"fence": ttls}))
    rarely = st.integers(0, 29).flatmap(lambda number: fenced if number == 29 else any_call)
    return draw(st.lists(rarely, min_size=sizes[0], max_size=sizes[1]))


_SLOTS, _FIELDS, _VALUES = strategies.slots(), strategies.fields(), strategies.text_values()
_TTLS = strategies.ttls(min_seconds=60)


def operations(
    *,
    slots: st.SearchStrategy[str] = _SLOTS,
    fields: st.SearchStrategy[str] = _FIELDS,
    values: st.SearchStrategy[Any] = _VALUES,
    ttls: st.SearchStrategy[float | timedelta] = _TTLS,
    min_size: int = 0,
    max_size: int = 20,
) -> st.SearchStrategy[list[Call]]:
    """Lists of calls for a namespace: of all its methods but `with_cas` and `batch`, whose functions are yours to write.

    - `slots`, `fields`: strategies for names. One list keeps to at most three of each, so that its calls meet.
    - `values`: a strategy for values; give `json_values()` to a store with a `JsonCodec`.
    - `ttls`: a strategy for what `ttl=`, `fence=` and `lifetime=` get; unless given, a minute or longer, so that nothing expires
      while a list is run.
    - `min_size`, `max_size`: how many calls.

    Arguments are valid, but a call may well be refused: for a slot of the other type, for a sum beyond 64 bits, or by a
    fence. Raises `TypeError` and `ValueError` for bad sizes.

    >>> from hypothesis import given
    >>> from session_store import InMemoryClient, SessionStore
    >>> @given(operations(max_size=5))
    ... def test_that_nothing_lives_forever(calls: list[Call]) -> None:
    ...     client = InMemoryClient()
    ...     ns = SessionStore(client, prefix="shop", default_ttl=3600).namespace("user-42")
    ...     for call in calls:
    ...         call.on(ns)
    ...     assert all(client.ttl(key) > 0 for key in client.keys())
    """
    if check_count(min_size, "min_size") > check_count(max_size, "max_size"):
        raise ValueError(f"min_size must not exceed max_size, got {min_size} and {max_size}")
    return _operations((slots, fields), values, ttls, (min_size, max_size))
