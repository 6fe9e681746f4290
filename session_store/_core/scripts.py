"""The Lua scripts: the prelude and a body, with the digest that the server knows them by."""

from __future__ import annotations

import hashlib
from importlib.resources import files

_FOLDER = files("session_store") / "lua"  # also in a zip, or frozen, where it is no folder


class Script:
    """A script's source and digest. It is made of `lua/<part>.lua`, in this order."""

    __slots__ = ("digest", "source")

    def __init__(self, *parts: str) -> None:
        self.source = b"\n".join((_FOLDER / f"{part}.lua").read_bytes() for part in parts)
        # The protocol names scripts by SHA-1; nothing rests on its strength.
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def by_digest(self, keys: tuple[bytes, ...], args: tuple[object, ...]) -> tuple[object, ...]:
        """The command that runs it, if the server has it."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    def by_source(self, keys: tuple[bytes, ...], args: tuple[object, ...]) -> tuple[object, ...]:
        """The command that runs it, and leaves it with the server."""
        return ("EVAL", self.source, len(keys), *keys, *args)


SINGLE = Script("prelude", "tokens", "single")
BEGIN = Script("prelude", "locks", "view", "begin")
COMMIT = Script("prelude", "tokens", "locks", "view", "commit")
RELEASE = Script("prelude", "locks", "release")
READ = Script("prelude", "view", "read")
PURGE, LOAD = (Script("prelude", "listing", body) for body in ("purge", "load"))
TOUCH = Script("prelude", "touch")
NAME, REWRITE = Script("name"), Script("rewrite")
