"""The public Hypothesis strategies: what they draw is valid, and reaches the edges that they promise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from session_store import (
    InMemoryClient,
    InvalidNameError,
    JsonCodec,
    Namespace,
    NamespacePurgedError,
    SessionStore,
    TextCodec,
    WrongTypeError,
)
from session_store.testing.calls import Call, Outcome, operations
from session_store.testing.strategies import fields, json_values, namespaces, slots, text_values, ttls

pytestmark = pytest.mark.long

CHECKED = settings(suppress_health_check=[HealthCheck.too_slow])
FOUND = settings(max_examples=20_000, phases=[Phase.generate], derandomize=True, database=None)
STORE = SessionStore(InMemoryClient(), prefix="test", default_ttl=3_600)


def draws(strategy: st.SearchStrategy[Any], condition: Callable[[Any], bool]) -> bool:
    """Whether a strategy draws such a value; if it does not, Hypothesis says so by an error."""
    return condition(find(strategy, condition, settings=FOUND))


@CHECKED
@given(namespaces())
def test_every_namespace_is_accepted(name: str) -> None:
    """By the store, unchanged."""
    assert STORE.namespace(name).name == name


@CHECKED
@given(slots(), fields())
def test_every_slot_and_field_is_accepted_and_names_itself(slot: str, field: str) -> None:
    """It comes back as it was written, and as nothing else."""
    ns = STORE.namespace("names")
    assert ns.hset(slot, field, "x") == 1
    assert ns.slots() == [slot]
    assert ns.hgetall(slot) == {field: "x"}
    assert ns.purge() == 1


@pytest.mark.parametrize("names", [namespaces, slots])
@pytest.mark.parametrize(
    "condition",
    [
        lambda name: "*" in name,
        lambda name: "[" in name,
        lambda name: "\\" in name,
        lambda name: len(name) == 1,
        lambda name: len(name) == len(name.encode()) == 512,
        lambda name: len(name) < len(name.encode()) == 512,
        lambda name: any(ord(letter) > 0xFFFF for letter in name),
    ],
    ids=["star", "bracket", "backslash", "one", "long", "long-in-bytes", "astral"],
)
def test_names_reach_the_edges(names: Any, condition: Callable[[str], bool]) -> None:
    """Glob characters, one letter, the last byte that is allowed, four bytes a letter."""
    assert draws(names(), condition)


def test_the_longest_name_that_is_drawn_is_the_longest_that_is_allowed() -> None:
    """One byte more is refused: a rule that changes is noticed here."""
    with pytest.raises(InvalidNameError):
        STORE.namespace("x" * 513)


@pytest.mark.parametrize("name", [":", "a:b", "a:~index"])
def test_slots_have_colons(name: str) -> None:
    """Only slots do, and such that look like the library's own keys."""
    assert draws(slots(), name.__eq__)


@pytest.mark.parametrize("name", ["", "~index", "\x00", " "])
def test_fields_are_any_text(name: str) -> None:
    """The empty one, those of the index, and characters that no other name has."""
    assert draws(fields(), name.__eq__)


@CHECKED
@given(text_values())
def test_every_text_reads_back(value: str) -> None:
    """Through the codec that it is meant for."""
    codec = TextCodec()
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("value", ["", "007", "-0", str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1)])
def test_texts_reach_the_edges_of_integers(value: str) -> None:
    """What counts as an integer in Redis, and what only looks like one."""
    assert draws(text_values(), value.__eq__)


def test_some_texts_are_too_long_to_be_sent_along() -> None:
    """More than 64 KB, which a snapshot reads when asked for."""
    assert draws(text_values(), lambda value: len(value.encode()) > 65_536)


@settings(CHECKED, max_examples=1_500)
@given(json_values())
def test_every_json_value_reads_back_equal(value: Any) -> None:
    """Through the codec, which would refuse it otherwise."""
    codec = JsonCodec()
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "condition",
    [
        *(lambda value, kind=kind: type(value) is kind for kind in (type(None), bool, int, float, str, list, dict)),
        lambda value: type(value) is int and abs(value) >= 2**64,
        lambda value: type(value) is list and any(type(each) is dict and each for each in value),
    ],
)
def test_json_values_are_of_every_type(condition: Callable[[Any], bool]) -> None:
    """Nested ones and integers of more than 64 bits as well."""
    assert draws(json_values(), condition)


@CHECKED
@given(ttls())
def test_every_ttl_is_accepted(ttl: Any) -> None:
    """As a default, and so everywhere."""
    SessionStore(InMemoryClient(), prefix="test", default_ttl=ttl)


@pytest.mark.parametrize("kind", [int, float, timedelta])
@pytest.mark.parametrize("seconds", [0.001, 10**12])
def test_ttls_reach_both_ends(kind: type, seconds: float) -> None:
    """In every type that can express it: a millisecond, and 10**12 seconds, beyond which all is refused."""

    def is_near(ttl: Any) -> bool:
        value = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        return type(ttl) is kind and (value <= 1 if seconds < 1 else value > 10**10)

    assert draws(ttls(), is_near)
    assert draws(ttls(), lambda ttl: ttl == seconds)
    with pytest.raises(ValueError, match="default_ttl"):
        SessionStore(InMemoryClient(), prefix="test", default_ttl=10**12 + 1)


LIMITS = st.floats(0.001, 10**6)


@CHECKED
@given(st.data(), LIMITS, LIMITS)
def test_ttls_keep_to_their_limits(data: st.DataObject, one: float, other: float) -> None:
    """Also where no whole second or microsecond lies between them."""
    least, most = sorted((one, other))
    for low, high in ((least, most), (least, least)):
        ttl = data.draw(ttls(min_seconds=low, max_seconds=high))
        seconds = ttl / timedelta(microseconds=1) / 1e6 if isinstance(ttl, timedelta) else ttl
        assert low * (1 - 1e-9) <= seconds <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"min_seconds": "60"}, TypeError, "min_seconds must be seconds"),
        ({"max_seconds": True}, TypeError, "max_seconds must be seconds"),
        ({"min_seconds": 0}, ValueError, "in order and from 0.001"),
        ({"min_seconds": 60, "max_seconds": 5}, ValueError, "in order and from 0.001"),
        ({"max_seconds": 10**12 + 1}, ValueError, "in order and from 0.001"),
        ({"min_seconds": float("nan")}, ValueError, "in order and from 0.001"),
    ],
)
def test_bad_limits_are_refused(options: Any, error: type[Exception], rule: str) -> None:
    """When the strategy is made, not when it is used."""
    with pytest.raises(error, match=rule):
        ttls(**options)


EXPECTED = (type(None), WrongTypeError, NamespacePurgedError, ResponseError)


@settings(CHECKED, max_examples=60)
@given(operations())
def test_every_operation_is_valid(calls: list[Call]) -> None:
    """A call may be refused for what is there, but never for its arguments."""
    ns = SessionStore(InMemoryClient(), prefix="test", default_ttl=3_600).namespace("u")
    outcomes = [call.on(ns) for call in calls]
    assert [outcome for outcome in outcomes if type(outcome.raised) not in EXPECTED] == []


@settings(CHECKED, max_examples=60)
@given(operations(values=json_values(), max_size=8))
def test_two_stores_answer_alike(calls: list[Call]) -> None:
    """Outcomes of one list on two servers are equal, whatever the codec."""

    def run() -> list[Outcome]:
        store = SessionStore(InMemoryClient(), prefix="test", default_ttl=3_600, codec=JsonCodec())
        return [call.on(store.namespace("u")) for call in calls if call.method != "ttl"]

    assert run() == run()


METHODS = sorted({name for name in dir(Namespace) if not name.startswith("_")} - {"name", "with_cas", "batch"})


@pytest.mark.parametrize("method", METHODS)
def test_operations_have_every_method(method: str) -> None:
    """A method that is added is one to draw."""
    assert draws(operations(), lambda calls: any(call.method == method for call in calls))


@pytest.mark.parametrize(
    ("method", "option"),
    [("set", "ttl"), ("set", "nx"), ("set", "xx"), ("hset", "mapping"), ("touch", "ttl"), ("purge", "fence")],
)
def test_operations_have_every_option(method: str, option: str) -> None:
    """Options that change what a method does are given at times."""
    assert draws(operations(), lambda calls: any(call.method == method and option in call.options for call in calls))


def test_operations_meet_each_other() -> None:
    """What one call of a list writes, another one reads: most slots come more than once."""

    def finds_what_was_written(calls: list[Call]) -> bool:
        ns = SessionStore(InMemoryClient(), prefix="test", default_ttl=3_600).namespace("u")
        outcomes = [call.on(ns) for call in calls]
        return any(
            call.method in ("get", "hgetall") and outcome.returned
            for call, outcome in zip(calls, outcomes, strict=True)
        )

    assert draws(operations(min_size=2), finds_what_was_written)


@CHECKED
@given(
    operations(slots=st.just("s"), fields=st.just("f"), values=st.just("v"), ttls=st.just(7), min_size=1, max_size=3)
)
def test_operations_keep_to_what_they_are_given(calls: list[Call]) -> None:
    """Names, values, TTLs and sizes of one's own."""
    assert 1 <= len(calls) <= 3
    for call in calls:
        assert call.args[:1] in ((), ("s",))
        assert call.options.get("ttl", 7) == call.options.get("fence", 7) == 7
        assert call.options.get("mapping", {"f": "v"}) == {"f": "v"}


@pytest.mark.parametrize(
    ("sizes", "error"), [({"min_size": 5, "max_size": 2}, ValueError), ({"max_size": "2"}, TypeError)]
)
def test_bad_sizes_are_refused(sizes: Any, error: type[Exception]) -> None:
    """Before anything is drawn."""
    with pytest.raises(error, match="size must"):
        operations(**sizes)


def test_a_call_reads_like_the_code() -> None:
    """A long text is shown by what makes it, a function by its name."""
    assert repr(Call("hset", ("basket", "tea", "1"))) == "hset('basket', 'tea', '1')"
    assert repr(Call("set", ("a", "x" * 70_000), {"ttl": 60})) == "set('a', 'x' * 70000, ttl=60)"
    assert repr(Call("hset", ("a",), {"mapping": {"f": "y" * 99}})) == "hset('a', mapping={'f': 'y' * 99})"
    assert repr(Call("hmget", ("a", ["f", "g"]))) == "hmget('a', ['f', 'g'])"
    assert repr(Call("with_cas", ("a", test_bad_sizes_are_refused))) == "with_cas('a', test_bad_sizes_are_refused)"


def test_outcomes_tell_results_and_errors_apart() -> None:
    """By type as well: 1 is not True. Errors of the library by what they say, others by their type."""
    ns = SessionStore(InMemoryClient(), prefix="test", default_ttl=60).namespace("u")
    assert Call("hset", ("a", "f", "1")).on(ns) == Outcome(1)
    assert Call("hset", ("a",), {"mapping": {"g": "1", "b": "2"}}).on(ns) == Outcome(2)
    assert Call("hkeys", ("a",)).on(ns) == Outcome(["b", "f", "g"])
    refused = Call("get", ("a",)).on(ns)
    assert refused == Outcome(raised=WrongTypeError("test:u:a", "get"))
    assert refused != Outcome(raised=WrongTypeError("test:u:b", "get"))
    assert repr(refused).startswith("raised WrongTypeError(")
    assert Outcome(raised=ResponseError("one")) == Outcome(raised=ResponseError("other"))
    assert Outcome(None) != Outcome(raised=ResponseError("one"))
    assert Outcome(1) != Outcome(True)
    assert Outcome(1) != 1
