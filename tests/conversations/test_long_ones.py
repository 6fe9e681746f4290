"""A conversation of 100,000 messages beside one of 100 [C26]."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
import redis
from support.servers import Server

from session_store import SessionStore
from session_store.conversations import NewMessage, RedisConversation, RedisConversations

pytestmark = pytest.mark.long

ROUNDS, CALLS, BODY = 21, 20, "x" * 460


def filled(chats: RedisConversations, count: int) -> RedisConversation:
    chat = chats.conversation(chats.create().id)
    for first in range(0, count, 1_000):
        chat.append_many([NewMessage("user", BODY)] * min(1_000, count - first))
    return chat


def test_an_append_costs_the_same_however_many_there_are(server: Server, prefix: str) -> None:
    """At most half more of the server's time; by rounds that take turns."""
    with redis.Redis(port=server.port) as client:
        chats = RedisConversations(SessionStore(client, prefix=prefix, default_ttl=600))
        chat_of = {"short": filled(chats, 100), "long": filled(chats, 100_000)}

        def spent() -> Any:
            return client.info("commandstats")["cmdstat_evalsha"]["usec"]

        took: dict[str, list[float]] = {name: [] for name in chat_of}
        for turn in range(ROUNDS):
            for name in sorted(chat_of, reverse=bool(turn % 2)):
                before = spent()
                for _ in range(CALLS):
                    chat_of[name].append("user", BODY)
                took[name].append(spent() - before)
        for chat in chat_of.values():
            chat.delete_all()
    assert median(took["long"]) <= 1.5 * median(took["short"])
