"""Tokens: what makes a call that is sent twice happen once.

The server keeps the latest call of each writer, so a writer must never have two calls under way: a call takes a
writer, and gives it back when its reply has come. A call that ended otherwise keeps its writer, and the next one gets
a new one. Few writers thus serve many calls, and no other call can push a record out while it may still be asked for.

The calls of a writer are numbered: one that arrives after a later call was answered is an old one that was long on
its way, and is refused. The rest of a token is random, so that two processes that were copied from one image, writers
and numbers included, are told apart: the second is refused as well, and goes on with a new writer.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from typing import NamedTuple

_MOST_CALLS = 0xFFFF_FFFF  # what the eight digits of a number can hold


def _random() -> bytes:
    return b2a_base64(os.urandom(6), newline=False)


class Token(NamedTuple):
    """What a call is recognised by, in the form that the scripts' prelude describes."""

    writer: bytes
    call: bytes


class Writer:
    """Somebody who has at most one call under way."""

    __slots__ = ("calls", "field")

    def __init__(self) -> None:
        self.field = b"~" + _random()
        self.calls = 0

    def new_token(self) -> Token:
        """The token of the next call."""
        self.calls += 1
        return Token(self.field, b"%08x%b" % (self.calls, _random()))


_idle: list[Writer] = []
if hasattr(os, "register_at_fork"):  # pragma: no branch  # where processes fork, two must not be the same writer
    os.register_at_fork(after_in_child=_idle.clear)


def take_writer() -> Writer:
    """A writer with no call under way."""
    try:
        return _idle.pop()
    except IndexError:
        return Writer()


def give_back(writer: Writer) -> None:
    """For a writer whose call has been answered."""
    if writer.calls < _MOST_CALLS:
        _idle.append(writer)
