"""What can go wrong, beyond the errors of redis-py, which pass through unchanged.

Every class derives from `SessionStoreError`, carries its facts as attributes, and survives pickling: the positional
arguments of an exception are its facts, in order. The text and the repr of an error are safe to log: they show no
namespace, slot, field or value. Namespaces and slots are in the attributes.
"""

from __future__ import annotations

from typing import Any


class SessionStoreError(Exception):
    """The base of every error of this library."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidNameError(SessionStoreError, ValueError):
    """A prefix, namespace, slot or field is not one. Raised before anything is sent: correct the name.

    Attributes: `argument` (which one), `value` (as it was given), `rule` (what it must be), `found` (how the value
    breaks the rule, in words that do not show it).
    """

    def __init__(self, argument: str, value: object, rule: str, found: str) -> None:
        super().__init__(argument, value, rule, found)
        self.argument = argument
        self.value = value
        self.rule = rule
        self.found = found

    def __str__(self) -> str:
        return f"{self.argument} {self.rule}, got {self.found}"


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
        held = "no integer" if self.operation in ("incr", "hincrby") else "another type of value"
        return (
            f"{self.operation}: the slot holds {held}; use another one, or delete it first (attribute key tells which)"
        )


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
        return f"others were faster during each of {self.attempts} attempts (attribute key tells the slot)"


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
        return (
            f"no reply came to a commit, and after {self.attempts} attempts none can be had "
            "(attribute key tells the slot)"
        )


class NamespacePurgedError(SessionStoreError):
    """The namespace was purged with a fence that still stands, or should exist and does not; nothing was written.

    The session has ended (a logout, the end of its lifetime): drop the request's work. Attribute: `namespace`.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        return (
            "the namespace has ended, or an existing one is wanted and there is none (attribute namespace tells which)"
        )


class NestedCasError(SessionStoreError):
    """`with_cas` was called inside a closure of the same namespace: the outer commit could never win.

    Name all slots in one call: `with_cas(["basket", "total"], fn)`. Attribute: `namespace`.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace

    def __str__(self) -> str:
        return "with_cas inside a closure of the same namespace; give one call all the slots"


class CodecError(SessionStoreError):
    """What a key holds was not written by the store's codec. The value is not shown, nor kept.

    Another program or another codec wrote it, or, with an `EncryptedCodec`, it was not written at this place under one
    of its keys; these causes look alike. Read it with what wrote it, or `delete` the slot. Or a counter or a field of
    `hincrby` was read through an `EncryptedCodec` without `plain_integers=True`: see there.
    Attributes: `key` (the full Redis key), `plain_integer` (whether it is the last of these).
    """

    def __init__(self, key: str, plain_integer: bool = False) -> None:  # noqa: FBT001, FBT002  # pickling: by position
        super().__init__(key, plain_integer)
        self.key = key
        self.plain_integer = plain_integer

    def __str__(self) -> str:
        if self.plain_integer:
            return (
                "the slot, or a field of it, holds a plain integer, as incr and hincrby write it: "
                "EncryptedCodec(.., plain_integers=True) reads it; without, hincrby(slot, field, 0) gives a field's, "
                "and incr(slot) the next id (attribute key tells the slot)"
            )
        return "the codec cannot read what the slot holds (attribute key tells the slot)"


class ReplicationError(SessionStoreError):
    """A write was done, but fewer replicas have it than `min_replicas` asks for: a failover may lose it.

    Do not repeat it as it is: it happened. Look at the slot when the replicas are back, or tell the user that it may
    get lost. Attributes: `key` (the full Redis key), `replicas` (how many have it), `min_replicas`, `reply` (what a layer's
    script has answered; else None).
    """

    reply: Any = None

    def __init__(self, key: str, replicas: int, min_replicas: int) -> None:
        super().__init__(key, replicas, min_replicas)
        self.key = key
        self.replicas = replicas
        self.min_replicas = min_replicas

    def __str__(self) -> str:
        return (
            f"the write was done, but {self.replicas} replicas have it and not {self.min_replicas} "
            "(attribute key tells the slot)"
        )


class RevisionConflictError(SessionStoreError):
    """What a layer keeps, a conversation or a snapshot, was changed since: read it again, and decide anew.

    Nothing was written. Attributes: `expected`, `actual`: revisions or, from a conversation's `update`, versions; 0: there is none.
    """

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"it was changed since: {self.expected} was expected, and it is {self.actual} by now"
