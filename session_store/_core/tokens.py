"""Tokens: what makes a call that is sent twice happen once.

The server keeps the latest commit of each writer, so a writer must never have two calls under way: a call takes a
writer, and gives it back when its reply has come. A call that ended otherwise keeps its writer, and the next one gets
a new one. Few writers thus serve many calls, and no other call can push a record out while it may still be asked for.
"""

from __future__ import annotations

import os
from binascii import b2a_base64

_idle: list[bytes] = []
if hasattr(os, "register_at_fork"):  # pragma: no branch  # where processes fork, two must not be the same writer
    os.register_at_fork(after_in_child=_idle.clear)


def _random() -> bytes:
    return b2a_base64(os.urandom(6), newline=False)  # from the kernel: neither a fork nor a restored image repeats it


def take_writer() -> bytes:
    """A writer with no call under way."""
    try:
        return _idle.pop()
    except IndexError:
        return _random()


def give_back(writer: bytes) -> None:
    """For a writer whose call has been answered."""
    _idle.append(writer)


def new_token(writer: bytes) -> bytes:
    """The token of a new call, in the form that the scripts' prelude describes."""
    return b"%b.%b" % (writer, _random())
