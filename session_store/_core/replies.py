"""Replies as they come from the wire."""

from __future__ import annotations

from typing import Any


def read_reply(command: str, reply: Any) -> Any:
    """The reply to a read command; RESP2 has a list for a hash."""
    if command == "HGETALL" and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    return reply


def checked(replies: list[Any]) -> list[Any]:
    """The replies to several commands that were sent together, unless one is an error, which is raised as it came.

    Pipelines are to be executed with `raise_on_error=False`: else redis-py would put the command, and so its keys, into
    the error's text.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
