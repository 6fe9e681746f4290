"""A Redis server for the benchmark alone: the tests' own way to start one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.servers import Server

__all__ = ["Server"]
