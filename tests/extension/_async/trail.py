"""A layer as somebody else would write it: the pages that a visitor saw last, in a slot of a type of its own."""

from __future__ import annotations

from pathlib import Path

from session_store import AsyncNamespace, WrongTypeError
from session_store._async.extension import AsyncExtension, Script

_FOLDER = Path(__file__).parent.parent / "lua"
_PUSH, _ITEMS = Script("push", "prelude", "once", folder=_FOLDER), Script("items", folder=_FOLDER)


class AsyncTrail:
    """The pages in one slot of a namespace, the latest first, `most` at most."""

    def __init__(self, namespace: AsyncNamespace[str], slot: str, *, most: int = 10) -> None:
        self._namespace = namespace
        self._extension = AsyncExtension(namespace)
        self._slot = slot
        self._most = most

    async def push(self, page: str) -> int:
        """Adds a page, renews the trail's TTL, and gives how many it has. 1 round trip."""
        item = self._extension.encode(self._slot, page)
        args = self._extension.ttl_ms(), self._most, item
        reply = await self._extension.once(_PUSH, [self._slot], *args)
        if isinstance(reply, list):
            raise WrongTypeError(self._namespace.key(self._slot), "push")
        return int(reply)

    async def pages(self) -> list[str]:
        """The pages, the latest first. 1 round trip, which writes nothing."""
        items = await self._extension.read(_ITEMS, [self._slot])
        return [self._extension.decode(self._slot, item) for item in items]
