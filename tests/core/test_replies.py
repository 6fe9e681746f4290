"""A watched slot as it was sent along: what it answers, and what it knows of itself."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import WrongTypeError
from session_store._core.marks import content_mark
from session_store._core.operations import Operation, commit_args
from session_store._core.replies import Watched

KEY = b"shop:u:a"
FIELDS = [b"f", b"1", b"g", b"2"]
STRING: list[Any] = [b"string", b"m", b"text"]
HASH: list[Any] = [b"hash", b"m", FIELDS]
NONE: list[Any] = [b"none", b""]
LIST: list[Any] = [b"list", b"m"]
LARGE: list[Any] = [b"hash", b"m"]
LARGE_WITH_MARK: list[Any] = [b"string", b"m", None, b"c"]


@pytest.mark.parametrize(
    ("reply", "command", "args", "answer"),
    [
        (STRING, "GET", (), b"text"),
        (STRING, "EXISTS", (), True),
        (STRING, "TYPE", (), b"string"),
        (HASH, "HGET", (b"f",), b"1"),
        (HASH, "HGET", (b"no",), None),
        (HASH, "HMGET", (b"g", b"no", b"f"), [b"2", None, b"1"]),
        (HASH, "HGETALL", (), {b"f": b"1", b"g": b"2"}),
        (HASH, "HKEYS", (), [b"f", b"g"]),
        (HASH, "HLEN", (), 2),
        (HASH, "HEXISTS", (b"f",), True),
        (HASH, "HEXISTS", (b"no",), False),
        (HASH, "TYPE", (), b"hash"),
        (NONE, "GET", (), None),
        (NONE, "HGETALL", (), {}),
        (NONE, "HMGET", (b"f",), [None]),
        (NONE, "HLEN", (), 0),
        (NONE, "EXISTS", (), False),
        (NONE, "TYPE", (), b"none"),
        (LIST, "EXISTS", (), True),
        (LIST, "TYPE", (), b"list"),
    ],
)
def test_it_answers_as_the_server_would_have(
    reply: list[Any], command: str, args: tuple[bytes, ...], answer: Any
) -> None:
    slot = Watched(reply)
    assert slot.answer(command, KEY, args) == answer
    assert slot.answer(command, KEY, args) == answer
    assert not slot.is_large
    assert not slot.is_changed


@pytest.mark.parametrize(("reply", "command"), [(STRING, "HGETALL"), (HASH, "GET"), (LIST, "GET"), (LIST, "HLEN")])
def test_another_type_is_the_error_of_a_single_call(reply: list[Any], command: str) -> None:
    with pytest.raises(WrongTypeError) as raised:
        Watched(reply).answer(command, KEY, ())
    assert (raised.value.key, raised.value.operation) == (KEY.decode(), command.lower())


@pytest.mark.parametrize(
    ("reply", "mark"),
    [
        (STRING, content_mark("string", b"text")),
        (HASH, content_mark("hash", FIELDS)),
        (NONE, b""),
        (LIST, b""),  # not known: the first mark alone decides
        (LARGE, b""),
        (LARGE_WITH_MARK, b"c"),  # as the server has worked it out
    ],
)
def test_it_knows_the_mark_of_what_it_was_given(reply: list[Any], mark: bytes) -> None:
    assert Watched(reply).content_mark == mark


def test_what_is_too_large_is_not_held() -> None:
    assert [Watched(reply).is_large for reply in (LARGE, LARGE_WITH_MARK, LIST, NONE)] == [True, True, False, False]


def test_a_later_read_of_a_large_one_tells_whether_it_is_what_it_was() -> None:
    """Another order of its table is the next look's mark; another content cannot be undone by a later read."""
    slot = Watched(LARGE)
    assert slot.noticed([1, b"m2", b"read"]) == b"read"
    assert (slot.mark, slot.is_changed) == (b"m2", False)
    assert slot.noticed([0, b"m3", b"other"]) == b"other"
    assert (slot.mark, slot.is_changed) == (b"m2", True)
    slot.noticed([1, b"m2", b"read"])
    assert slot.is_changed


def test_a_commit_names_each_slot_once_and_the_watched_ones_first() -> None:
    """Operations tell slots by their number in KEYS, and how many arguments are theirs."""
    watched = {b"a": Watched(STRING), b"b": Watched(LARGE)}
    operations = [
        Operation("hset", b"c", 5, (b"f", b"1")),
        Operation("delete", b"b", 6, ()),
        Operation("set", b"c", -7, ("nx", b"v")),
    ]
    for by_content, mark in ((False, b""), (True, content_mark("string", b"text"))):
        keys, args = commit_args(watched, operations, by_content=by_content)
        assert keys == (b"a", b"b", b"c")
        assert args == (
            *(2, b"m", mark, b"m", b""),
            *("hset", 4, 5, 2, b"f", b"1"),
            *("delete", 3, 6, 0),
            *("set", 4, -7, 2, "nx", b"v"),
        )
    assert commit_args({}, []) == ((), (0,))


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (NONE, NONE, True),
        (LIST, LIST, True),
        (STRING, [b"string", b"other", b"text"], True),
        (STRING, [b"string", b"other", b"tex"], False),
        (HASH, [b"hash", b"other", [*FIELDS[2:], *FIELDS[:2]]], True),
        (HASH, [b"hash", b"other", [*FIELDS[:-1], b"x"]], False),
        (HASH, NONE, False),
        (NONE, HASH, False),
        (STRING, [b"list", b"other"], False),
        (LIST, [b"list", b"other"], False),
        (LARGE, [b"hash", b"other"], False),
        (LARGE_WITH_MARK, [b"string", b"other", None, b"c"], True),
        (LARGE_WITH_MARK, [b"string", b"other", None, b"d"], False),
        ([b"hash", b"other", None, content_mark("hash", FIELDS)], HASH, True),  # other settings: it is small now
    ],
)
def test_what_holds_the_same(before: Any, now: Any, same: bool) -> None:
    """In any order of fields; where contents were not sent along, their marks decide, and without these nobody can tell."""
    assert Watched(before).holds_the_same(Watched(now)) is same
