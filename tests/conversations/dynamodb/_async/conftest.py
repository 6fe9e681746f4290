"""Conversations on DynamoDB: a table of each test's own, and what stands in it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from conversations._async import on_dynamodb
from conversations._async.on_dynamodb import Clock
from support._async.layers import DAY, together
from support._async.tables import table, watched
from support.watched import Watched

from session_store.conversations import AsyncDynamoDBConversation, AsyncDynamoDBConversations


@pytest.fixture
async def chats(watched: Watched, table: str) -> Any:
    """Makes the conversations of a table."""
    await AsyncDynamoDBConversations(watched, table=table).create_table()
    watched.clear()

    def chats(**options: Any) -> AsyncDynamoDBConversations:
        return AsyncDynamoDBConversations(watched, table=table, **{"idle_ttl": DAY, **options})

    return chats


@pytest.fixture
async def chat(chats: Any, watched: Watched) -> AsyncDynamoDBConversation:
    """A conversation that has just begun; its handle has read of it."""
    every = chats()
    await every.create("c", user="ann")
    chat = every.conversation("c")
    await chat.info()
    watched.clear()
    return chat


@pytest.fixture
def items(watched: Watched, table: str) -> Any:
    """All that stands in the table."""
    return partial(on_dynamodb.items, watched, table)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Puts this machine's clock on, or back: `clock.ahead = 60`."""
    return Clock(monkeypatch)
