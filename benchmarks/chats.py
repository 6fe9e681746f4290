"""Conversations as each library keeps them, behind one face. Everybody has the same client, server, messages and TTL."""

# ruff: noqa: D102  # what each method is to do is said once, at `Chat`

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from itertools import count
from typing import Any

import redis.asyncio

from benchmarks.clients import PREFIX, TTL
from benchmarks.results import OURS
from session_store import AsyncSessionStore
from session_store.conversations import AsyncRedisConversations, NewMessage

USER = "ann"
TOGETHER = 1_000  # messages that are filled in at once
ALL = 1_000_000  # more than there are


class Chat(ABC):
    """One conversation. `edits`: whether a message can be given another text. `note`: as in `Result`."""

    name: str
    note = ""
    edits = False

    def __init__(self, client: redis.asyncio.Redis, chat_id: str) -> None:
        self.client: Any = client
        self.id = chat_id

    async def begin(self, texts: Sequence[str]) -> None:
        """There is nothing of it but these messages."""
        keys = [key async for key in self.client.scan_iter(match=f"*{self.id}*", count=1_000)]
        if keys:
            await self.client.unlink(*keys)
        await self.create()
        for at in range(0, len(texts), TOGETHER):
            await self.fill(texts[at : at + TOGETHER])
        await self.join()

    async def create(self) -> None:  # noqa: B027  # some have nothing to do
        """It is there, without messages."""

    @abstractmethod
    async def fill(self, texts: Sequence[str]) -> None:
        """Many messages, in the quickest way."""

    async def join(self) -> None:  # noqa: B027  # the same
        """What a process does before it appends to a conversation that is there."""

    @abstractmethod
    async def append(self, text: str, key: str | None = None) -> None:
        """One message. `key`: what tells it from others, for those who take it."""

    @abstractmethod
    async def latest(self, limit: int) -> list[str]:
        """The texts of the newest messages."""

    async def texts(self) -> list[str]:
        """Those of all messages."""
        return await self.latest(ALL)

    async def edit(self, number: int, text: str) -> None:
        """Gives the message of that number, from 1 on, another text."""
        raise NotImplementedError


class Ours(Chat):
    """`AsyncRedisConversations`."""

    name = OURS
    edits = True

    def __init__(self, client: redis.asyncio.Redis, chat_id: str) -> None:
        super().__init__(client, chat_id)
        self._chats = AsyncRedisConversations(AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL))
        self._chat = self._chats.conversation(chat_id)

    async def create(self) -> None:
        await self._chats.create(self.id, user=USER)

    async def fill(self, texts: Sequence[str]) -> None:
        await self._chat.append_many([NewMessage("user", text) for text in texts])

    async def append(self, text: str, key: str | None = None) -> None:
        await self._chat.append("user", text, key=key)

    async def latest(self, limit: int) -> list[str]:
        return [message.content for message in (await self._chat.latest(limit)).items]

    async def texts(self) -> list[str]:
        return [message.content async for message in self._chat.iter()]

    async def edit(self, number: int, text: str) -> None:
        await self._chat.edit(number, text, metadata=None)

    async def numbers(self) -> list[int]:
        """Those of all messages."""
        return [message.seq async for message in self._chat.iter()]


class JsonList(Chat):
    """A list of JSON, the usual way."""

    name = "a list of JSON"
    note = "RPUSH and EXPIRE in MULTI; LRANGE; LSET and EXPIRE in MULTI"
    edits = True

    @property
    def _key(self) -> str:
        return f"{PREFIX}:list-{self.id}"

    async def fill(self, texts: Sequence[str]) -> None:
        async with self.client.pipeline() as pipeline:
            pipeline.rpush(self._key, *map(_json, texts))
            pipeline.expire(self._key, TTL)
            await pipeline.execute()

    async def append(self, text: str, key: str | None = None) -> None:
        await self.fill([text])

    async def latest(self, limit: int) -> list[str]:
        return [json.loads(each)["content"] for each in await self.client.lrange(self._key, -limit, -1)]

    async def edit(self, number: int, text: str) -> None:
        async with self.client.pipeline() as pipeline:
            pipeline.lset(self._key, number - 1, _json(text))
            pipeline.expire(self._key, TTL)
            await pipeline.execute()


class BareHset(Chat):
    """The same bytes as fields of a hash: one command, no conversation."""

    name = "redis.asyncio, HSET"
    note = "the same JSON in a field of a hash, without TTL or order: no conversation, but what a command costs"

    def __init__(self, client: redis.asyncio.Redis, chat_id: str) -> None:
        super().__init__(client, chat_id)
        self._numbers = count(1)

    @property
    def _key(self) -> str:
        return f"{PREFIX}:hash-{self.id}"

    async def fill(self, texts: Sequence[str]) -> None:
        await self.client.hset(self._key, mapping={str(next(self._numbers)): _json(text) for text in texts})

    async def append(self, text: str, key: str | None = None) -> None:
        await self.client.hset(self._key, str(next(self._numbers)), _json(text))

    async def latest(self, limit: int) -> list[str]:
        raise NotImplementedError


class OpenAIAgents(Chat):
    """openai-agents' `RedisSession`."""

    name = "openai-agents, RedisSession"

    def __init__(self, client: redis.asyncio.Redis, chat_id: str) -> None:
        super().__init__(client, chat_id)
        memory: Any = import_module("agents.extensions.memory")
        self._session = memory.RedisSession(chat_id, redis_client=client, key_prefix=PREFIX, ttl=TTL)

    async def fill(self, texts: Sequence[str]) -> None:
        await self._session.add_items([_message(text) for text in texts])

    async def append(self, text: str, key: str | None = None) -> None:
        await self.fill([text])

    async def latest(self, limit: int) -> list[str]:
        return [item["content"] for item in await self._session.get_items(limit=limit)]


class GoogleAdk(Chat):
    """google-adk's `RedisSessionService`."""

    name = "google-adk, RedisSessionService"
    note = "the whole session is one value, which each call reads, and each append writes"

    def __init__(self, client: redis.asyncio.Redis, chat_id: str) -> None:
        super().__init__(client, chat_id)
        sessions: Any = import_module("google.adk.sessions")
        events: Any = import_module("google.adk.events")
        self._types: Any = import_module("google.genai.types")
        adk: Any = import_module("google.adk.integrations.redis")
        self._config = adk.RedisSessionServiceConfig(ttl_seconds=TTL, key_prefix=f"{PREFIX}:adk:")
        self._service = adk.RedisSessionService(self._config, redis_client=client)
        self._event, self._whole, self._recent = events.Event, sessions.Session, sessions.base_session_service
        self._names = {"app_name": "app", "user_id": USER, "session_id": chat_id}
        self._session: Any = None

    async def create(self) -> None:
        await self._service.create_session(**self._names)

    async def fill(self, texts: Sequence[str]) -> None:
        key = f"{self._config.key_prefix}app:{USER}:{self.id}"  # through its own appends 10,000 would take an hour
        session = self._whole.model_validate_json(await self.client.get(key))
        session.events += map(self._made, texts)
        await self.client.set(key, session.model_dump_json(), ex=TTL)

    async def join(self) -> None:
        self._session = await self._service.get_session(**self._names)

    async def append(self, text: str, key: str | None = None) -> None:
        await self._service.append_event(self._session, self._made(text))

    def _made(self, text: str) -> Any:
        content = self._types.Content(role="user", parts=[self._types.Part(text=text)])
        return self._event(author="user", invocation_id="invocation", content=content)

    async def latest(self, limit: int) -> list[str]:
        config = self._recent.GetSessionConfig(num_recent_events=limit)
        session = await self._service.get_session(**self._names, config=config)
        return [event.content.parts[0].text for event in session.events]


KINDS: dict[str, type[Chat]] = {kind.name: kind for kind in (Ours, BareHset, JsonList, OpenAIAgents, GoogleAdk)}
LEFT_OUT = {
    "agent-framework, RedisHistoryProvider": "agent-framework-redis asks for redis<7.2.1, and everybody else here has a later one"
}


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _json(text: str) -> str:
    return json.dumps(_message(text))
