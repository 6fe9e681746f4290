"""What stands for a name in logs: `fingerprint`."""

from __future__ import annotations

import os
from hashlib import blake2b

from session_store._core.arguments import kind_of

_DIGEST_BYTES = 8
_LEAST_KEY, _MOST_KEY = 16, blake2b.MAX_KEY_SIZE
_drawn = os.urandom(32)  # this process's key; forked ones share it


def fingerprint(name: str, *, key: bytes | None = None) -> str:
    """16 hexadecimal characters for a name, from which it cannot be told: a keyed digest (BLAKE2b). O(length).

    Equal names have equal fingerprints, so that the events of one session can be found; without the key, nobody can
    try names out. It is made for `SessionStore(..., log_name=fingerprint)`.

    `key`: 16 to 64 random bytes; None is a key that is drawn when the process starts. Where fingerprints are to agree
    between processes and restarts, give `log_name=functools.partial(fingerprint, key=...)` a secret of yours. Raises
    `TypeError` and `ValueError` for anything else.

    >>> fingerprint("user-42") == fingerprint("user-42") != fingerprint("user-43")
    True
    >>> fingerprint("user-42", key=b"a secret of 16 to 64 bytes")
    '3f3e81412bdfe8b2'
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, got {kind_of(name)}")
    if key is None:
        key = _drawn
    elif not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, got {kind_of(key)}")
    elif not _LEAST_KEY <= len(key) <= _MOST_KEY:
        raise ValueError(f"key must have {_LEAST_KEY} to {_MOST_KEY} bytes, got {len(key)}")
    return blake2b(name.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES, key=key).hexdigest()
