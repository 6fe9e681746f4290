"""The judge of the tests here says so when something is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster.ledger import Found, Ledger, Verdict, judge

SOUND = Found(total=2, commits=frozenset({"a", "b"}), fields=frozenset({"f"}), last_id=3)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    for mark, answer in (("a", "acknowledged"), ("b", "unknown"), ("c", "unknown"), ("d", "refused")):
        ledger.note_commit(mark, answer)
    ledger.note_field("f", "acknowledged")
    for number in (1, 3, None):
        ledger.note_id(number)
    return ledger


def test_what_may_be_is_sound(ledger: Ledger) -> None:
    """Of two unknown commits one has happened, and the unknown id was 2."""
    verdict = judge(ledger, SOUND)
    assert verdict.wrong() == {}
    assert (verdict.calls, verdict.commits, verdict.ids, verdict.fields, verdict.unknown) == (8, 1, 2, 1, 3)
    assert (verdict.total, verdict.lost_fields) == (2, 0)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"total": 3}, {"doubled": 1}),
        ({"total": 1}, {"doubled": 1}),
        ({"total": 3, "commits": frozenset({"a", "b", "x"})}, {"doubled": 1}),
        ({"last_id": 4}, {"doubled": 1}),
        ({"total": 3, "commits": frozenset({"a", "b", "d"})}, {"undead": 1}),
        ({"total": 1, "commits": frozenset({"b"})}, {"lost_commits": 1}),
        ({"last_id": 2}, {"repeated_ids": 1}),
        ({"without_ttl": 2}, {"without_ttl": 2}),
    ],
    ids=["added-twice", "half-a-commit", "by-nobody", "id-too-many", "refused-yet-done", "lost", "id-lost", "no-ttl"],
)
def test_what_must_not_be_is_told(ledger: Ledger, found: dict[str, Any], wrong: dict[str, int]) -> None:
    assert judge(ledger, replace(SOUND, **found)).wrong() == wrong


def test_ids_that_were_given_twice(ledger: Ledger) -> None:
    ledger.note_id(1)
    assert judge(ledger, SOUND).wrong() == {"repeated_ids": 1}


def test_fields_that_are_lost(ledger: Ledger) -> None:
    assert judge(ledger, replace(SOUND, fields=frozenset())).lost_fields == 1


@pytest.mark.parametrize("answer", ["w-2", b"w-1", None, True])
def test_answers_of_other_calls(ledger: Ledger, answer: object) -> None:
    ledger.check_answer(answer, "w-1", 1)
    assert judge(ledger, SOUND).wrong() == {"crossed": 1}


def test_what_replication_may_lose_is_told_apart(ledger: Ledger) -> None:
    verdict = judge(ledger, Found(total=0, commits=frozenset(), fields=frozenset(), last_id=0, without_ttl=1))
    assert verdict.wrong(replication_may_lose=True) == {"without_ttl": 1}
    assert verdict.wrong() == {"without_ttl": 1, "lost_commits": 1, "repeated_ids": 2}


def test_verdicts_add_up(ledger: Ledger) -> None:
    ledger.note_error(ValueError())
    verdict = judge(ledger, SOUND) + judge(ledger, replace(SOUND, total=5)) + Verdict()
    assert (verdict.calls, verdict.total, verdict.doubled) == (16, 7, 3)
    assert verdict.errors == {"ValueError": 2}
