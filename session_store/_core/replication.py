"""How many replicas must have a write before it is acknowledged."""

from __future__ import annotations

from typing import Any

from session_store.errors import ReplicationError

_MOST_WAIT_MS = 1_000


def wait_command(min_replicas: int, socket_timeout: float | None) -> tuple[object, ...]:
    """The command that waits for replicas to have what was written before it on the same connection.

    For a second, or half of the socket's timeout if that is shorter: an answer that came too late would be none.
    """
    most_ms = _MOST_WAIT_MS if socket_timeout is None else min(_MOST_WAIT_MS, int(socket_timeout * 500))
    return ("WAIT", min_replicas, max(1, most_ms))  # 0 would be for ever


def check_replicas(reply: Any, key: bytes, min_replicas: int) -> None:
    """Raises `ReplicationError` where the reply to the command says that too few have it."""
    if isinstance(reply, Exception):  # which would not say that the write was done
        raise ReplicationError(key.decode(), 0, min_replicas) from reply
    if reply < min_replicas:
        raise ReplicationError(key.decode(), reply, min_replicas)
