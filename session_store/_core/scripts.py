"""The Lua scripts, the digests that the server knows them by, and what their headers tell tools of them."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

LIBRARY = files("session_store") / "lua"  # also in a zip, or frozen, where it is no folder
_EFFECTS = re.compile(rb"^-- Effects +(\w+)", re.MULTILINE)

ScriptCall = tuple[tuple[bytes, ...], tuple[object, ...]]  # KEYS and ARGV

known: dict[
    bytes, Script
] = {}  # every script that was made, by digest and by source: so the explorer tells what a call does


class Script:
    """A body, `<folder>/<name>.lua`, behind parts, in this order: of its own folder, or of the primitive's.

    The body's header has a line `-- Effects   <word>`, by which tools tell what calls of it may meet:

    - `once`: it enters and leaves by once.lua, and writes no key but KEYS[2..] beside that;
    - `reads`: it writes nothing;
    - `writes`: it may write to all of KEYS in any way.
    """

    __slots__ = ("digest", "effects", "name", "source")

    def __init__(self, name: str, *parts: str, folder: Traversable = LIBRARY) -> None:
        body = (folder / f"{name}.lua").read_bytes()
        effects = _EFFECTS.search(body)
        self.name = name
        self.effects = "writes" if effects is None else effects[1].decode()
        self.source = b"\n".join([*(_part(f"{part}.lua", folder) for part in parts), body])
        # The protocol names scripts by SHA-1; nothing rests on its strength.
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()
        known[self.digest] = known[self.source] = self

    def by_digest(self, keys: tuple[bytes, ...], args: tuple[object, ...]) -> tuple[object, ...]:
        """The command that runs it, if the server has it."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    def by_source(self, keys: tuple[bytes, ...], args: tuple[object, ...]) -> tuple[object, ...]:
        """The command that runs it, and leaves it with the server."""
        return ("EVAL", self.source, len(keys), *keys, *args)


def _part(file: str, folder: Traversable) -> bytes:
    own = folder / file
    return (own if own.is_file() else LIBRARY / file).read_bytes()


SINGLE = Script("single", "prelude", "once", "verbs")
BEGIN = Script("begin", "prelude", "locks", "view")
CREATE = Script("create", "prelude", "once", "lifetime")
COMMIT = Script("commit", "prelude", "once", "verbs", "locks", "view")
RELEASE = Script("release", "prelude", "locks")
READ = Script("read", "prelude", "view")
PURGE, LOAD = (Script(name, "prelude", "listing") for name in ("purge", "load"))
TOUCH = Script("touch", "prelude")
NAME, REWRITE = Script("name"), Script("rewrite")
