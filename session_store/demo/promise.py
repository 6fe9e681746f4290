"""What the library promises, and whether it held."""

from __future__ import annotations

from typing import NamedTuple


class Promise(NamedTuple):
    """One promise."""

    text: str
    held: bool
