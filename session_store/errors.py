"""What can go wrong, beyond the errors of redis-py, which pass through unchanged.

Every class derives from `SessionStoreError`, carries its facts as attributes, and survives pickling: the positional
arguments of an exception are its facts, in order.
"""

from __future__ import annotations

from session_store._core.arguments import shorten


class SessionStoreError(Exception):
    """The base of every error of this library."""


class InvalidNameError(SessionStoreError, ValueError):
    """A prefix, namespace, slot or field is not one. Raised before anything is sent: correct the name.

    Attributes: `argument` (which one), `value` (as it was given), `rule` (what it must be).
    """

    def __init__(self, argument: str, value: object, rule: str) -> None:
        super().__init__(argument, value, rule)
        self.argument = argument
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.argument} {self.rule}, got {shorten(self.value)}"


class WrongTypeError(SessionStoreError):
    """A slot holds something else than the operation works on; nothing was written.

    A string slot, a hash slot and the integer that a counter needs are different things. Use another slot, or `delete`
    this one first. Attributes: `key` (the full Redis key), `operation` (the method).
    """

    def __init__(self, key: str, operation: str) -> None:
        super().__init__(key, operation)
        self.key = key
        self.operation = operation

    def __str__(self) -> str:
        return f"{self.operation}: {self.key!r} holds another type of value"


class CasContentionError(SessionStoreError):
    """Other writers changed what a commit was based on, at every attempt; nothing was written.

    Try again later, allow more attempts (`max_retries`), or watch fewer and smaller slots. Attributes: `key` (the full
    Redis key of the first slot), `attempts` (how many were made).
    """

    def __init__(self, key: str, attempts: int) -> None:
        super().__init__(key, attempts)
        self.key = key
        self.attempts = attempts

    def __str__(self) -> str:
        return f"{self.key!r} was changed by others during each of {self.attempts} attempts"


class CommitUnknownError(SessionStoreError):
    """A commit was sent, no reply came, and the server stayed away: it happened once, or not at all.

    Read the slots when the server is back to see which. Attributes: `key` (the full Redis key of the first slot),
    `attempts` (how many were made). The cause is the error of redis-py, or what the closure raised last.
    """

    def __init__(self, key: str, attempts: int) -> None:
        super().__init__(key, attempts)
        self.key = key
        self.attempts = attempts

    def __str__(self) -> str:
        return f"no reply came to a commit of {self.key!r}, and after {self.attempts} attempts none can be had"


class NamespacePurgedError(SessionStoreError):
    """The namespace was purged with a fence that still stands; nothing was written.

    The session has ended (a logout, say): drop the request's work. Attribute: `namespace`.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        return f"namespace {self.namespace!r} was purged, and its fence still refuses writes"


class NestedCasError(SessionStoreError):
    """`with_cas` was called inside a closure of the same namespace: the outer commit could never win.

    Name all slots in one call: `with_cas(["basket", "total"], fn)`. Attribute: `namespace`.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        return f"with_cas inside a closure of the same namespace {self.namespace!r}; give one call all the slots"


class CodecError(SessionStoreError):
    """What a key holds was not written by the store's codec. The value is not shown, nor kept.

    Another program or another codec wrote it: read it with that one, or `delete` the slot. Attribute: `key`.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the codec cannot read what {self.key!r} holds"
