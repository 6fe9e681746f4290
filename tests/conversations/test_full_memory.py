"""A server whose memory is full, and in which no room may be made [C27]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import OutOfMemoryError
from support.servers import Server

from session_store import SessionStore
from session_store.conversations import NewMessage, RedisConversation, RedisConversations

REFUSED: dict[str, Callable[[RedisConversations, RedisConversation], object]] = {
    "create": lambda chats, _: chats.create("new"),
    "create for a user": lambda chats, _: chats.create("new", user="ann"),
    "append": lambda _, chat: chat.append("user", "x"),
    "append with a key": lambda _, chat: chat.append("user", "x", key="other"),
    "edit": lambda _, chat: chat.edit(1, "y", metadata=None),
    "update": lambda _, chat: chat.update(title="T"),
    "summary": lambda _, chat: chat.set_summary("s", upto=1),
}
GO_ON: dict[str, Callable[[RedisConversations, RedisConversation], object]] = {
    "delete": lambda _, chat: chat.delete(1),
    "clear": lambda _, chat: chat.clear(),
    "touch": lambda _, chat: chat.touch(),
    "delete all": lambda _, chat: chat.delete_all(),
}


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that is full at times."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def client(own_server: Server) -> Iterator[Any]:
    with redis.Redis(port=own_server.port) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
def chats(client: Any, prefix: str) -> RedisConversations:
    return RedisConversations(SessionStore(client, prefix=prefix, default_ttl=600))


@pytest.fixture
def chat(chats: RedisConversations) -> RedisConversation:
    chat = chats.conversation(chats.create("c").id)
    chat.append_many([NewMessage("user", "x", 1, key="k"), NewMessage("assistant", "y", 1)])
    return chat


@pytest.mark.parametrize("call", REFUSED)
def test_what_wants_memory_is_refused(
    client: Any, prefix: str, chats: RedisConversations, chat: RedisConversation, call: str
) -> None:
    """Nothing of it is there, and it can be done when there is room again."""
    key = chats.store.namespace("c").key("conversation")
    before = client.hgetall(key)
    client.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        REFUSED[call](chats, chat)
    assert client.hgetall(key) == before
    assert chats.conversation("new").info() is None
    assert [message.content for message in chat.latest().items] == ["x", "y"]
    client.config_set("maxmemory", 0)
    REFUSED[call](chats, chat)


@pytest.mark.parametrize("call", GO_ON)
def test_what_gives_memory_back_goes_on(
    client: Any, chats: RedisConversations, chat: RedisConversation, call: str
) -> None:
    """All of it is done: what is told agrees with the messages."""
    client.config_set("maxmemory", 1)
    assert GO_ON[call](chats, chat)
    info = chat.info()
    assert (info is None) == (call == "delete all")
    if info is not None:
        found = chat.latest().items
        assert (info.count, info.tokens) == (len(found), len(found))
