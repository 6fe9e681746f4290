"""The sync flavour is what the generator makes of the async one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_sync_flavour_is_current() -> None:
    """Whole files are compared: a stale, missing or superfluous one is named."""
    check = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.stdout == ""
    assert check.returncode == 0
