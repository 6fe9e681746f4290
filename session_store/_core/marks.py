"""The digest of what a slot holds, as `content_mark` of lua/view.lua works it out as well."""

from __future__ import annotations

from hashlib import sha1
from typing import Any


def content_mark(kind: str, content: Any) -> bytes:
    """The mark of a string's value or of a hash's fields and values, by turns; of no slot, nothing.

    It depends on no order: fields are digested one by one, each behind its length, so that no two contents look alike, and
    the digests are put in order. SHA-1, as everywhere here: the server has no other.
    """
    if kind == "none":
        return b""
    if kind == "string":
        return sha1(b"string:" + content, usedforsecurity=False).hexdigest().encode()
    pairs = zip(content[::2], content[1::2], strict=True)
    digests = sorted(
        [sha1(b"%d:%b%b" % (len(field), field, value), usedforsecurity=False).hexdigest() for field, value in pairs]
    )
    return sha1(f"hash:{''.join(digests)}".encode(), usedforsecurity=False).hexdigest().encode()
