"""What the closure of a `with_cas` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from session_store._async.commands import AsyncCommands, raise_reply
from session_store._async.reads import AsyncReads
from session_store._core.commits import ClosureScoped
from session_store._core.operations import Operations
from session_store._core.replies import Watched, read_reply
from session_store._core.scripts import READ
from session_store.codecs import V


class AsyncCasSnapshot(ClosureScoped, AsyncReads[V]):
    """What a closure reads: the watched slots as they were when the attempt began, other slots as they are.

    The watched slots cost no round trip, unless they were large (over 64 KB, or a hash over 256 fields that Redis does
    not keep packed); large and other slots cost one for each read. Where a large one is found changed, the attempt is lost
    whatever the closure does with what it saw.
    """

    __slots__ = ("_commands", "_operations", "_watched")

    def __init__(self, commands: AsyncCommands, operations: Operations[V], watched: Mapping[bytes, Watched]) -> None:
        super().__init__()
        self._commands = commands
        self._operations = operations
        self._watched = watched

    async def _read(self, command: str, key: bytes, *args: bytes) -> Any:
        self._check_open()
        slot = self._watched.get(key)
        if slot is None:
            return await self._commands.read(command, key, *args)
        if not slot.is_large:
            return slot.answer(command, key, args)
        call = (self._operations.index, key), (slot.mark, slot.content_mark, command, *args)
        try:
            return read_reply(command, slot.noticed(await self._commands.run(READ, *call)))
        except ResponseError as error:
            raise_reply(error, key, command)
