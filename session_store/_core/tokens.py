"""Tokens: what makes a call that is sent twice happen once.

The server keeps the latest call of each producer, so a producer must never have two calls under way. Producers are those of
a process and a namespace: the n-th call that a process has under way in a namespace is its producer n there. An index thus
holds as many records as its namespace has had calls at once, whatever else the process does.

The sequence of a call begins with random characters, and ends with a number of the process, so those of a producer go up:
one that arrives after a later call was answered is an old one that was long on its way, and is refused. By the random
characters, two processes that were copied from one image, identity and numbers included, are told apart: the second is
refused, and goes on under a new identity. So does a process with a call that had no answer, which may still be on its way.
"""

from __future__ import annotations

import os
import threading
from binascii import b2a_base64
from itertools import count
from typing import NamedTuple


class Token(NamedTuple):
    """What a call is recognised by, in the form that the scripts' prelude describes."""

    producer: bytes
    sequence: bytes


class _Identity:
    """Who a process is to the server; how many calls it has under way, by the index of their namespace."""

    __slots__ = ("lock", "name", "numbers", "pid", "taken")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.name = b"~" + b2a_base64(os.urandom(6), newline=False)[:6]  # each record has it: an index is small
        self.numbers = count(1)
        self.lock = threading.Lock()
        self.taken: dict[bytes, int] = {}  # a bit per producer


_identity = _Identity()


def _new_identity() -> None:
    global _identity  # noqa: PLW0603  # there is one of a process
    _identity = _Identity()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # a lock may have been held while the process was forked
    os.register_at_fork(after_in_child=_new_identity)


class Ticket:
    """The token of one call, until it is answered. `existing`: of one that is for a namespace which was created and lives."""

    __slots__ = ("_bit", "_identity", "_index", "token")

    def __init__(self, index: bytes, *, existing: bool = False) -> None:
        if _identity.pid != os.getpid():  # forked by somebody who runs none of Python's hooks
            _new_identity()
        self._identity = identity = _identity
        self._index = index
        with identity.lock:
            taken = identity.taken.get(index, 0)
            self._bit = bit = ~taken & (taken + 1)  # the lowest that is free
            identity.taken[index] = taken | bit
            number = next(identity.numbers)
        sequence = b"%b%x" % (b2a_base64(os.urandom(3), newline=False), number)
        name = b"~=" + identity.name[1:] if existing else identity.name
        self.token = Token(b"%b%d" % (name, bit.bit_length() - 1), sequence)

    def give_back(self) -> None:
        """For a call that has been answered: the next one may be of the same producer."""
        identity = self._identity
        with identity.lock:
            left = identity.taken[self._index] & ~self._bit
            if left:
                identity.taken[self._index] = left
            else:
                del identity.taken[self._index]

    def abandon(self) -> None:
        """For a call that had no answer, or was taken for another's."""
        if self._identity is _identity:
            _new_identity()
