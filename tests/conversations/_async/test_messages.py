"""Messages that come, change and go. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from conversations._async.conftest import add, most_of, on_redis, standing, together

from session_store import CodecError, NamespacePurgedError
from session_store.conversations import (
    AsyncRedisConversation,
    ConversationNotFoundError,
    Message,
    MessageNotFoundError,
    MessageTooLargeError,
    NewMessage,
    TokenBudgetError,
)

Chat = AsyncRedisConversation


async def everything(chat: Chat) -> list[Message]:
    return [message async for message in chat.iter()]


async def totals(chat: Chat) -> tuple[int, int, int]:
    """How many messages, their tokens, and the last number."""
    info = await standing(chat)
    return info.count, info.tokens, info.last_seq


async def test_a_message_is_read_as_it_was_added(chat: Chat) -> None:
    added = await chat.append("tool", {"rows": [1, None]}, tokens=7, metadata={"call": "c-1"}, key="k|1|é")
    assert await everything(chat) == [added]
    assert (added.seq, added.role, added.content, added.tokens) == (1, "tool", {"rows": [1, None]}, 7)
    assert (added.metadata, added.key, added.edited_at) == ({"call": "c-1"}, "k|1|é", None)
    info = await standing(chat)
    assert info.created_at <= added.created_at == info.last_activity


async def test_what_comes_together_is_numbered_in_one_order(chat: Chat, is_redis: bool) -> None:
    """[A9]"""
    count = 200 if is_redis else 50  # what stands in for DynamoDB takes longer the more there is
    added = await together([partial(chat.append, "user", at, tokens=at) for at in range(count)])
    assert sorted(message.seq for message in added) == list(range(1, count + 1))
    assert await totals(chat) == (count, sum(range(count)), count)
    assert await everything(chat) == sorted(added, key=lambda message: message.seq)


async def test_messages_are_added_all_or_none(chat: Chat) -> None:
    """[C1]"""
    before = await standing(chat)
    added = await chat.append_many([NewMessage("user", at, tokens=at) for at in range(3)])
    after = await standing(chat)
    assert [message.seq for message in added] == [1, 2, 3]
    assert after.revision == before.revision + 1
    with pytest.raises(TokenBudgetError):
        await chat.append_many([NewMessage("user", 1, tokens=1), NewMessage("user", 2, tokens=1)], max_tokens=4)
    assert await standing(chat) == after
    assert await chat.append_many([]) == []
    assert await standing(chat) == after


async def test_the_clock_does_not_decide_on_the_order(chat: Chat, is_redis: bool, pass_time: Any) -> None:
    """[A11] Not where it stands still, nor where it goes back by an hour."""
    most, count = most_of(chat), 1_000 if is_redis else 150
    many = await chat.append_many([NewMessage("user", at) for at in range(most)])
    assert len({message.created_at for message in many}) == 1
    await add(chat, [NewMessage("user", at) for at in range(most, count)])
    await pass_time(-3_600)
    late = await chat.append("user", "late")
    found = await everything(chat)
    assert [message.content for message in found] == [*range(count), "late"]
    assert found[-1].created_at == late.created_at >= found[-2].created_at
    assert (await chat.messages(before=late.created_at, limit=0)).items == ()


@pytest.mark.parametrize(
    "content",
    ["[1]", '{"a": 1}', "", "\0", "😀", "é" * 3, None, True, 0, -1.5, [], {}, [{"type": "text", "text": "Hi"}], "a|b"],
)
async def test_any_json_value_is_a_content(chat: Chat, content: Any) -> None:
    """[A16] Its type is kept."""
    await chat.append("user", content, metadata={"m": content})
    await chat.edit(1, content)
    (found,) = await everything(chat)
    assert (found.content, type(found.content), found.metadata) == (content, type(content), {"m": content})


async def test_large_messages(chat: Chat, is_redis: bool) -> None:
    """[A17] What is too large is an error, and nothing is written."""
    fits, limit = (399 * 1024, 16 * 2**20) if is_redis else (390 * 1024, 400_000)
    await chat.append("user", "x" * fits)
    before = await standing(chat)
    for call in (partial(chat.append, "user"), partial(chat.edit, 1, metadata=None)):
        with pytest.raises(MessageTooLargeError) as caught:
            await call("x" * limit)
        assert caught.value.limit == limit < caught.value.size
    assert await standing(chat) == before
    assert [len(message.content) for message in await everything(chat)] == [fits]


async def test_messages_are_of_one_conversation(chats: Any, chat: Chat) -> None:
    """[A18] Another one does not change them."""
    added = await chat.append("user", "mine")
    every = chats()
    other = every.conversation((await every.create()).id)
    with pytest.raises(MessageNotFoundError) as caught:
        await other.edit(1, "theirs")
    assert caught.value.seq == 1
    with pytest.raises(MessageNotFoundError):
        await other.edit(1, "theirs", metadata=None)
    assert await other.delete(1) == 0
    assert await everything(chat) == [added]
    assert await totals(chat) == (1, 0, 1)


async def test_nothing_is_added_where_there_is_no_conversation(chats: Any, keys: Any) -> None:
    """[A19] Only creating one makes one; only that there were calls is remembered, for a while."""
    chat = chats().conversation("none")
    for call in (
        partial(chat.append, "user", "x"),
        partial(chat.edit, 1, "x"),
        partial(chat.edit, 1, "x", metadata=None),
        partial(chat.delete, 1),
        chat.clear,
        partial(chat.replace, [NewMessage("user", "x")], expected_revision=1),
        partial(chat.set_summary, "x", upto=1),
        chat.latest,
        chat.messages,
    ):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert [key for key in await keys() if not key.endswith(b":~index")] == []
    assert (await chat.info(), await chat.touch(), await chat.delete_all()) == (None, False, False)


async def test_a_budget_is_kept_whoever_adds(chat: Chat) -> None:
    """[A26]"""
    added = await together([partial(chat.append, "user", at, tokens=10, max_tokens=100) for at in range(20)])
    refused = [each for each in added if isinstance(each, TokenBudgetError)]
    assert [(each.limit, each.tokens, each.asked) for each in refused] == [(100, 100, 10)] * 10
    assert await totals(chat) == (10, 100, 10)


async def test_a_key_is_added_once(chat: Chat) -> None:
    """[C2] Until its message was deleted."""
    added = await together([partial(chat.append, "user", at, tokens=1, key="k") for at in range(20)])
    assert added == [added[0]] * 20 and added[0].seq == 1
    assert await totals(chat) == (1, 1, 1)
    await chat.delete(1)
    assert (await chat.append("user", "again", key="k")).seq == 2
    await chat.clear()
    assert (await chat.append("user", "again", key="k")).seq == 3


async def test_as_many_at_once_as_may_be(chat: Chat, is_redis: bool) -> None:
    """Each with a key, so that there is more to write than one command of a script takes."""
    count = 1_000 if is_redis else 49
    news = [NewMessage("user", at, tokens=1, key=f"k{at}") for at in range(count)]
    added = await chat.append_many(news)
    assert await everything(chat) == added
    assert await chat.append_many(news[::-10]) == added[::-10]
    assert await totals(chat) == (count, count, count)


async def test_what_is_there_already_needs_no_budget(chat: Chat) -> None:
    """Nor a revision: a call that is made again succeeds as it did, and what is new among it is added."""
    info = await standing(chat)
    first = await chat.append("user", 1, tokens=10, key="a", expected_revision=info.revision, max_tokens=10)
    again = await chat.append("user", 1, tokens=10, key="a", expected_revision=info.revision, max_tokens=10)
    assert again == first
    news = [NewMessage("user", 2, 5, key="b"), NewMessage("user", 9, 10, key="a"), NewMessage("user", 3)]
    added = await chat.append_many(news, max_tokens=15)
    assert [(message.seq, message.content) for message in added] == [(2, 2), (1, 1), (3, 3)]
    assert await everything(chat) == [first, added[0], added[2]]
    assert await totals(chat) == (3, 15, 3)


async def test_messages_can_all_go_one_by_one(chat: Chat) -> None:
    """[C9] The numbers go on."""
    await chat.append_many([NewMessage("user", at, tokens=at) for at in range(5)])
    for seq in (3, 1, 5, 2, 4):
        assert await chat.delete(seq) == 1
    assert await totals(chat) == (0, 0, 5)
    assert (await chat.latest()).items == ()
    assert (await chat.append("user", "on")).seq == 6
    assert [message.seq for message in await everything(chat)] == [6]


async def test_deleting_counts_what_was_there(chat: Chat) -> None:
    await chat.append_many([NewMessage("user", at, tokens=1) for at in range(5)])
    assert await chat.delete(2, 4, 4, 99) == 2
    assert await totals(chat) == (3, 3, 5)
    before = await standing(chat)
    assert await chat.delete(2) == await chat.delete() == 0
    assert await standing(chat) == before


async def test_an_edit_keeps_what_a_message_is(chat: Chat, pass_time: Any) -> None:
    """[C10] Its number, role, key and time; totals follow."""
    await chat.append("system", "old", tokens=5, metadata={"a": 1}, key="k")
    await pass_time(10)
    (before,) = await everything(chat)
    edited = await chat.edit(1, "new", tokens=8)
    assert await everything(chat) == [edited]
    assert (edited.seq, edited.role, edited.key) == (1, "system", "k")
    assert (edited.content, edited.tokens, edited.metadata) == ("new", 8, {"a": 1})
    assert edited.edited_at is not None and edited.edited_at > edited.created_at == before.created_at
    assert await totals(chat) == (1, 8, 1)
    bare = await chat.edit(1, "newer", metadata=None)
    assert (bare.tokens, bare.metadata) == (8, None)
    assert await chat.append("user", "again", key="k") == bare


async def test_an_edit_keeps_the_metadata_that_is_there_by_then(
    chats: Any, chat: Chat, is_redis: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another edit comes between its two round trips."""
    await chat.append("user", "old", metadata=1)
    read = type(chat)._raw
    others = [partial(chats().conversation(chat.id).edit, 1, "other", metadata=at) for at in (2, 3)]
    last = 2 if is_redis else 3  # what knows its metadata reads nothing before it edits, on Redis

    async def raw(self: Chat, *of: Any) -> Any:
        found = await read(self, *of)
        if others:
            await others.pop()()
        return found

    monkeypatch.setattr(type(chat), "_raw", raw)
    edited = await chat.edit(1, "new")
    assert (edited.content, edited.metadata) == ("new", last)
    assert await everything(chat) == [edited]


async def test_a_conversation_is_made_shorter_in_one_step(chat: Chat) -> None:
    await chat.append_many([NewMessage("user", at, tokens=10, key=f"k{at}") for at in range(6)])
    info = await standing(chat)
    added = await chat.replace(
        [NewMessage("system", "short", 3, key="k5"), NewMessage("user", 0, key="k0")],
        after=2,
        expected_revision=info.revision,
    )
    found = await everything(chat)
    assert [(message.seq, message.content) for message in found] == [(1, 0), (2, 1), (7, "short")]
    assert added == [found[2], found[0]]
    assert await totals(chat) == (3, 23, 7)
    info = await standing(chat)
    assert await chat.replace([], expected_revision=info.revision) == []
    assert await totals(chat) == (0, 0, 7)


@pytest.mark.parametrize("backend", ["redis-encrypted", "dynamodb-encrypted"])
async def test_an_encrypted_message_is_bound_to_its_place(chats: Any, chat: Chat, stored: Any) -> None:
    """[C14] What was put in place of another one, or of one of another conversation, is not read."""
    every = chats()
    other = every.conversation((await every.create()).id)
    await chat.append_many([NewMessage("user", "one"), NewMessage("user", "two")])
    await other.append("user", "theirs")
    one, two, theirs = [await stored.message(each, seq) for each, seq in ((chat, 1), (chat, 2), (other, 1))]
    for forged in (stored.with_body_of(one, two), theirs):
        await stored.put(chat, 1, forged)
        with pytest.raises(CodecError):
            await chat.latest()
    await stored.put(chat, 1, one)
    assert [message.content for message in await everything(chat)] == ["one", "two"]


@on_redis("DynamoDB has no fences")
async def test_nothing_is_added_while_a_fence_stands(chats: Any, chat: Chat) -> None:
    await chat.append("user", "x")
    await chats().store.namespace(chat.id).purge(fence=60)
    with pytest.raises(NamespacePurgedError):
        await chat.append("user", "x")
    with pytest.raises(NamespacePurgedError):
        await chats().create(chat.id)
    assert await chat.info() is None
