"""Which names are allowed, and the keys they make.

No two (prefix, namespace, slot) triples share a key: prefix and namespace hold no colon, so the first two colons of a
key separate its parts, and braces stand in a key only as a cluster's hash tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from session_store.errors import InvalidNameError

_MAX_BYTES = 512
_PREFIX = re.compile(r"[A-Za-z0-9-]+")
_FORBIDDEN = r"\s{}\x00-\x1f\x7f-\x9f\ud800-\udfff"  # whitespace, braces, control characters, lone surrogates
_NAMESPACE = re.compile(rf"[^:{_FORBIDDEN}]+")
_SLOT = re.compile(rf"[^~{_FORBIDDEN}][^{_FORBIDDEN}]*")
_GLOB = re.compile(rb"[*?\[\]\\^]")

_PREFIX_RULE = "must be a str of ASCII letters, digits and dashes, not empty"
_NAME_RULE = f"must be a str of 1 to {_MAX_BYTES} bytes in UTF-8 without whitespace, control characters, braces"
_NAMESPACE_RULE = f"{_NAME_RULE} or colons"
_SLOT_RULE = f"{_NAME_RULE} or a leading '~'"


def _matches(pattern: re.Pattern[str], name: object) -> bool:
    return (
        isinstance(name, str)
        and pattern.fullmatch(name) is not None
        and (len(name) <= _MAX_BYTES // 4 or len(name.encode()) <= _MAX_BYTES)
    )


def encode_field(field: str) -> bytes:
    """The bytes of a hash field: any string that has a UTF-8 form."""
    if isinstance(field, str):
        try:
            return field.encode()
        except UnicodeEncodeError:
            pass  # the rule says it better
    raise InvalidNameError("field", field, "must be a str without lone surrogates")


class KeySpace:
    """The keys of one prefix: `<prefix>:<namespace>:<slot>`, or with braces around the namespace on a cluster."""

    __slots__ = ("hash_tags", "prefix")

    def __init__(self, prefix: str, *, hash_tags: bool) -> None:
        if not (isinstance(prefix, str) and _PREFIX.fullmatch(prefix)):
            raise InvalidNameError("prefix", prefix, _PREFIX_RULE)
        self.prefix = prefix
        self.hash_tags = hash_tags

    def base(self, namespace: str) -> str:
        """What every key of a namespace begins with."""
        if not _matches(_NAMESPACE, namespace):
            raise InvalidNameError("namespace", namespace, _NAMESPACE_RULE)
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
        return name if _matches(_NAMESPACE, name) else None


INDEX = b"~index"


def slot_key(base: str, slot: str) -> bytes:
    """The key of a slot in the namespace that a base stands for."""
    if not _matches(_SLOT, slot):
        raise InvalidNameError("slot", slot, _SLOT_RULE)
    return (base + slot).encode()


def listed_keys(base: str, fields: Iterable[bytes]) -> list[bytes]:
    """The keys of the slots that an index names; its other fields begin with a tilde, as no slot does."""
    start = base.encode()
    return [start + field for field in fields if not field.startswith(b"~")]


def base_pattern(base: str) -> bytes:
    """The glob pattern of all keys of a namespace, in which the characters of its name match only themselves."""
    return _GLOB.sub(rb"\\\g<0>", base.encode()) + b"*"
