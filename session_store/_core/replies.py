"""The replies to several commands that were sent together."""

from __future__ import annotations

from typing import Any


def checked(replies: list[Any]) -> list[Any]:
    """The replies, unless one is an error, which is raised as it came.

    Pipelines are to be executed with `raise_on_error=False`: else redis-py would put the command, and so its keys, into
    the error's text.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
