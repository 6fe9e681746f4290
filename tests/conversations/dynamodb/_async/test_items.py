"""How a conversation lies in a table. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.watched import Refuses, Watched

from session_store.conversations import (
    AsyncDynamoDBConversation,
    AsyncDynamoDBConversations,
    ConversationNotFoundError,
    MessageTooLargeError,
    NewMessage,
)
from session_store.conversations.dynamodb._async.table import AsyncTable

Chat = AsyncDynamoDBConversation


async def contents(chat: Chat) -> list[Any]:
    return [message.content async for message in chat.iter()]


async def test_an_append_writes_two_items(chat: Chat, watched: Watched, items: Any) -> None:
    """[D11] The conversation's and the message's, and nothing that an index shows."""
    before = await items()
    await chat.append("user", "x")
    ((name, params),) = watched.calls
    assert name == "transact_write_items"
    assert [list(each) for each in params["TransactItems"]] == [["Update"], ["Put"]]
    (meta,) = [each for each in before if each["SK"] == {"S": "#"}]
    after = {each["SK"]["S"]: each for each in await items()}
    changed = {key for key, value in after["#"].items() if meta.get(key) != value}
    assert changed.isdisjoint({"PK", "SK", "UK", "AK", "CK"})
    assert after.keys() - {"#"} and not {"UK", "AK", "CK"} & {
        key for sk, each in after.items() if sk != "#" for key in each
    }


async def test_a_delete_that_dies_on_its_way(chats: Any, chat: Chat, watched: Watched, items: Any) -> None:
    """[D10] What it leaves behind is never a part of another conversation."""
    await chat.append_many([NewMessage("user", at, key=f"k{at}") for at in range(30)])
    watched.faults.append(Refuses("InternalServerError", "batch_write_item", times=100))
    with pytest.raises(watched.exceptions.InternalServerError):
        await chat.delete_all()
    watched.faults.clear()
    assert len(await items()) >= 30
    assert (await chat.info(), (await chats().list(user="ann")).items) == (None, ())
    await chats().create("c", user="ann")
    again = chats().conversation("c")
    assert (await again.append("user", "new", key="k3")).seq == 1
    assert await contents(again) == ["new"]
    assert await contents(chat) == ["new"]


async def test_sizes(chat: Chat, watched: Watched) -> None:
    """[D16] What is too large for an item is refused before anything is sent; what just fits is stored."""
    await chat.append("user", "x" * 390 * 1024)
    watched.clear()
    for content in ("x" * 401 * 1024, "é" * 201 * 1024):
        with pytest.raises(MessageTooLargeError) as caught:
            await chat.append("user", content)
        assert caught.value.limit < caught.value.size
        with pytest.raises(MessageTooLargeError):
            await chat.edit(1, content, metadata=None)
    with pytest.raises(MessageTooLargeError):
        await chat.append_many(
            [NewMessage("user", "x" * 380 * 1024)] * 10
        )  # with what is told of it, of up to 400,000 bytes, too many
    assert watched.calls == []
    assert [len(each) for each in await contents(chat)] == [390 * 1024]


async def test_more_messages_than_a_transaction_takes(chat: Chat, watched: Watched) -> None:
    """[D16] 99, since the conversation is one of its 100 items."""
    news = [NewMessage("user", at) for at in range(100)]
    with pytest.raises(MessageTooLargeError) as caught:
        await chat.append_many(news)
    assert (caught.value.size, caught.value.limit, caught.value.unit, watched.calls) == (100, 99, "items", [])
    assert [message.seq for message in await chat.append_many(news[:99])] == list(range(1, 100))


async def test_long_conversations_are_read_to_their_end(chats: Any, chat: Chat, items: Any) -> None:
    """[defects D6, D7, A20] DynamoDB cuts its answers at 1 MB, and filters them after it has counted."""
    for name in "abde":
        await chats().create(name)
    for _ in range(5):
        await chat.append_many([NewMessage("user", "x" * 60 * 1024) for _ in range(8)])
    await chat.append("tool", "y")
    assert len(await contents(chat)) == 41
    assert len((await chat.messages(limit=100)).items) == len((await chat.latest(100)).items) == 41
    assert [message.seq for message in (await chat.latest(1, roles=["tool"])).items] == [41]
    assert [message.seq for message in (await chat.messages(roles=["tool"])).items] == [41]
    assert [message.seq for message in (await chat.messages(offset=39)).items] == [40, 41]
    assert sorted([info.id async for info in chats().scan()]) == ["a", "b", "c", "d", "e"]
    info = await chat.info()
    assert info is not None
    await chat.replace([NewMessage("system", "z")], after=1, expected_revision=info.revision)
    assert [message.seq for message in (await chat.messages()).items] == [1, 42]
    for _ in range(4):
        await chat.append_many([NewMessage("user", "x" * 60 * 1024) for _ in range(8)])
    await chat.delete_all()
    assert {item["PK"]["S"] for item in await items()} == {"C#a", "C#b", "C#d", "C#e"}


async def test_a_list_of_large_conversations(chats: Any) -> None:
    """[A23, defect D6] BatchGetItem answers with 16 MB at most, and Query with 1."""
    every = chats()
    for at in range(40):
        await every.create(f"c-{at:02}", user="ann", metadata="x" * 60 * 1024, status="paused" if at < 3 else "active")
    assert len((await every.list(user="ann")).items) == 40
    assert [info.id for info in (await every.list(user="ann", status="paused", limit=2)).items] == ["c-02", "c-01"]


async def test_an_update_of_none_writes_nothing(chats: Any, items: Any) -> None:
    """[A5, defect D3] Not even with the version that the deleted one had."""
    every = chats()
    info = await every.create("c", user="ann")
    chat = every.conversation("c")
    await chat.info()
    await chat.delete_all()
    for version in (None, info.version, 7):
        with pytest.raises(ConversationNotFoundError):
            await chat.update(title="T", user="bob", expected_version=version)
    with pytest.raises(ConversationNotFoundError):
        await chat.append("user", "x")
    assert (await chat.touch(), await items()) == (False, [])


async def test_what_is_cleared_is_gone(chats: Any, items: Any) -> None:
    """[A4, defect D4] Also from the indexes."""
    await chats().create("c", user="ann", agent="planner", title="T", tags=["a"], metadata={"x": 1})
    await chats().conversation("c").update(user=None, agent=None, title=None, tags=None, metadata=None)
    (item,) = await items()
    await chats().conversation("c").delete_all()
    await chats().create("c")
    (bare,) = await items()
    assert item.keys() == bare.keys() and not {"UK", "AK", "u", "a"} & item.keys()


async def test_a_table_is_made_once(watched: Watched, table: str) -> None:
    """[D21, D7, defect D12] Where there is none that is told, also by ping."""
    every = AsyncDynamoDBConversations(watched, table=table)
    for call in (every.ping, lambda: every.create("c"), lambda: every.list(user="ann"), every.conversation("c").info):
        with pytest.raises(watched.exceptions.ResourceNotFoundException):
            await call()
    await every.create_table()
    described = (await watched.describe_table(TableName=table))["Table"]
    assert {
        each["IndexName"]: each["Projection"]["ProjectionType"] for each in described["GlobalSecondaryIndexes"]
    } == {
        "by-user": "KEYS_ONLY",
        "by-agent": "KEYS_ONLY",
    }
    assert described["KeySchema"] == [
        {"AttributeName": "PK", "KeyType": "HASH"},
        {"AttributeName": "SK", "KeyType": "RANGE"},
    ]
    ttl = (await watched.describe_time_to_live(TableName=table))["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "ttl")
    assert await every.ping() > 0
    await every.create("c", user="ann")
    with pytest.raises(watched.exceptions.ResourceInUseException):
        await every.create_table()
    assert (await every.conversation("c").info()) is not None


async def test_a_list_between_times_that_are_the_wrong_way_round(chats: Any) -> None:
    """[A24] Has nothing; DynamoDB itself refuses such a question."""
    every = chats()
    info = await every.create("c", user="ann")
    hour = timedelta(hours=1)
    page = await every.list(user="ann", created_after=info.created_at, created_before=info.created_at - hour)
    assert (page.items, page.cursor) == ((), None)
    assert len((await every.list(user="ann", created_after=info.created_at - hour)).items) == 1
    old = datetime(1960, 1, 1, tzinfo=timezone.utc)
    assert (await every.list(user="ann", created_before=old)).items == ()
    assert len((await every.list(user="ann", created_after=old)).items) == 1


async def test_what_comes_while_messages_are_deleted_stays(
    chats: Any, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[D10] Also in a conversation of the same id that is begun meanwhile."""
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    tidy, delete = AsyncDynamoDBConversation._tidy, AsyncTable.delete_leftovers

    async def late_tidy(self: Any, *args: Any) -> None:
        await chats().conversation("c").append("user", "new")
        await tidy(self, *args)

    monkeypatch.setattr(AsyncDynamoDBConversation, "_tidy", late_tidy)
    assert await chat.clear() == 3
    assert await contents(chat) == ["new"]

    async def late_delete(self: Any, *args: Any) -> None:
        await chats().create("c")
        await chats().conversation("c").append("user", "newer")
        await delete(self, *args)

    monkeypatch.setattr(AsyncTable, "delete_leftovers", late_delete)
    assert await chat.delete_all()
    assert await contents(chat) == ["newer"]


async def test_what_was_begun_meanwhile_is_not_deleted(chats: Any, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """[D10] Whoever deletes has looked at the conversation before it."""
    end = AsyncDynamoDBConversation._end

    async def late_end(self: Any, *args: Any) -> bool:
        monkeypatch.setattr(AsyncDynamoDBConversation, "_end", end)
        await chats().conversation("c").delete_all()
        await chats().create("c", title="new")
        return await end(self, *args)

    monkeypatch.setattr(AsyncDynamoDBConversation, "_end", late_end)
    await chat.delete_all()
    info = await chat.info()
    assert info is not None and info.title == "new"


async def test_a_cursor_is_of_its_list(chats: Any) -> None:
    """Of no other user's, nor of an agent's of the same name; made up ones are none."""
    every = chats()
    for at in range(3):
        await every.create(f"c-{at}", user="ann", agent="ann")
    cursor = (await every.list(user="ann", limit=1)).cursor
    assert [info.id for info in (await every.list(user="ann", cursor=cursor)).items] == ["c-1", "c-0"]
    for options in ({"user": "bob"}, {"agent": "ann"}):
        with pytest.raises(ValueError, match="cursor must be"):
            await every.list(**options, cursor=cursor)
    for wrong in ("", "x", "é", cursor[:-4], "AAAA" + cursor):
        with pytest.raises(ValueError, match="cursor must be"):
            await every.list(user="ann", cursor=wrong)
