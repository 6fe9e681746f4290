"""The checker of histories: what it explains, and what it does not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from support import histories
from support.draws import ADD_ONE, Draws, add_one, belongs, look, move, refuse
from support.histories import Call, Explanation, Undecided, explained
from support.spaces import Interruption, Program, Refusal, Space


def history(*calls: tuple[Any, ...]) -> list[Call]:
    """Calls as (start, end, method and arguments, result) or, with an error as the fifth, how often they were sent."""
    made = []
    for number, (start, end, what, result, *rest) in enumerate(calls):
        error, sent = (*rest, 1)[:2] if rest else ("", 1)
        program = what if isinstance(what, Program) else None
        method, *args = ("with_cas",) if program else what
        options = args.pop() if args and isinstance(args[-1], dict) else {}
        call = Call(number, method, tuple(args), options, program, start, end, error=error, sent=sent)
        call.result = result
        made.append(call)
    return made


SET_A, SET_B, GET = ("set", "a", "1"), ("set", "a", "2"), ("get", "a")
ADD = ("hincrby", "h", "f", 1)
UNKNOWN = "ConnectionError"


@pytest.mark.parametrize(
    ("calls", "contents", "is_explained"),
    [
        # One after the other.
        ([(1, 2, SET_A, True), (3, 4, GET, "1")], {"a": "1"}, True),
        ([(1, 2, SET_A, True), (3, 4, GET, None)], {"a": "1"}, False),
        ([(1, 2, SET_A, True)], {}, False),
        ([], {"a": "1"}, False),
        # Together: either may come first.
        ([(1, 4, SET_A, True), (2, 3, SET_B, True), (5, 6, GET, "1")], {"a": "1"}, True),
        ([(1, 4, SET_A, True), (2, 3, SET_B, True), (5, 6, GET, "2")], {"a": "2"}, True),
        ([(1, 4, SET_A, True), (2, 3, SET_B, True), (5, 6, GET, "2")], {"a": "1"}, False),
        # An id twice, and an id that was never given; one that was lost on its way is no mistake.
        ([(1, 3, ("incr", "n"), 1), (2, 4, ("incr", "n"), 2)], {"n": "2"}, True),
        ([(1, 3, ("incr", "n"), 1), (2, 4, ("incr", "n"), 1)], {"n": "1"}, False),
        ([(1, 3, ("incr", "n"), 1), (2, 4, ("incr", "n"), 3)], {"n": "3"}, False),
        ([(1, 2, ("incr", "n"), None, UNKNOWN), (3, 4, ("incr", "n"), 2)], {"n": "2"}, True),
        # Without an outcome: once, at any time after its start, or never; never when it was not sent.
        ([(1, 2, SET_A, None, UNKNOWN)], {"a": "1"}, True),
        ([(1, 2, SET_A, None, UNKNOWN)], {}, True),
        ([(1, 2, SET_A, None, UNKNOWN, 0)], {"a": "1"}, False),
        ([(1, 2, SET_A, None, UNKNOWN), (3, 4, SET_B, True), (5, 6, GET, "2")], {"a": "1"}, True),
        ([(1, 2, SET_A, None, UNKNOWN), (3, 4, GET, "1"), (5, 6, GET, None)], {"a": "1"}, False),
        ([(3, 4, SET_A, None, UNKNOWN), (1, 2, GET, "1")], {"a": "1"}, False),
        ([(1, 2, ADD, None, UNKNOWN, 3)], {"h": {"f": "2"}}, False),
        # A counter goes on above what it gave, also after a `set`; a deleted one begins anew.
        ([(1, 2, ("incr", "n", 5), 5), (3, 4, ("set", "n", "2"), True), (5, 6, ("incr", "n"), 6)], {"n": "6"}, True),
        ([(1, 2, ("incr", "n"), 1), (3, 4, ("delete", "n"), True), (5, 6, ("incr", "n"), 1)], {"n": "1"}, True),
        # The wrong type, rightly and wrongly.
        ([(1, 2, SET_A, True), (3, 4, ("hget", "a", "f"), None, "WrongTypeError")], {"a": "1"}, True),
        ([(3, 4, ("hget", "a", "f"), None, "WrongTypeError")], {}, False),
        ([(1, 2, SET_A, None, "ResponseError")], {}, False),
        # Of a hash.
        ([(1, 2, ("hset", "h", "f", "1"), 1), (3, 4, ("hdel", "h", "f", "g"), 1)], {}, True),
        ([(1, 2, ("hset", "h", "f", "1"), 1), (3, 4, ("hkeys", "h"), ("f",))], {"h": {"f": "1"}}, True),
        ([(1, 2, ("hset", "h", "f", "1"), 1), (3, 4, ("hset", "h", "f", "2"), 1)], {"h": {"f": "2"}}, False),
    ],
)  # fmt: skip
def test_single_calls(calls: list[tuple[Any, ...]], contents: dict[str, Any], *, is_explained: bool) -> None:
    assert explained(history(*calls), contents) is is_explained


@pytest.mark.parametrize(
    ("calls", "contents", "is_explained"),
    [
        # A commit is doubled, lost, unknown, or certainly not made.
        ([(1, 3, add_one(), 1), (2, 4, add_one(), 2)], {"total": "2"}, True),
        ([(1, 3, add_one(), 1), (2, 4, add_one(), 1)], {"total": "1"}, False),
        ([(1, 2, add_one(), 1)], {"total": "2"}, False),
        ([(1, 2, add_one(), None, "CommitUnknownError")], {"total": "1"}, True),
        ([(1, 2, add_one(), None, "CommitUnknownError", 4)], {"total": "2"}, False),
        ([(1, 2, add_one(), None, "CancelledError")], {"total": "1"}, True),
        ([(1, 2, add_one(), None, "ConnectionError")], {}, True),
        ([(1, 2, add_one(), None, "ConnectionError")], {"total": "1"}, False),
        ([(1, 2, add_one(), None, "CasContentionError")], {"total": "1"}, False),
        # Two slots at one moment.
        ([(1, 2, SET_A, True), (3, 4, move("a", "b"), "1")], {"b": "1"}, True),
        ([(1, 2, SET_A, True), (3, 4, move("a", "b"), "1")], {"a": "1", "b": "1"}, False),
        ([(1, 2, SET_A, True), (3, 6, move("a", "b"), "1"), (4, 5, look(), ("1", None))], {"b": "1"}, True),
        ([(1, 2, SET_A, True), (3, 6, move("a", "b"), "1"), (4, 5, look(), (None, None))], {"b": "1"}, False),
        # One without an outcome after another.
        (
            [(1, 2, SET_A, None, UNKNOWN), (1, 2, move("a", "b"), None, "CancelledError"), (3, 4, ("get", "b"), "1")],
            {"b": "1"},
            True,
        ),
        # What a closure raises, it has seen, and nothing is written.
        ([(1, 2, refuse("7", Refusal), (None,), "Refusal")], {}, True),
        ([(1, 2, refuse("7", Refusal), (None,), "Refusal")], {"a": "a.7"}, False),
        ([(1, 2, refuse("7", Interruption), ("1",), "Interruption")], {}, False),
    ],
)
def test_commits(calls: list[tuple[Any, ...]], contents: dict[str, Any], *, is_explained: bool) -> None:
    assert explained(history(*calls), contents) is is_explained


PURGE, FENCE, PURGED = ("purge", {}), ("purge", {"fence": 60}), "NamespacePurgedError"


@pytest.mark.parametrize(
    ("calls", "contents", "is_explained"),
    [
        ([(1, 2, SET_A, True), (3, 4, PURGE, 1)], {}, True),
        ([(1, 2, SET_A, True), (3, 4, PURGE, 0)], {}, False),
        ([(1, 2, SET_A, True), (3, 4, PURGE, 1)], {"a": "1"}, False),
        # Sent again, it counts what the last one found.
        ([(1, 2, SET_A, True), (3, 4, PURGE, 0, "", 2)], {}, True),
        # A fence refuses what comes after it, and nothing else is refused.
        ([(1, 2, FENCE, 0), (3, 4, SET_A, None, "NamespacePurgedError")], {}, True),
        ([(1, 2, FENCE, 0), (3, 4, SET_A, True)], {"a": "1"}, False),
        ([(1, 2, PURGE, 0), (3, 4, SET_A, None, "NamespacePurgedError")], {}, False),
        ([(1, 2, FENCE, 0), (3, 4, add_one(), None, "NamespacePurgedError")], {}, True),
        # It forgets what was recognised: what was sent twice may come back, what was sent once may not.
        ([(1, 2, SET_A, True, "", 2), (3, 4, PURGE, 1)], {"a": "1"}, True),
        ([(1, 2, ("incr", "n"), 1, "", 2), (3, 4, ("incr", "n"), 2)], {"n": "3"}, False),
        ([(1, 2, PURGE, 0), (3, 4, ADD, None, UNKNOWN, 3)], {"h": {"f": "1"}}, True),
        ([(1, 2, PURGE, 0), (3, 4, ADD, None, UNKNOWN, 3)], {"h": {"f": "2"}}, False),
        ([(1, 2, ADD, None, UNKNOWN, 3), (3, 4, PURGE, 1)], {"h": {"f": "1"}}, True),
        ([(1, 2, ADD, None, UNKNOWN, 3), (3, 4, PURGE, 1)], {"h": {"f": "2"}}, False),
        # A fence may stand before anything is deleted, and be all that a purge without an outcome leaves; without a
        # fence there is no such step.
        ([(1, 2, SET_A, True), (3, 4, FENCE, None, UNKNOWN), (5, 6, SET_B, None, PURGED)], {"a": "1"}, True),
        ([(1, 2, SET_A, True), (3, 4, PURGE, None, UNKNOWN), (5, 6, SET_B, None, PURGED)], {"a": "1"}, False),
        ([(1, 2, SET_A, True), (3, 4, FENCE, None, UNKNOWN, 0), (5, 6, SET_B, None, PURGED)], {"a": "1"}, False),
        ([(1, 2, SET_A, True), (3, 8, FENCE, 1), (4, 5, SET_B, None, PURGED), (6, 7, GET, "1")], {}, True),
        ([(1, 2, SET_A, True), (3, 8, PURGE, 1), (4, 5, SET_B, None, PURGED), (6, 7, GET, "1")], {}, False),
        # The scan of a purge may find what has come up since.
        ([(1, 4, ("purge", {"scan": True}), 1), (2, 3, SET_A, True)], {}, True),
        ([(1, 4, ("purge", {"scan": True}), 0), (2, 3, SET_A, True)], {"a": "1"}, True),
        ([(1, 4, ("purge", {"scan": True}), 1), (2, 3, SET_A, True)], {"a": "1"}, False),
        ([(1, 2, SET_A, True), (3, 6, ("purge", {"scan": True}), 2), (4, 5, SET_B, True)], {}, True),
        ([(1, 2, SET_A, True), (3, 6, ("purge", {"scan": True}), 3), (4, 5, SET_B, True)], {}, False),
    ],
)
def test_purges(calls: list[tuple[Any, ...]], contents: dict[str, Any], *, is_explained: bool) -> None:
    assert explained(history(*calls), contents) is is_explained


TWO = [(1, 2, SET_A, True), (3, 4, ("set", "b", "2"), True)]
DELETE = (6, 7, ("delete", "a"), True)
LEFT = {"b": "2"}


@pytest.mark.parametrize(
    ("calls", "contents", "is_explained"),
    [
        ([*TWO, (5, 6, ("slots",), ("a", "b"))], {"a": "1", **LEFT}, True),
        ([*TWO, (5, 6, ("slots",), ("a",))], {"a": "1", **LEFT}, False),
        ([*TWO, (5, 6, ("touch",), 2)], {"a": "1", **LEFT}, True),
        ([*TWO, (5, 6, ("touch",), 1)], {"a": "1", **LEFT}, False),
        ([*TWO, (5, 6, ("namespaces",), False)], {"a": "1", **LEFT}, False),
        # Two round trips: what goes in between may be counted or not, what comes is not.
        ([*TWO, (5, 8, ("slots",), ("b",)), DELETE], LEFT, True),
        ([*TWO, (5, 8, ("touch",), 1), DELETE], LEFT, True),
        ([*TWO, (5, 8, ("touch",), 2), DELETE], LEFT, True),
        ([*TWO, (5, 8, ("touch",), 0), DELETE], LEFT, False),
        ([(1, 4, ("slots",), ("a", "b")), (2, 3, SET_A, True)], {"a": "1"}, False),
        ([(1, 2, SET_A, True), (3, 6, ("touch",), 0), (4, 5, move("a", "b"), "1")], {"b": "1"}, True),
        ([(1, 2, SET_A, True), (3, 6, ("namespaces",), False), (4, 5, move("a", "b"), "1")], {"b": "1"}, True),
        # Each slot is looked at for itself: two that never lived together may both be there.
        ([(1, 2, SET_A, True), (3, 6, ("slots",), ("b",)), (4, 5, move("a", "b"), "1")], {"b": "1"}, True),
        ([(1, 2, SET_A, True), (3, 6, ("slots",), ("a", "b")), (4, 5, move("a", "b"), "1")], {"b": "1"}, False),
    ],
)
def test_calls_in_two_steps(calls: list[tuple[Any, ...]], contents: dict[str, Any], *, is_explained: bool) -> None:
    assert explained(history(*calls), contents) is is_explained


def test_too_many_orders_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not taken for an explanation, nor for a mistake."""
    monkeypatch.setattr(histories, "MOST_NODES", 1_000)
    calls = [(1, 99, ("incr", "n", 2**number), None, UNKNOWN) for number in range(20)]
    with pytest.raises(Undecided):
        explained(history(*calls), {"n": "-1"})


def test_many_unknown_calls_elsewhere_do_not_matter() -> None:
    """What nobody has seen is put off to where it matters, so it costs nothing."""
    lost = [(1, 2, ("set", f"s{number}", "x"), None, UNKNOWN) for number in range(30)]
    wrong = [(3, 4, SET_A, True), (5, 6, GET, "2")]
    explanation = Explanation(history(*lost, *wrong), {"a": "1"})
    assert not explanation.find()
    assert explanation.tried < 100


def happened(seed: int) -> tuple[list[Call], dict[str, Any]]:
    """A history that has happened: drawn calls that overlap, of which some were not answered, and some of those late."""
    chance, draws, space = random.Random(seed), Draws(seed, purges=seed % 3 == 0), Space()
    calls = [call for call in (draws.call() for _ in range(20)) if call.method not in ("touch", "slots", "namespaces")]
    moments = []
    for place, call in enumerate(calls):
        call.start, call.end, call.sent = place - 3 * chance.random(), place + 3 * chance.random(), 1
        call.options.pop("scan", None)
        unanswered = chance.random() < 0.3
        if unanswered:
            call.error = "CancelledError"
        if not unanswered or chance.random() < 0.7:
            moments.append((place + 20 * chance.random() if unanswered else place, call))
    for _, call in sorted(moments, key=lambda moment: moment[0]):
        space, result, error = space.after(call)
        if call.error != "CancelledError":
            call.result, call.error = result, error
    return calls, space.slots


@pytest.mark.parametrize("seed", range(60))
def test_what_has_happened_is_explained(seed: int) -> None:
    assert explained(*happened(seed))


@pytest.mark.parametrize("seed", range(60))
def test_what_cannot_have_happened_is_not(seed: int) -> None:
    """One result of those, or one slot in the end, is not what it was."""
    calls, contents = happened(seed)
    told = [call for call in calls if not call.error and call.program is None]
    random.Random(seed).choice(told).result = "nobody wrote this"
    assert not explained(calls, contents)
    calls, contents = happened(seed)
    assert not explained(calls, {**contents, "b": "nobody wrote this"})


def test_draws_are_those_of_the_seed() -> None:
    """The same seed draws the same calls; purges are drawn only where they are asked for."""

    def draw(seed: object, *, purges: bool) -> list[str]:
        draws = Draws(seed, purges=purges)
        return [str(draws.call()) for _ in range(1_000)]

    assert draw(1, purges=True) == draw(1, purges=True) != draw(2, purges=True)
    methods = {words.split()[1].split("(")[0] for words in draw(1, purges=True)}
    assert methods - {words.split()[1].split("(")[0] for words in draw(1, purges=False)} == {"purge"}
    assert methods >= {
        "get", "set", "delete", "exists", "ttl", "hget", "hmget", "hset", "hdel", "hgetall", "hkeys", "hlen", "hexists",
        "hincrby", "incr", "touch", "slots", "namespaces", "with_cas",
    }  # fmt: skip
    assert any(ADD_ONE in words for words in draw(1, purges=False))


@pytest.mark.parametrize(
    ("what", "result", "is_answer"),
    [
        (("get", "a"), "b.7", True),  # which a closure has moved
        (("get", "a"), "h.7", False),
        (("get", "a"), True, False),
        (("exists", "a"), True, True),
        (("exists", "a"), 1, False),
        (("hget", "h", "f"), "a.7", False),
        (("hgetall", "h"), (("f", "h.1"), ("sum", "5")), True),
        (("hgetall", "h"), (("f", "a.1"),), False),
        (("incr", "n"), 4, True),
        (("incr", "n"), "4", False),
        (("slots",), ("a", "h"), True),
        (("slots",), 2, False),
    ],
)
def test_answers_to_other_calls_are_told(what: tuple[Any, ...], result: Any, *, is_answer: bool) -> None:
    (call,) = history((1, 2, what, result))
    assert belongs(call) is is_answer
