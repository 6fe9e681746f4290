"""openai-agents: its `Session`, the history of an agent's runs, as one conversation of the store."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, Final, Literal, cast

try:
    from agents import SessionSettings, TResponseInputItem
except ImportError as error:
    raise ImportError(
        "session_store.integrations.openai_agents needs openai-agents: pip install 'session-store[openai-agents]'"
    ) from error

from session_store.codecs import JsonCodec
from session_store.conversations import (
    AsyncConversations,
    ConversationExistsError,
    ConversationNotFoundError,
    NewMessage,
    RevisionConflictError,
)

__all__ = ["ConversationSession"]

_Role = Literal["user", "assistant", "system", "developer", "tool", "other"]
_ROLES: Final[tuple[_Role, ...]] = ("user", "assistant", "system", "developer", "tool")
_AT_ONCE = 1_000  # messages that a conversation takes, or gives, in one call


class ConversationSession:
    """A `Session` for `Runner.run(agent, input, session=...)`; made for each request, cheaply and without I/O.

    - `session_id`: the id of the conversation, which the first `add_items` begins where there is none. One that has a user or
      an agent, to be on their lists, is created before: `await conversations.create(session_id, user="ann")`.
    - `conversations`: an `AsyncRedisConversations`; one for the whole process.
    - `session_settings`: of openai-agents. Their `limit` is that of `get_items` where the call gives none.

    Each item is a message, and comes back as it went in. Its role is that of the item, "tool" for what a tool has put out, and
    "other" for all else. Raises `InvalidNameError` where `session_id` is no name of a namespace.
    """

    def __init__(
        self,
        session_id: str,
        conversations: AsyncConversations,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        if not iscoroutinefunction(getattr(conversations, "create", None)):
            raise TypeError(f"conversations must be AsyncRedisConversations, got {type(conversations).__name__}")
        if not isinstance(session_settings, SessionSettings):  # openai-agents' own sessions take a dict as well
            session_settings = SessionSettings(**(session_settings or {}))
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings
        self._conversations = conversations
        self._chat = conversations.conversation(session_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversations!r})"

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The latest items, the oldest of them first; all of them where neither the call nor the settings have a limit.

        None for a limit of 0 or less. 1 round trip for each 1,000; what others change between two of these shows.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        pages: list[list[TResponseInputItem]] = []
        before, left = None, limit
        while left is None or left > 0:
            try:
                page = await self._chat.latest(_AT_ONCE if left is None else min(left, _AT_ONCE), before=before)
            except ConversationNotFoundError:
                return []
            pages.append([message.content for message in page.items])
            before, left = page.cursor, None if left is None else left - len(page.items)
            if before is None:
                break
        return [item for items in reversed(pages) for item in items]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items in this order: all, or none. More than 1,000 go in parts of 1,000, each all or none.

        Raises `TypeError` for one that is no dict, or that JSON would not bring back equal, before anything is sent. 1 round trip
        for each part; for a conversation that has yet to begin 2 more.
        """
        listed = cast("list[dict[str, Any]]", list(items))
        messages = [NewMessage(_role(item), item) for item in listed]
        if len(listed) > _AT_ONCE:
            JsonCodec().encode(listed)  # what is refused in a later part must not leave those before it
        for at in range(0, len(messages), _AT_ONCE):
            await self._append(messages[at : at + _AT_ONCE])

    async def _append(self, messages: list[NewMessage]) -> None:
        try:
            await self._chat.append_many(messages)
        except ConversationNotFoundError:
            try:
                await self._conversations.create(self.session_id)
            except ConversationExistsError:
                pass  # another call was faster to begin it
            await self._chat.append_many(messages)

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the latest item out, and return it; None where there is none. No item is returned twice.

        3 round trips, and 2 more whenever the conversation was changed between them.
        """
        info = await self._chat.info()
        revision = 0 if info is None else info.revision
        while True:  # ends: each turn that is lost is a change that another call has made
            try:
                page = await self._chat.latest(1)
                if not page.items:
                    return None
                # The revision was told before the item was read. So an item that is not the latest any more stays, and so does
                # one of the same number in a conversation that was begun anew.
                await self._chat.delete(page.items[0].seq, expected_revision=revision)
            except ConversationNotFoundError:  # noqa: PERF203  # each turn is two round trips
                return None
            except RevisionConflictError as error:
                revision = error.actual
            else:
                return cast("TResponseInputItem", page.items[0].content)

    async def clear_session(self) -> None:
        """Take all items out. 1 round trip.

        The conversation stays, with its user, agent, title and metadata: openai-agents clears a session whenever it compacts it.
        To end it there is `delete_all`, of `conversations.conversation(session_id)`.
        """
        try:
            await self._chat.clear()
        except ConversationNotFoundError:
            pass


def _role(item: dict[str, Any]) -> _Role:
    """Of a message, what it says; of what a tool has put out, "tool". Calls and reasoning are nobody's words: "other"."""
    if not isinstance(item, dict):
        raise TypeError(f"items must be dicts, got {type(item).__name__}")
    for role in _ROLES:
        if item.get("role") == role:
            return role
    return "tool" if str(item.get("type")).endswith("_output") else "other"
