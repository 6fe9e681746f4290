"""Where claude-agent-sdk keeps its transcripts: each is a conversation, and each entry a message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any

try:
    import claude_agent_sdk as sdk
except ImportError as error:
    raise ImportError(
        "session_store.integrations.claude_agent_sdk needs claude-agent-sdk: pip install 'session-store[claude-agent-sdk]'"
    ) from error

from redis.exceptions import RedisError

from session_store import SessionStoreError
from session_store.conversations import (
    AsyncRedisConversations,
    ConversationExistsError,
    ConversationInfo,
    ConversationNotFoundError,
    NewMessage,
)
from session_store.integrations._outside import digest, kept, read

_TRIES = 16  # of an append whose transcript others delete each time, before giving up
_TOGETHER = 1_000  # entries that are added in one step; the SDK sends some 500
_TOUCHED_MS = 60_000  # so often, at most, a transcript has those of its subagents live on


class ConversationSessionStore:
    """A `SessionStore` of claude-agent-sdk: `ClaudeAgentOptions(session_store=ConversationSessionStore(chats))`.

    `conversations`: an `AsyncRedisConversations` that has the label "user". Making one does no I/O.
    """

    def __init__(self, conversations: AsyncRedisConversations) -> None:
        self._chats = conversations

    async def append(self, key: sdk.SessionKey, entries: list[sdk.SessionStoreEntry]) -> None:
        """Add entries, but not again those whose uuid is there: all of up to 1,000, or none. 1 round trip; without subpath, 4."""
        parts, messages = _parts(key), _messages(entries)
        chat = self._chats.conversation(digest(*parts))
        for left in reversed(range(_TRIES if messages else 0)):
            try:
                for at in range(0, len(messages), _TOGETHER):
                    await chat.append_many(messages[at : at + _TOGETHER])
                break
            except ConversationNotFoundError:  # what was added of them is gone with it: all once more
                if not left:
                    raise
                with suppress(ConversationExistsError, ConversationNotFoundError):  # by others, who were faster
                    await self._chats.create(chat.id, user=digest(*parts[:-1]), metadata=kept(parts))
        if messages and len(parts) == 2:
            # The entries are there: who was told of an error would send them again. What is missing lists make up for.
            with suppress(RedisError, SessionStoreError):
                await self._summarize(chat.id, parts)

    async def _summarize(self, name: str, parts: list[str]) -> None:
        """Keeps a transcript's summary for its revision; who loses to a later append leaves it to that one."""
        chat = self._chats.conversation(name)
        info = await chat.info()
        if info and info.count and not (info.summary and info.summary.upto == info.last_seq):
            summary, upto, touched = await self._folded(info)
            if summary["mtime"] - touched >= min(_TOUCHED_MS, (_ms(info.expires_at) - summary["mtime"]) // 4):
                touched = summary["mtime"]
                async for each in self._living(*parts):
                    await self._chats.conversation(each.id).touch()
            await chat.set_summary(json.dumps([summary["data"], touched]), upto=upto, expected_revision=info.revision)

    async def _folded(self, info: ConversationInfo) -> tuple[sdk.SessionSummaryEntry, int, int]:
        """The fold of all entries in their order, of which only new ones are read; up to which; when others were touched."""
        data, touched = json.loads(info.summary.text) if info.summary else ({}, _ms(info.created_at))
        upto = info.summary.upto if info.summary else 0
        project_key, session_id = read(info.metadata)
        key: sdk.SessionKey = {"project_key": project_key, "session_id": session_id}
        summary: sdk.SessionSummaryEntry = {"session_id": session_id, "mtime": _ms(info.last_activity), "data": data}
        if upto < info.last_seq:
            async for message in self._chats.conversation(info.id).iter(after=upto):
                summary, upto = sdk.fold_session_summary(summary, key, [read(message.content)]), message.seq
        return summary, upto, touched

    async def load(self, key: sdk.SessionKey) -> list[sdk.SessionStoreEntry] | None:
        """All entries in their order; None where there are none. 2 round trips, and 1 for each 100 entries."""
        chat = self._chats.conversation(digest(*_parts(key)))
        while (info := await chat.info()) and info.count:
            with suppress(ConversationNotFoundError):
                entries = [read(message.content) async for message in chat.iter()]
                if (now := await chat.info()) and now.version == info.version:  # else one was deleted, one begun anew
                    return entries
        return None

    async def list_sessions(self, project_key: str) -> list[sdk.SessionStoreListEntry]:
        """The sessions of a project that live. 2 round trips for each 200."""
        living = self._living(project_key)
        return [{"session_id": read(info.metadata)[1], "mtime": _ms(info.last_activity)} async for info in living]

    async def list_session_summaries(self, project_key: str) -> list[sdk.SessionSummaryEntry]:
        """Their summaries. 2 round trips for each 200; 1 for each whose append was cut short, to read what it lacks."""
        summaries = []
        async for info in self._living(project_key):
            with suppress(ConversationNotFoundError):  # deleted since
                summaries.append((await self._folded(info))[0])
        return summaries

    async def list_subkeys(self, key: sdk.SessionListSubkeysKey) -> list[str]:
        """The subpaths of a session that live. 2 round trips for each 200."""
        return [read(info.metadata)[2] async for info in self._living(key["project_key"], key["session_id"])]

    async def delete(self, key: sdk.SessionKey) -> None:
        """Delete a transcript, in one step; without subpath all of its session's, also what others add meanwhile."""
        parts, subkeys = _parts(key), [""]
        while subkeys:
            subkeys = [info.id async for info in self._living(*parts)] if len(parts) == 2 else []
            await self._chats.store.purge_many([*subkeys, digest(*parts)])

    async def _living(self, *parts: str) -> AsyncIterator[ConversationInfo]:
        """A project's transcripts, or those of a session's subagents; not one that is about to get its first entries."""
        cursor, more = None, True
        while more:
            page = await self._chats.list(user=digest(*parts), limit=200, cursor=cursor)
            for info in filter(lambda info: info.count, page.items):
                yield info
            cursor, more = page.cursor, page.cursor is not None


def _parts(key: sdk.SessionKey) -> list[str]:
    if (subpath := key.get("subpath")) == "":
        raise ValueError("subpath must not be empty: leave it out for the main transcript")
    return [key["project_key"], key["session_id"], *([] if subpath is None else [subpath])]


def _messages(entries: list[sdk.SessionStoreEntry]) -> list[NewMessage]:
    """Entries as messages; the first one of those that have the same uuid."""
    messages: dict[str | int, NewMessage] = {}
    for number, entry in enumerate(entries):
        key = digest(entry["uuid"])[:32] if entry.get("uuid") else None
        role: Any = kind if (kind := entry.get("type")) in ("user", "assistant", "system") else "other"
        messages.setdefault(key or number, NewMessage(role, kept({**entry}), key=key))
    return list(messages.values())


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
