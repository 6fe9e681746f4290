"""When a conversation on DynamoDB ends, by whose clock. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from conversations.dynamodb._async.conftest import DAY, Clock
from support.watched import Watched

from session_store import CasPolicy
from session_store.conversations import (
    AsyncDynamoDBConversation,
    ConversationNotFoundError,
)

Chat = AsyncDynamoDBConversation


async def contents(chat: Chat) -> list[Any]:
    return [message.content async for message in chat.iter()]


async def test_the_end_of_a_message_is_that_of_the_longest_life(
    chats: Any, watched: Watched, items: Any, clock: Clock
) -> None:
    """[D11] Nothing moves it; that of the conversation moves with each write, and none is before its time."""
    every = chats(idle_ttl=100, max_lifetime=1_000)
    info = await every.create("c")
    chat = every.conversation("c")
    await chat.append("user", "x")
    first = {each["SK"]["S"]: int(each["ttl"]["N"]) for each in await items()}
    ends = info.created_at.timestamp() + 1_000
    clock.ahead = 50
    await chat.append("user", "y")
    later = {each["SK"]["S"]: int(each["ttl"]["N"]) for each in await items()}
    ((message, ttl),) = [(sk, ttl) for sk, ttl in first.items() if sk != "#"]
    assert ttl == later[message] == math.ceil(ends)
    assert all(ttl >= math.ceil(ends) for sk, ttl in later.items() if sk != "#")
    assert 49 <= later["#"] - first["#"] <= 51
    info = await chat.info()
    assert info is not None and later["#"] == math.ceil(info.expires_at.timestamp())


async def test_what_has_ended_is_not_shown(chats: Any, items: Any, clock: Clock) -> None:
    """[D5, defect D12] Though DynamoDB deletes it days later; and nothing is written there but a new one."""
    every = chats(idle_ttl=100)
    await every.create("c", user="ann")
    chat = every.conversation("c")
    await chat.append("user", "old")
    clock.ahead = 101
    assert (await chat.info(), await every.infos(["c"]), (await every.list(user="ann")).items) == (None, {}, ())
    assert [info async for info in every.scan()] == []
    for call in (
        chat.latest,
        chat.messages,
        lambda: chat.append("user", "x"),
        lambda: chat.update(title="T"),
        chat.clear,
    ):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert (await chat.touch(), await chat.delete_all()) in {(False, False), (False, True)}
    clock.ahead = 0
    assert len(await items()) in {0, 2}


async def test_an_id_can_be_used_again_once_its_conversation_has_ended(chats: Any, clock: Clock) -> None:
    """[D5]"""
    every = chats(idle_ttl=100)
    await every.create("c", user="ann", title="old")
    await every.conversation("c").append("user", "old", key="k")
    clock.ahead = 101
    info = await every.create("c", user="bob")
    assert (info.count, info.title, info.user) == (0, None, "bob")
    chat = every.conversation("c")
    assert await contents(chat) == []
    assert (await chat.append("user", "new", key="k")).content == "new"
    assert await contents(chat) == ["new"]
    assert ((await every.list(user="ann")).items, len((await every.list(user="bob")).items)) == ((), 1)


async def test_pruning_deletes_what_has_ended(chats: Any, items: Any, clock: Clock) -> None:
    """[D1, defect D1] All of it, and nothing else."""
    every = chats(idle_ttl=100)
    for at in range(3):
        await every.create(f"old-{at}", user="ann")
        await every.conversation(f"old-{at}").append("user", "x")
    clock.ahead = 60
    await every.create("new", user="ann")
    await every.create("other", user="bob")
    clock.ahead = 101
    assert await every.prune(user="ann") == 1
    assert {each["PK"]["S"] for each in await items()} == {"C#new", "C#other"}


async def test_clocks_that_are_behind(chats: Any, clock: Clock) -> None:
    """[D17, defect D11] Neither the order nor the times go back."""
    await chats().create("c")
    chat, other = chats().conversation("c"), chats().conversation("c")
    first = await chat.append("user", 1)
    clock.ahead = -3_600
    second = await other.append("user", 2)
    clock.ahead = 0
    third = await chat.append("user", 3)
    assert await contents(chat) == [1, 2, 3]
    assert first.created_at <= second.created_at <= third.created_at
    info = await chat.info()
    assert info is not None and info.last_activity == third.created_at
    assert (info.expires_at - info.last_activity).total_seconds() == DAY


async def test_a_clock_that_is_behind_ends_nothing(chats: Any, clock: Clock) -> None:
    """[D17] Messages of such a writer do not end a conversation for those whose clocks are right."""
    every = chats(idle_ttl=600)
    await every.create("c")
    chat, late = every.conversation("c"), every.conversation("c")
    await chat.append("user", 1)
    clock.ahead = -3_600
    await late.append("user", 2)
    clock.ahead = 0
    await chat.append("user", 3)
    assert await contents(chat) == [1, 2, 3]


async def test_times_to_the_millisecond(chats: Any) -> None:
    """[D2, defect D2] All that tell when a conversation ends agree."""
    every = chats(idle_ttl=600.234)
    created = await every.create("c", user="ann")
    assert round((created.expires_at - created.created_at).total_seconds(), 3) == 600.234
    info = await every.conversation("c").info()
    assert info == created == (await every.infos(["c"]))["c"] == (await every.list(user="ann")).items[0]


async def test_a_turn_of_a_clock_that_was_ahead(chats: Any, chat: Chat, watched: Watched, table: str) -> None:
    """[D17] A process took a turn by a clock that was an hour ahead, and died: nobody waits for that hour."""
    await watched.update_item(
        TableName=table,
        Key={"PK": {"S": "C#c"}, "SK": {"S": "#"}},
        UpdateExpression="SET #t = :t, #m = :m",
        ExpressionAttributeNames={"#t": "turn", "#m": "turn_ms"},
        ExpressionAttributeValues={":t": {"S": "another"}, ":m": {"N": str(time.time_ns() // 1_000_000 + 3_600_000)}},
    )
    policy = CasPolicy(max_retries=5, backoff_base=0.001, backoff_cap=0.01)
    assert (await chats(cas_policy=policy).conversation("c").append("user", "x")).seq == 1
