"""What every back end has, for annotations: an application that keeps to these can change its back end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Literal, Protocol

from session_store.conversations._core.values import (
    UNSET,
    ConversationInfo,
    Message,
    NewMessage,
    Page,
    Role,
    Unset,
)


class AsyncConversation(Protocol):
    """One conversation, whichever back end keeps it; see `AsyncRedisConversation`."""

    id: str

    async def append(
        self,
        role: Role,
        content: Any,
        *,
        tokens: int = 0,
        metadata: Any = None,
        key: str | None = None,
        expected_revision: int | None = None,
        max_tokens: int | None = None,
    ) -> Message:
        """Add a message."""

    async def append_many(
        self, messages: Iterable[NewMessage], *, expected_revision: int | None = None, max_tokens: int | None = None
    ) -> list[Message]:
        """Add messages in this order: all, or none."""

    async def latest(
        self,
        limit: int = 50,
        *,
        before: int | datetime | None = None,
        roles: Iterable[Role] | None = None,
        max_tokens: int | None = None,
    ) -> Page[Message, int]:
        """The newest messages, in their order."""

    async def messages(
        self,
        *,
        after: int | datetime | None = None,
        before: int | datetime | None = None,
        limit: int = 100,
        roles: Iterable[Role] | None = None,
        order: Literal["asc", "desc"] = "asc",
        offset: int = 0,
    ) -> Page[Message, int]:
        """Messages in their order, or the newest first."""

    def iter(
        self, *, after: int | datetime | None = None, roles: Iterable[Role] | None = None
    ) -> AsyncIterator[Message]:
        """All messages in their order."""

    async def edit(
        self,
        seq: int,
        content: Any,
        *,
        tokens: int | Unset = UNSET,
        metadata: Any = UNSET,
        expected_revision: int | None = None,
    ) -> Message:
        """Give a message another content."""

    async def delete(self, *seqs: int, expected_revision: int | None = None) -> int:
        """Take messages out; how many there were."""

    async def clear(self) -> int:
        """Take all messages out; how many there were."""

    async def replace(self, messages: Iterable[NewMessage], *, after: int = 0, expected_revision: int) -> list[Message]:
        """Put messages in place of all that come after one, in one step."""

    async def info(self) -> ConversationInfo | None:
        """What is told of it; None where there is no such conversation."""

    async def update(
        self,
        *,
        title: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset | None = UNSET,
        metadata: Any = UNSET,
        user: str | Unset | None = UNSET,
        agent: str | Unset | None = UNSET,
        status: str | Unset = UNSET,
        expected_version: int | None = None,
    ) -> ConversationInfo:
        """Change what is told of it; None clears."""

    async def set_summary(
        self, text: str | None, *, upto: int, tokens: int = 0, expected_revision: int | None = None
    ) -> None:
        """Keep a text that stands for the messages up to one."""

    async def touch(self) -> bool:
        """Have it live on as if it had been written to."""

    async def delete_all(self) -> bool:
        """Delete the conversation. Whether there was one."""


class AsyncConversations(Protocol):
    """Conversations, whichever back end keeps them; see `AsyncRedisConversations`."""

    async def create(
        self,
        id: str | None = None,  # noqa: A002  # the field's word
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str = "active",
        title: str | None = None,
        tags: Iterable[str] = (),
        metadata: Any = None,
    ) -> ConversationInfo:
        """Begin a conversation."""

    def conversation(self, id: str) -> AsyncConversation:  # noqa: A002  # the field's word
        """The handle of a conversation, whether there is one or not."""

    async def infos(self, ids: Iterable[str]) -> dict[str, ConversationInfo]:
        """What is told of many conversations, by id."""

    async def list(
        self,
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: Literal["created", "active"] = "created",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ConversationInfo, str]:
        """A page of a user's or an agent's conversations that live, the latest first."""

    async def prune(self, *, user: str | None = None, agent: str | None = None) -> int:
        """Forget what has ended on a list. How many live."""

    def scan(self) -> AsyncIterator[ConversationInfo]:
        """All conversations, in no order. For administration."""

    async def ping(self) -> float:
        """Seconds that the back end takes to answer."""
