"""What all conversations of a store share: how long they live, and in whose lists they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from session_store._async.extension import AsyncExtension, min_replicas_of, read_each
from session_store._async.store import AsyncSessionStore
from session_store._core.extension import Duration, to_milliseconds
from session_store.conversations._core.bodies import SLOT
from session_store.conversations._core.records import TOLD, read_info
from session_store.conversations._core.values import ConversationInfo
from session_store.errors import CodecError

LABELS = ("user", "agent")
_TOLD_MS = 60_000


class Unreadable:
    """Stands for a conversation that lives, and of which nothing can be decoded."""


class AsyncShelf:
    """What all conversations of a store share."""

    def __init__(
        self,
        store: AsyncSessionStore[Any],
        idle_ttl: Duration | None,
        max_lifetime: Duration | None,
        labels: Iterable[str],
    ) -> None:
        self.store = store
        self.idle_ms = int(store.default_ttl * 1000) if idle_ttl is None else to_milliseconds(idle_ttl, "idle_ttl")
        self.told_ms = min(_TOLD_MS, self.idle_ms // 4)  # so often the lists are told at most that a conversation lives
        self.lifetime_ms = 0 if max_lifetime is None else to_milliseconds(max_lifetime, "max_lifetime")
        self.min_replicas = min_replicas_of(store)
        self.lists = {label: store.directory(f"conversation-{label}") for label in labels}

    def extension(self, conversation_id: str) -> AsyncExtension[Any]:
        """The namespace of a conversation. Raises `InvalidNameError`."""
        return AsyncExtension(self.store.namespace(conversation_id))

    async def enlist(self, conversation_id: str, **values: str | None) -> None:
        """Puts it on the lists of these labels. 1 round trip for each."""
        for label, value in values.items():
            if value is not None and label in self.lists:
                await self.lists[label].add(value, conversation_id, ttl=self.idle_ms / 1000)

    async def strike(self, conversation_id: str, **values: str | None) -> None:
        """Takes it off the lists of these labels. 1 round trip for each."""
        for label, value in values.items():
            if value is not None and label in self.lists:
                await self.lists[label].remove(value, conversation_id)

    async def look(self, names: Sequence[str]) -> list[ConversationInfo | Unreadable | None]:
        """What is told of each, None where there is none, or what others have put in place of one. 1 round trip."""
        found: list[ConversationInfo | Unreadable | None] = []
        for name, reply in zip(names, await read_each(self.store, TOLD, names, SLOT, "hash"), strict=True):
            if not isinstance(reply, list):
                found.append(None)
                continue
            try:
                found.append(read_info(self.extension(name), name, reply))
            except CodecError:  # it must not hide the others; its own handle tells of it
                found.append(Unreadable())
        return found

    async def infos(self, ids: Iterable[str]) -> dict[str, ConversationInfo]:
        """What is told of those that live and can be read, by id. 1 round trip."""
        names = list(dict.fromkeys(ids))
        found = zip(names, await self.look(names), strict=True)
        return {name: info for name, info in found if isinstance(info, ConversationInfo)}
