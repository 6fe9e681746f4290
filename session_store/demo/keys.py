"""The keys under the demo's prefix, found without the library: it is what is being checked."""

from __future__ import annotations

from typing import Any


def keys_of(client: Any, prefix: str) -> list[Any]:
    """All keys under a prefix. SCAN, over the whole database."""
    return list(client.scan_iter(match=f"{prefix}:*", count=1000))


def keys_without_ttl(client: Any, prefix: str) -> int:
    """How many keys under a prefix would stay for ever."""
    return sum(client.pttl(key) == -1 for key in keys_of(client, prefix))
