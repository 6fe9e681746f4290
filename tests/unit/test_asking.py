"""How commands are announced to a node that is importing their hash slot."""

from __future__ import annotations

import pytest

from session_store._core.asking import ASKING, with_asking

GET, MULTI, SCRIPT = ("GET", "n"), ("MULTI",), ("EVALSHA", "digest", 1, "n")


def test_each_command_is_announced() -> None:
    assert with_asking((("WATCH", "n"), GET)) == [ASKING, ("WATCH", "n"), ASKING, GET]


@pytest.mark.parametrize("end", ["EXEC", "DISCARD"])
def test_a_transaction_is_announced_once_and_what_follows_its_end_anew(end: str) -> None:
    """ASKING inside it would be queued, and answered as one of its commands."""
    assert with_asking((MULTI, SCRIPT, GET, (end,), GET, GET)) == [
        *(ASKING, MULTI, SCRIPT, GET, (end,)),
        *(ASKING, GET, ASKING, GET),
    ]
