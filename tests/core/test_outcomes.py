"""What scripts answer is told in one place: every word of theirs is known, and every word that is known is theirs."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from session_store._core import outcomes
from session_store._core.operations import Operation
from session_store._core.outcomes import outcome_of
from session_store._core.replies import read_answer
from session_store.errors import NamespacePurgedError, WrongTypeError

KNOWN = {value.decode() for name, value in vars(outcomes).items() if name.isupper()}


def test_the_words_are_those_of_the_scripts() -> None:
    """In their code, and in the headers that describe it."""
    said, described = set(), set()
    for file in Path(str(files("session_store") / "lua")).rglob("*.lua"):
        for line in file.read_text().splitlines():
            code, _, comment = line.partition("--")
            said |= set(re.findall(r"\{'([a-z]+)'[,}]", code)) - {"list"}
            described |= set(re.findall(r"\{'([a-z]+)'[,}]", comment))
    commands = {word for word in said if word.isupper()}
    assert said - commands == KNOWN
    assert described == KNOWN


@pytest.mark.parametrize("reply", [0, 7, b"7", b"-1", None])
def test_an_answer_is_no_outcome(reply: object) -> None:
    assert outcome_of(reply) is None


@pytest.mark.parametrize("word", sorted(KNOWN))
def test_an_outcome_is_what_a_reply_begins_with(word: str) -> None:
    assert outcome_of([word.encode(), b"fenced"]) == word.encode()


def test_what_an_answer_means() -> None:
    operations = [Operation("set", b"shop:u:a", 1, ()), Operation("hset", b"shop:u:b", 1, ())]
    assert [read_answer(reply, "u", operations) for reply in (3, b"-12", b"9223372036854775807")] == [3, -12, 2**63 - 1]
    with pytest.raises(NamespacePurgedError) as purged:
        read_answer([b"fenced"], "u", operations)
    assert purged.value.namespace == "u"
    with pytest.raises(WrongTypeError) as wrong:
        read_answer([b"type", 2], "u", operations)
    assert (wrong.value.key, wrong.value.operation) == ("shop:u:b", "hset")
