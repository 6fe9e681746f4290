"""Who follows channels is async: the sync flavour has nothing of it. The async file of this name is written by hand, too."""

from __future__ import annotations

from typing import Generic

from session_store.codecs import V


class Hearing(Generic[V]):
    """Nothing."""


class Followable(Generic[V]):
    """Nothing."""
