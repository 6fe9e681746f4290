"""What is told of conversations. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from conversations._async.conftest import ids, on_redis, standing, together

from session_store import InvalidNameError
from session_store.conversations import (
    AsyncRedisConversation,
    ConversationExistsError,
    ConversationInfo,
    ConversationNotFoundError,
    MessageNotFoundError,
    NewMessage,
    RevisionConflictError,
    Summary,
)

Chat = AsyncRedisConversation


async def test_a_conversation_is_read_as_it_was_created(chats: Any) -> None:
    """[A1, A2]"""
    told: dict[str, Any] = {
        "user": "ann é",
        "agent": "planner",
        "status": "paused",
        "title": "T",
        "tags": ("a", "b"),
        "metadata": {"x": [1, None]},
    }
    info = await chats().create("c-1", **told)
    assert {name: getattr(info, name) for name in told} == told
    assert (info.id, info.count, info.tokens, info.last_seq, info.summary) == ("c-1", 0, 0, 0, None)
    assert info.created_at == info.last_activity < info.expires_at
    chat = chats().conversation("c-1")
    assert await standing(chat) == replace(info, expires_at=info.created_at)
    assert list(await chats().infos(["none", "c-1", "c-1"])) == ["c-1"]


async def test_what_is_not_told_is_nothing(chats: Any) -> None:
    info = await chats().create()
    assert (info.user, info.agent, info.title, info.tags, info.metadata) == (None, None, None, (), None)
    assert info.status == "active" and info.id != (await chats().create()).id


async def test_an_id_is_given_once(chats: Any) -> None:
    """[A2] What is there is not touched; of many that create it one does."""
    await chats().create("c", title="first")
    before = await standing(chats().conversation("c"))
    with pytest.raises(ConversationExistsError):
        await chats().create("c", title="second", metadata=1)
    assert await standing(chats().conversation("c")) == before
    made = await together([partial(chats().create, "d", title=str(at)) for at in range(20)])
    (winner,) = [each for each in made if isinstance(each, ConversationInfo)]
    assert (await standing(chats().conversation("d"))).title == winner.title


async def test_names_that_are_kept_for_the_store(chats: Any, recorder: Any) -> None:
    """[C29]"""
    for name in ("~x", "", "a b"):
        with pytest.raises(InvalidNameError):
            await chats().create(name)
        with pytest.raises(InvalidNameError):
            chats().conversation(name)
        with pytest.raises(InvalidNameError):
            await chats().infos(["c", name])
    assert recorder.writes == []


async def test_an_update_changes_what_it_names(chats: Any, hints: Any) -> None:
    """[A4] None clears, also on the lists."""
    first = await chats().create(
        "c", user="ann", agent="planner", title="T", tags=["a"], metadata={"x": 1}, status="paused"
    )
    chat = chats().conversation("c")
    assert (await chat.update()).title == "T"
    info = await chat.update(title="U")
    assert (info.title, info.tags, info.metadata, info.status) == ("U", ("a",), {"x": 1}, "paused")
    assert (info.user, info.agent) == ("ann", "planner")
    assert (info.version, info.revision) == (first.version + 2, first.revision)
    info = await chat.update(title=None, tags=None, metadata=None, user=None, agent=None)
    assert (info.user, info.agent, info.title, info.tags, info.metadata) == (None, None, None, (), None)
    assert await standing(chat) == replace(info, expires_at=info.created_at)
    assert await hints() == 0
    info = await chat.update(tags=["b", "c"], status="completed", metadata=0)
    assert (info.tags, info.status, info.metadata) == (("b", "c"), "completed", 0)


async def test_a_conversation_changes_hands(chats: Any, hints: Any) -> None:
    every = chats()
    await every.create("c", user="ann", agent="planner")
    await every.conversation("c").update(user="bob", title="T")
    assert (await ids(every, user="ann"), await ids(every, user="bob")) == ([], ["c"])
    assert await ids(every, agent="planner") == ["c"]
    await every.conversation("c").update(user="bob")
    assert await hints() == 2


async def test_an_update_of_none_makes_none(chats: Any, keys: Any) -> None:
    """[A5]"""
    chat = chats().conversation("none")
    for options in ({"title": "T"}, {"user": "ann"}, {"title": "T", "expected_version": 7}):
        with pytest.raises(ConversationNotFoundError):
            await chat.update(**options)
    assert [key for key in await keys() if key.endswith(b":conversation")] == []
    assert (await chat.info(), await ids(chats(), user="ann")) == (None, [])


async def test_one_of_many_updates_wins(chat: Chat) -> None:
    """[A6] The others are told the version that there is."""
    version = (await standing(chat)).version
    done = await together([partial(chat.update, title=str(at), expected_version=version) for at in range(50)])
    (winner,) = [each for each in done if isinstance(each, ConversationInfo)]
    conflicts = [(each.expected, each.actual) for each in done if isinstance(each, RevisionConflictError)]
    assert conflicts == [(version, version + 1)] * 49
    assert (await standing(chat)).title == winner.title


async def test_a_summary_is_of_messages_that_are_as_they_were(chat: Chat) -> None:
    """[C11]"""
    await chat.append_many([NewMessage("user", at) for at in range(7)])
    before = await standing(chat)
    await chat.set_summary("short", upto=5, tokens=3)
    assert await standing(chat) == replace(before, summary=Summary("short", 5, 3))
    await chat.append("user", "x")
    await chat.edit(7, "y")
    await chat.delete(6)
    assert (await standing(chat)).summary == Summary("short", 5, 3)
    for change in (partial(chat.edit, 3, "y"), partial(chat.delete, 5), partial(chat.set_summary, None, upto=5)):
        await chat.set_summary("short", upto=5)
        await change()
        assert (await standing(chat)).summary is None
    await chat.set_summary("short", upto=5)
    await chat.replace([], after=5, expected_revision=(await standing(chat)).revision)
    assert (await standing(chat)).summary is not None
    await chat.replace([], after=3, expected_revision=(await standing(chat)).revision)
    assert (await standing(chat)).summary is None
    await chat.set_summary("short", upto=3)
    await chat.clear()
    assert (await standing(chat)).summary is None


async def test_what_is_told_of_a_conversation_that_must_be_there(chats: Any) -> None:
    every = chats()
    with pytest.raises(ConversationNotFoundError):
        await every.conversation("c")._existing()
    await every.create("c")
    assert (await every.conversation("c")._existing()).id == "c"


async def test_a_summary_of_what_is_not_there_yet(chat: AsyncRedisConversation) -> None:
    with pytest.raises(MessageNotFoundError) as caught:
        await chat.set_summary("short", upto=1)
    assert caught.value.seq == 1 and (await standing(chat)).summary is None


@on_redis("on DynamoDB whoever loses that often gets a CasContentionError, as with any change")
async def test_an_edit_that_others_are_always_faster_than(
    chat: AsyncRedisConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends."""
    await chat.append("user", "x")
    monkeypatch.setattr("session_store.conversations._async.conversation.place_of", lambda message: "elsewhere")
    with pytest.raises(RuntimeError, match="faster than it can be read"):
        await chat.edit(1, "y")
    assert (await chat.latest()).items[0].content == "x"
