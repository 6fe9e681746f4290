"""What the closure of a `with_cas` reads."""

from __future__ import annotations

from typing import Any

from session_store._async.commands import raise_reply
from session_store._async.connection import AsyncPinnedConnection
from session_store._async.reads import AsyncReads
from session_store._core.commits import Ended
from session_store._core.contents import Contents
from session_store._core.operations import Operations
from session_store._core.replies import read_reply
from session_store.codecs import V


class AsyncCasSnapshot(Ended, AsyncReads[V]):
    """What a closure reads: the watched slots as they were when the attempt began, other slots as they are.

    The watched slots cost no round trip, unless they were large (over 64 KB, or a hash over 256 fields that Redis does
    not keep packed); large and other slots cost one for each read.
    """

    __slots__ = ("_connection", "_contents", "_make")

    def __init__(
        self, connection: AsyncPinnedConnection, make: Operations[V], contents: dict[bytes, Contents | None]
    ) -> None:
        super().__init__()
        self._connection = connection
        self._make = make
        self._contents = contents

    async def _read(self, command: str, key: bytes, *args: bytes) -> Any:
        self._check_open()
        contents = self._contents.get(key)
        if contents is not None:
            return contents.answer(command, key, args)
        (reply,) = await self._connection.exchange((command, key, *args))
        if isinstance(reply, Exception):
            raise_reply(reply, key, command)
        return read_reply(command, reply)
