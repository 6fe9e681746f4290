"""Errors say what happened, carry their facts, and travel between processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import session_store
from session_store import errors
from session_store._core.arguments import kind_of, shorten
from session_store._core.names import KeySpace, encode_field, slot_key
from session_store.errors import InvalidNameError, SessionStoreError

EXAMPLES = [
    errors.InvalidNameError("slot", "a b", "must be a str without whitespace", "a str with ' ' at index 1"),
    errors.WrongTypeError("shop:u:h", "set"),
    errors.CasContentionError("shop:u:n", 4),
    errors.CommitUnknownError("shop:u:n", 4),
    errors.NamespacePurgedError("u"),
    errors.NestedCasError("u"),
    errors.CodecError("shop:u:a"),
    errors.CodecError("shop:u:a", True),
    errors.ReplicationError("shop:u:a", 1, 2),
    errors.RevisionConflictError(1, 2),
]
TEXTS = [
    "slot must be a str without whitespace, got a str with ' ' at index 1",
    "set: the slot holds another type of value; use another one, or delete it first (attribute key tells which)",
    "others were faster during each of 4 attempts (attribute key tells the slot)",
    "no reply came to a commit, and after 4 attempts none can be had (attribute key tells the slot)",
    "the namespace has ended, or an existing one is wanted and there is none (attribute namespace tells which)",
    "with_cas inside a closure of the same namespace; give one call all the slots",
    "the codec cannot read what the slot holds (attribute key tells the slot)",
    (
        "the slot, or a field of it, holds a plain integer, as incr and hincrby write it: "
        "EncryptedCodec(.., plain_integers=True) reads it; without, hincrby(slot, field, 0) gives a field's, and "
        "incr(slot) the next id (attribute key tells the slot)"
    ),
    "the write was done, but 1 replicas have it and not 2 (attribute key tells the slot)",
    "it was changed since: 1 was expected, and it is 2 by now",
]
NAMES = {
    "prefix": lambda name: KeySpace(name, hash_tags=False),
    "namespace": KeySpace("shop", hash_tags=False).base,
    "slot": lambda name: slot_key("shop:u:", name),
    "field": encode_field,
}


@pytest.mark.parametrize("hand_on", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: SessionStoreError, hand_on: Callable[[Any], Any]) -> None:
    copied = hand_on(error)
    assert type(copied) is type(error)
    assert vars(copied) == vars(error)
    assert vars(copied)
    assert (str(copied), repr(copied), copied.args) == (str(error), repr(error), error.args)


@pytest.mark.parametrize(
    ("error", "text"), list(zip(EXAMPLES, TEXTS, strict=True)), ids=lambda each: type(each).__name__
)
def test_a_text_says_what_happened_without_a_name(error: SessionStoreError, text: str) -> None:
    """Names are in the attributes that it points to."""
    assert str(error) == text
    assert repr(error) == f"{type(error).__name__}({text!r})"


@pytest.mark.parametrize(
    ("argument", "name", "found"),
    [
        ("prefix", "my_shop", "a str of 7 characters with '_' at index 2"),
        ("prefix", "", "an empty str"),
        ("namespace", "user:4711", "a str of 9 characters with ':' at index 4"),
        ("namespace", "user\n", "a str of 5 characters with '\\n' at index 4"),
        ("namespace", "us\ud800er", "a str of 5 characters with '\\ud800' at index 2"),
        ("namespace", "x" * 513, "a str of 513 bytes"),
        ("namespace", "~dir", "a str of 4 characters with '~' at index 0"),
        ("slot", "é" * 257, "a str of 514 bytes"),
        ("slot", "~index", "a str of 6 characters with '~' at index 0"),
        ("slot", "a{b}", "a str of 4 characters with '{' at index 1"),
        ("slot", "", "an empty str"),
        ("slot", b"basket", "bytes"),
        ("slot", None, "None"),
        ("field", "a\udfffb", "a str of 3 characters with '\\udfff' at index 1"),
        ("field", 5, "int"),
    ],
)
def test_a_name_that_breaks_a_rule_is_described_and_not_shown(argument: str, name: Any, found: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        NAMES[argument](name)
    error = caught.value
    assert (error.argument, error.value, error.found) == (argument, name, found)
    assert str(error) == f"{argument} {error.rule}, got {found}"
    assert error.__context__ is None


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


def test_a_refused_value_is_told_by_its_type() -> None:
    assert [kind_of(each) for each in ("x", None, 5, str, [])] == ["str", "None", "int", "the class str", "list"]


def test_long_values_are_shortened() -> None:
    assert shorten("x" * 1000) == f"'{'x' * 79}... (1002 characters)"
    assert shorten(10**5000) == "a very long int"
    assert shorten(b"short") == "b'short'"
