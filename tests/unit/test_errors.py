"""Errors say what happened, carry their facts, and travel between processes."""

from __future__ import annotations

import pickle

import pytest

import session_store
from session_store import errors
from session_store._core.arguments import shorten
from session_store.errors import SessionStoreError

EXAMPLES = [
    errors.InvalidNameError("slot", "a b", "must be a str without whitespace"),
    errors.WrongTypeError("shop:u:h", "set"),
    errors.CasContentionError("shop:u:n", 4),
    errors.CommitUnknownError("shop:u:n", 4),
    errors.NamespacePurgedError("u"),
    errors.NestedCasError("u"),
    errors.CodecError("shop:u:a"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: SessionStoreError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert vars(copy)
    assert str(copy) == str(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_message_names_the_facts(error: SessionStoreError) -> None:
    for fact in error.args:
        if fact != getattr(error, "operation", None):
            assert str(fact) in str(error)


def test_every_error_is_in_the_list_and_public() -> None:
    """A new one has to be added to the examples, and to the public names."""
    found = {
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, SessionStoreError) and thing is not SessionStoreError
    }
    assert found == {type(error) for error in EXAMPLES}
    assert {thing.__name__ for thing in found} < set(session_store.__all__)


def test_a_bad_name_is_a_value_error() -> None:
    assert isinstance(EXAMPLES[0], ValueError)


def test_long_values_are_shortened() -> None:
    assert shorten("x" * 1000) == f"'{'x' * 79}... (1002 characters)"
    assert shorten(10**5000) == "a very long int"
    assert shorten(b"short") == "b'short'"
