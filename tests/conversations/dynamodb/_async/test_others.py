"""What others do to a conversation between two requests of a call, and what they leave behind."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from conversations.dynamodb._async.conftest import Clock
from support.watched import Refuses, Watched

from session_store import CasContentionError, CasPolicy
from session_store.conversations import (
    AsyncDynamoDBConversation,
    ConversationNotFoundError,
    MessageNotFoundError,
    MessageTooLargeError,
    NewMessage,
)
from session_store.conversations.dynamodb._core.changes import take_turn

Chat = AsyncDynamoDBConversation


async def contents(chat: Chat) -> list[Any]:
    return [message.content async for message in chat.iter()]


async def revision(chat: Chat) -> int:
    info = await chat.info()
    assert info is not None
    return info.revision


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has something happen once, between what a page learns of the conversation and its messages."""

    def meanwhile(change: Any) -> None:
        find, changes = AsyncDynamoDBConversation._find, [change]

        async def find_late(self: Chat, *of: Any) -> Any:
            if changes:
                await changes.pop()()
            return await find(self, *of)

        monkeypatch.setattr(AsyncDynamoDBConversation, "_find", find_late)

    return meanwhile


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("name", ["replace", "clear", "delete", "append"])
async def test_a_page_is_of_one_moment(chats: Any, chat: Chat, meanwhile: Any, name: str, is_warm: bool) -> None:
    """Neither half of what was replaced, nor half of what was deleted: but for what is added, as it is by then."""
    await chat.append_many([NewMessage("user", at) for at in range(5)])
    other, reader = chats().conversation("c"), chats().conversation("c")
    if is_warm:
        await reader.info()
    changes = {
        "replace": partial(
            other.replace, [NewMessage("system", "s")], after=1, expected_revision=await revision(other)
        ),
        "clear": other.clear,
        "delete": partial(other.delete, 2, 4),
        "append": partial(other.append_many, [NewMessage("user", at) for at in (5, 6)]),
    }
    meanwhile(changes[name])
    wanted = {"replace": [0, "s"], "clear": [], "delete": [0, 2, 4], "append": list(range(5 + 2 * is_warm))}
    found = [message.content for message in (await reader.messages()).items]
    assert found in (wanted[name], list(range(5))[: 5 * (name == "append")])


async def test_messages_that_were_replaced_and_are_still_there(
    chats: Any, chat: Chat, watched: Watched, items: Any
) -> None:
    """Whoever replaced them was cut off: nobody is shown any of them, and their keys are free."""
    await chat.append_many([NewMessage("user", at, tokens=1, key=f"k{at}") for at in range(6)])
    watched.faults.append(Refuses("ThrottlingException", "batch_write_item", times=10**9))
    await chat.replace([NewMessage("system", "s", 5)], after=2, expected_revision=await revision(chat))
    assert len([item for item in await items() if item["SK"]["S"].startswith("M#")]) == 7
    for each in (chat, chats().conversation("c")):
        assert await contents(each) == [0, 1, "s"]
        assert [message.seq for message in (await each.latest(2)).items] == [2, 7]
        assert [message.seq for message in (await each.messages(roles=["user"], order="desc")).items] == [2, 1]
        assert [message.seq for message in (await each.messages(after=3, before=7)).items] == []
        with pytest.raises(MessageNotFoundError):
            await each.edit(4, "x")
        assert await each.delete(3, 4) == 0
    assert (await chat.append("user", "again", key="k4")).seq == 8
    assert (await chat.append("user", "again", key="k1")).seq == 2
    await chat.replace([NewMessage("user", "t", key="k5")], after=7, expected_revision=await revision(chat))
    await chat.replace([], after=1, expected_revision=await revision(chat))
    assert await contents(chat) == [0]
    info = await chat.info()
    assert info is not None and (info.count, info.tokens, info.last_seq) == (1, 1, 9)


async def test_a_summary_that_others_keep_is_forgotten_with_its_messages(chats: Any, chat: Chat) -> None:
    """Also by who does not know of it."""
    await chat.append_many([NewMessage("user", at) for at in range(5)])
    other = chats().conversation("c")
    for change in (partial(chat.edit, 3, "x"), partial(chat.delete, 2), chat.clear):
        await chat.latest()
        await other.set_summary("short", upto=4)
        await change()
        info = await other.info()
        assert info is not None and info.summary is None


async def test_whoever_has_lost_often_takes_a_turn(
    chats: Any, chat: Chat, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait until it has changed what it wanted to, and are told after a while; time stands still here."""
    at = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: at)
    quick = chats(cas_policy=CasPolicy(max_retries=3)).conversation("c")
    send, refused = watched.transact_write_items, []

    async def outrun(**params: Any) -> Any:
        """Somebody else is always in front, as long as that is possible."""
        if "slow" in repr(params) and not refused:
            try:
                await quick.append("user", "quick")
            except CasContentionError as error:
                refused.append(error)
        return await send(**params)

    watched.transact_write_items = outrun
    assert (await chat.append("user", "slow")).seq <= 6
    assert [each.attempts for each in refused] == [4]
    assert (await quick.append("user", "quick")).seq == (await chat.latest(1)).items[0].seq


@pytest.mark.parametrize("ahead", [0, 3_600])
async def test_a_turn_of_one_that_died(chats: Any, chat: Chat, watched: Watched, clock: Clock, ahead: int) -> None:
    """[D17] Is waited for, for half a second; one of a clock that is ahead is not."""
    clock.ahead = ahead
    await watched.update_item(**take_turn(chats()._table.name, "C#c", "dead", clock() // 10**6))
    clock.ahead = 0
    watched.clear()
    await chat.append("user", "x")
    sent = [name for name, _ in watched.calls].count("transact_write_items")
    assert (sent == 1) == (ahead > 0)
    assert await contents(chat) == ["x"]


async def test_more_than_can_be_deleted_at_once(chat: Chat, watched: Watched) -> None:
    await chat.append("user", "x")
    watched.clear()
    with pytest.raises(MessageTooLargeError) as caught:
        await chat.delete(*range(1, 101))
    assert (caught.value.size, caught.value.limit, caught.value.unit, watched.calls) == (100, 99, "items", [])
    assert await chat.delete(*range(1, 100)) == 1


async def test_an_old_handle_of_a_conversation_that_was_begun_anew(chats: Any, chat: Chat) -> None:
    """[D10] Changes the new one, or nothing."""
    await chat.append("user", "old", key="k")
    other = chats().conversation("c")
    await other.delete_all()
    with pytest.raises(ConversationNotFoundError):
        await chat.append("user", "late")
    await chat.info()
    await chats().create("c")
    assert await contents(chat) == []
    assert (await chat.append("user", "new", key="k")).seq == 1
    assert await contents(chat) == ["new"]


async def test_what_is_told_by_a_clock_that_is_behind(chats: Any, clock: Clock) -> None:
    """[D17] By more than a conversation lives: it does not end by that."""
    every = chats(idle_ttl=600)
    await every.create("c")
    chat = every.conversation("c")
    await chat.append("user", "x")
    before = await chat.info()
    clock.ahead = -1_000
    assert (await chat.update(title="T", status="done")).title == "T"
    await chat.set_summary("s", upto=1)
    assert await chat.touch() is True
    clock.ahead = 0
    info = await chat.info()
    assert info is not None and before is not None
    assert (info.title, info.expires_at, info.last_activity) == ("T", before.expires_at, before.last_activity)
    assert info.version == before.version + 1
