"""Two runs of the tests draw the same examples, and `make test-all` draws others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.text())
def test_some_are_drawn(number: int, text: str) -> None:
    """Shown to the test below."""
    print(f"\ndrawn: {number} {text!r}")


def drawn(*options: str) -> list[str]:
    """What a run of the tests with these options draws above."""
    command = [sys.executable, "-m", "pytest", "-s", "-k", "some_are_drawn", "-p", "no:cacheprovider", __file__]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    return [line for line in done.stdout.splitlines() if line.startswith("drawn: ")]


def test_every_run_draws_the_same_unless_others_are_asked_for() -> None:
    """Whatever the order of the tests is, and what other code they load; and others from a seed."""
    same = drawn("--randomly-seed=1")
    assert len(same) == 60
    assert drawn("--randomly-seed=2", "tests/core", "tests/security") == same
    fresh = drawn("--hypothesis-profile=fresh", "--hypothesis-seed=3")
    assert fresh == drawn("--hypothesis-profile=fresh", "--hypothesis-seed=3")
    assert fresh != same
