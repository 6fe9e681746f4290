"""What a bell says, and what is none."""

from __future__ import annotations

import pytest

from session_store.channels._core.records import Bell, event_of, parts_of, read_bell, rung_as


@pytest.mark.parametrize("data", [b"", b"token", "é🍵".encode(), bytes(range(256)), b"a|b 1 x"])
@pytest.mark.parametrize("ended", ["", "x"])
def test_an_event_that_is_rung(data: bytes, ended: str) -> None:
    """Is read as it was, and is ASCII on its way: a client may decode what it hears."""
    event = event_of("a kind: ä", data)
    how, rung = rung_as(event)
    bell = b"0123abcd 7 -1 %b%b %b" % (ended.encode(), how.encode(), rung if how == "b" else event)
    assert bell.isascii()
    assert read_bell(bell) == Bell("0123abcd", 7, -1, bool(ended), event, None)
    assert parts_of(event) == ("a kind: ä", data)


def test_a_large_event_is_not_rung() -> None:
    assert rung_as(b"x" * 8_193) == ("r", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff" * 100,
        b"0123abcd 7 -1 q ",
        b"0123abcd 7 -1 d no event",
        b"0123abcd 7 -1 b no base 64",
        b"0123abcd 7 -1 b YWJj",
        b"0123ABCD 7 -1 s ",
        b"0123abcd x -1 s ",
    ],
)
def test_what_others_ring(data: bytes) -> None:
    """Is passed over."""
    assert read_bell(data) is None
