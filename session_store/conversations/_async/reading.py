"""What is read of a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from session_store._async.extension import AsyncExtension
from session_store.conversations._async.handle import AsyncHandle
from session_store.conversations._async.shelf import AsyncShelf
from session_store.conversations._core.bodies import SLOT
from session_store.conversations._core.records import PAGE, TOLD, read_info, read_message
from session_store.conversations._core.values import ConversationInfo, Message
from session_store.conversations.errors import ConversationNotFoundError, MessageNotFoundError


class AsyncReading(AsyncHandle):
    """The handle of a conversation, as far as it reads; see `AsyncRedisConversation`."""

    __slots__ = ("_extension", "_shelf")

    def __init__(self, shelf: AsyncShelf, conversation_id: str) -> None:
        self.id = conversation_id
        self._shelf = shelf
        self._extension: AsyncExtension[Any] = shelf.extension(conversation_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shelf.store!r})"

    async def _page(
        self, order: str, after: str, before: str, limit: int, *more: Any
    ) -> tuple[bool, list[tuple[int, bytes]]]:
        reply = await self._extension.read(PAGE, [SLOT], order, after, before, limit, *more)
        if not isinstance(reply, list):
            raise ConversationNotFoundError
        is_more, *pairs = reply
        return bool(is_more), [(int(seq), data) for seq, data in zip(pairs[::2], pairs[1::2], strict=True)]

    async def _raw(self, seq: int) -> bytes:
        _, found = await self._page("asc", f"s{seq - 1}", f"s{seq + 1}", 1, 0, "", "")
        if not found:
            raise MessageNotFoundError(seq)
        return found[0][1]

    def _decoded(self, seq: int, data: Any) -> Message:
        return read_message(self._extension, seq, data)

    async def _message(self, seq: int) -> Message:
        return read_message(self._extension, seq, await self._raw(seq))

    async def _messages(self, seqs: Iterable[int]) -> dict[int, Message]:
        """Some messages by number; 1 round trip where they follow on one another."""
        left, found = set(seqs), {}
        while left:
            _, pairs = await self._page("asc", f"s{min(left) - 1}", "", len(left), 0, "", "")
            if not pairs or pairs[0][0] != min(left):
                raise MessageNotFoundError(min(left))
            for seq, data in pairs:
                if seq in left:
                    found[seq] = read_message(self._extension, seq, data)
                    left.remove(seq)
        return found

    async def info(self) -> ConversationInfo | None:
        """What is told of it; None where there is no such conversation. One script call, 1 round trip, O(1)."""
        reply = await self._extension.read(TOLD, [SLOT])
        return read_info(self._extension, self.id, reply) if isinstance(reply, list) else None
