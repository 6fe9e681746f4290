"""Names are allowed as docs/namespaces.md says, character by character; odd ones by the thousand go where they should."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import redis
from hypothesis import Phase
from security import fuzz, wire
from security.inputs import BATCH, INJECTION, Input, is_name, wrong_argument

from session_store import InvalidNameError
from session_store._core.names import KeySpace, encode_field, slot_key

pytestmark = pytest.mark.long

INPUTS = 1_000  # `make faults` takes 200,000


@pytest.mark.parametrize("flavour", ["sync", "async"])
def test_a_thousand_odd_names(flavour: str) -> None:
    """The same in every run; `make faults` draws others."""
    checked = fuzz.run(INPUTS, 1, flavour)
    assert checked.inputs >= INPUTS
    assert checked.accepted > INPUTS / 4
    assert checked.inputs - checked.accepted > INPUTS / 4
    assert checked.scans > INPUTS / BATCH / 2


def is_allowed(check: Any, name: str) -> bool:
    try:
        check(name)
    except InvalidNameError:
        return False
    return True


def test_every_character_is_allowed_or_refused_as_the_page_says() -> None:
    """At the beginning of a name, and in it: all 1,114,112."""
    base = KeySpace("shop", hash_tags=False).base
    for letter in map(chr, range(sys.maxunicode + 1)):
        may = is_name(letter)
        assert is_allowed(base, letter) == (may and letter not in ":~")
        if not may or letter in "~:":
            assert is_allowed(base, f"a{letter}b") == (may and letter != ":")
            assert is_allowed(lambda name: slot_key("shop:u:", name), f"a{letter}b") == may
            assert is_allowed(lambda name: slot_key("shop:u:", name), letter) == (may and letter != "~")
    assert is_allowed(encode_field, "".join(map(chr, range(0xD800))) + "\U0010ffff")
    assert not any(is_allowed(encode_field, f"a{chr(number)}") for number in range(0xD800, 0xE000))


@pytest.mark.parametrize(
    "data",
    [
        b"*1\r\n$4\r\nPING\r\nPING\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nb\r\n",
        b"*2\r\n$3\r\nGET\r\n$5\r\na" + INJECTION.encode() + b"\r\n",
        b"*1\r\n$4\r\nPING\n\n",
        b"GET a\r\n",
        b"*01\r\n$4\r\nPING\r\n",
    ],
)
def test_what_is_no_command_is_seen_on_the_wire(data: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        wire.check(data)


def test_what_is_a_command_may_hold_anything() -> None:
    wire.check(wire.encoded((b"SET", INJECTION.encode(), b"")) + wire.encoded((b"EXEC",)))


def unescaped(base: str) -> bytes:
    return f"{base}*".encode()


DEFECTS = {
    "patterns that are not escaped": ("session_store._sync.bulk.base_pattern", unescaped),
    "a pattern that escapes too much": ("session_store._sync.bulk.base_pattern", lambda base: b"\\*"),
    "keys without a colon": ("session_store._core.names.KeySpace.written", lambda self, name: f"{self.prefix}:{name}"),
    "no rules": ("session_store._core.names._is_name", lambda name, forbidden: bool(name)),
    "no rule for lengths": ("session_store._core.names._MAX_BYTES", 513),
    "no hash tags": ("session_store._core.names.KeySpace.written", lambda self, name: f"{self.prefix}:{name}:"),
    "an index taken for another's": ("session_store._core.names.KeySpace.namespace_of_index", lambda self, key: "a"),
}


@pytest.mark.parametrize(("place", "broken"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_is_noticed(place: str, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a thousand inputs, in whatever way."""
    monkeypatch.setattr(place, broken)
    with pytest.raises((AssertionError, ValueError, redis.RedisError)):
        fuzz.run(INPUTS, 0, "sync", phases=[Phase.generate])


def test_inputs_are_odd_in_every_way() -> None:
    found: list[Input] = []
    fuzz.drawn(4_000, 0, found.extend)
    assert {wrong_argument(each) for each in found} == {None, "prefix", "namespace", "slot", "field"}
    good = [each for each in found if wrong_argument(each) is None]
    assert {len(each.namespace.encode()) for each in good} >= {1, 2, 511, 512}
    assert {each.hash_tags for each in good} == {False, True}
    for sign in ("*", "?", "[a]", "\\", "~", "\u200b", "e\u0301"):
        assert any(sign in each.namespace for each in good)
        assert any(sign in each.slot for each in good)
    assert any(INJECTION in each.field for each in good)
