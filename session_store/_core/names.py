"""Which names are allowed, and the keys they make.

No two (prefix, namespace, slot) triples share a key: prefix and namespace hold no colon, so the first two colons of a
key separate its parts, and braces stand in a key only as a cluster's hash tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from session_store._core.arguments import kind_of
from session_store.errors import InvalidNameError

_MAX_BYTES = 512
_GLOB = re.compile(rb"[*?\[\]\\^]")
_FORBIDDEN = r"\s{}\x00-\x1f\x7f-\x9f\ud800-\udfff"  # whitespace, braces, control characters, lone surrogates
_NAME_RULE = f"must be a str of 1 to {_MAX_BYTES} bytes in UTF-8 without whitespace, control characters, braces"


class _Rule(NamedTuple):
    """What one kind of name must be."""

    argument: str
    text: str
    forbidden: re.Pattern[str]
    leading: str = ""  # what it must not begin with

    def refusal(self, value: object) -> InvalidNameError:
        """The error for a value that breaks the rule. Its text shows no name, which may be a credential."""
        return InvalidNameError(self.argument, value, self.text, self._found(value))

    def _found(self, value: object) -> str:
        if not isinstance(value, str):
            return kind_of(value)
        if not value:
            return "an empty str"
        wrong = self.forbidden.search(value)
        if wrong is None and not (self.leading and value.startswith(self.leading)):
            return f"a str of {len(value.encode())} bytes"
        place = 0 if wrong is None else wrong.start()
        return f"a str of {len(value)} characters with {value[place]!r} at index {place}"


_PREFIX = _Rule("prefix", "must be a str of ASCII letters, digits and dashes, not empty", re.compile(r"[^A-Za-z0-9-]"))
_NAMESPACE = _Rule(
    "namespace", f"{_NAME_RULE} or colons, nor a leading '~'", re.compile(rf"[:{_FORBIDDEN}]"), "~"
)  # layers keep what is their own in namespaces with that
_SLOT = _Rule("slot", f"{_NAME_RULE} or a leading '~'", re.compile(rf"[{_FORBIDDEN}]"), "~")
_FIELD = _Rule("field", "must be a str without lone surrogates", re.compile(r"[\ud800-\udfff]"))


def _is_name(name: object, forbidden: re.Pattern[str]) -> bool:
    return (
        isinstance(name, str)
        and name != ""
        and forbidden.search(name) is None
        and (len(name) <= _MAX_BYTES // 4 or len(name.encode()) <= _MAX_BYTES)
    )


def encode_field(field: str) -> bytes:
    """The bytes of a hash field: any string that has a UTF-8 form."""
    if isinstance(field, str):
        try:
            return field.encode()
        except UnicodeEncodeError:
            pass  # the rule says it better, and this error carries the field
    raise _FIELD.refusal(field)


class KeySpace:
    """The keys of one prefix: `<prefix>:<namespace>:<slot>`, or with braces around the namespace on a cluster."""

    __slots__ = ("hash_tags", "prefix")

    def __init__(self, prefix: str, *, hash_tags: bool) -> None:
        if not (isinstance(prefix, str) and prefix and _PREFIX.forbidden.search(prefix) is None):
            raise _PREFIX.refusal(prefix)
        self.prefix = prefix
        self.hash_tags = hash_tags

    def base(self, namespace: str) -> str:
        """What every key of a namespace begins with."""
        if not _is_name(namespace, _NAMESPACE.forbidden) or namespace[0] == _NAMESPACE.leading:
            raise _NAMESPACE.refusal(namespace)
        return self.written(namespace)

    def written(self, namespace: str) -> str:
        """The same for any string, so that a key can be shown under another name."""
        return f"{self.prefix}:{{{namespace}}}:" if self.hash_tags else f"{self.prefix}:{namespace}:"

    def index_pattern(self) -> bytes:
        """The glob pattern of all index keys; it matches keys of others too, see `namespace_of_index`."""
        return self.written("*").encode() + INDEX

    def namespace_of_index(self, key: bytes) -> str | None:
        """The namespace whose index this key is, or None."""
        begin, end = self.written("\n").encode().split(b"\n")
        if not (key.startswith(begin) and key.endswith(end + INDEX)):
            return None
        try:
            name = key[len(begin) : -len(end + INDEX)].decode()
        except UnicodeDecodeError:
            return None
        return name if _is_name(name, _NAMESPACE.forbidden) and name[0] != _NAMESPACE.leading else None


INDEX = b"~index"


def slot_key(base: str, slot: str) -> bytes:
    """The key of a slot in the namespace that a base stands for."""
    if not _is_name(slot, _SLOT.forbidden) or slot[0] == _SLOT.leading:
        raise _SLOT.refusal(slot)
    return (base + slot).encode()


def is_slot(base: str, key: bytes) -> bool:
    """Whether a key that begins with a base is that of a slot."""
    try:
        slot_key(base, key[len(base.encode()) :].decode())
    except ValueError:  # no UTF-8, or no name
        return False
    return True


def listed_keys(base: str, fields: Iterable[bytes]) -> list[bytes]:
    """The keys of the slots that an index names; its other fields begin with a tilde, as no slot does."""
    start = base.encode()
    return [start + field for field in fields if not field.startswith(b"~")]


def base_pattern(base: str) -> bytes:
    """The glob pattern of all keys of a namespace, in which the characters of its name match only themselves."""
    return _GLOB.sub(rb"\\\g<0>", base.encode()) + b"*"
