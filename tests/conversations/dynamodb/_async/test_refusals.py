"""What DynamoDB, or a conversation on it, refuses seldom. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.watched import Failing, LeavesUnprocessed, LosesReply, Refuses, Watched

from session_store import CasContentionError, CasPolicy, CommitUnknownError
from session_store.conversations import (
    AsyncDynamoDBConversation,
    AsyncDynamoDBConversations,
    MessageTooLargeError,
    NewMessage,
)

Chat = AsyncDynamoDBConversation
QUICK = CasPolicy(max_retries=3, backoff_base=0.001, backoff_cap=0.001)


async def contents(chat: Chat) -> list[Any]:
    return [message.content async for message in chat.iter()]


async def test_a_transaction_that_has_the_conversation_in_hand(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D15] What is told waits for its end, and not for ever."""
    watched.faults.append(Refuses("TransactionConflictException", "update_item", times=2))
    assert await chat.touch() is True
    watched.faults.append(Refuses("TransactionConflictException", "update_item", "put_item", times=10**9))
    other = chats(cas_policy=QUICK)
    for call in (other.conversation("c").touch, partial(other.create, "d")):
        with pytest.raises(CasContentionError) as caught:
            await call()
        assert caught.value.attempts == 4


async def test_a_transaction_that_is_still_being_done(chat: Chat, watched: Watched) -> None:
    """[D8] Is asked for again, as the same one."""
    watched.faults.append(Refuses("TransactionInProgressException", "transact_write_items", times=2))
    await chat.append("user", "x")
    assert len({params["ClientRequestToken"] for _, params in watched.calls}) == 1
    assert await contents(chat) == ["x"]


async def test_a_transaction_that_is_throttled(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D14] Again and again: then what DynamoDB said is the error."""
    reasons = ["ProvisionedThroughputExceeded", "None"]
    fault = partial(Refuses, "TransactionCanceledException", "transact_write_items", reasons=reasons)
    watched.faults.append(fault(times=2))
    await chat.append("user", "x")
    watched.faults.append(fault(times=10**9))
    with pytest.raises(ClientError):
        await chats(cas_policy=QUICK).conversation("c").append("user", "y")
    watched.faults.append(Refuses("AccessDeniedException", "transact_write_items"))
    watched.faults.reverse()
    with pytest.raises(ClientError, match="AccessDenied"):
        await chat.append("user", "y")
    watched.faults.clear()
    assert await contents(chat) == ["x"]


@pytest.mark.parametrize("name", ["delete", "append", "edit"])
async def test_an_answer_that_is_lost_while_others_go_on(chats: Any, chat: Chat, watched: Watched, name: str) -> None:
    """[C3] Where tokens are not known any more: what a message proves is told, all else is an error that says so."""
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    other = chats().conversation("c")

    calls = {
        "delete": partial(chat.delete, 1),
        "append": partial(chat.append, "user", "x"),
        "edit": partial(chat.edit, 1, "x"),
    }
    send, lost = watched.transact_write_items, []

    async def overtaken(**params: Any) -> Any:
        if not lost:
            lost.append(await send(**params))
            await other.append("user", "theirs")
            return LosesReply().after(watched, "transact_write_items", params, {})
        return await send(**params)

    watched.transact_write_items = overtaken
    other._table.client = watched._client
    if name == "delete":
        with pytest.raises(CommitUnknownError):
            await calls[name]()
    else:
        await calls[name]()
    del watched.transact_write_items
    wanted = {"delete": [1, 2, "theirs"], "append": [0, 1, 2, "x", "theirs"], "edit": ["x", 1, 2, "theirs"]}
    assert await contents(chat) == wanted[name]


async def test_messages_that_an_operator_has_deleted(chat: Chat, watched: Watched, table: str, items: Any) -> None:
    """The others can be read."""
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    (item,) = [item for item in await items() if item["SK"]["S"].endswith("#000000000002")]
    await watched.delete_item(TableName=table, Key={name: item[name] for name in ("PK", "SK")})
    assert await contents(chat) == [0, 2]


async def test_a_page_of_what_never_rests(chats: Any, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error in the end."""
    await chat.append_many([NewMessage("user", at) for at in range(30)])
    other, seqs, find = chats().conversation("c"), list(range(1, 30)), AsyncDynamoDBConversation._find

    async def restless(self: Chat, *of: Any) -> Any:
        await other.delete(seqs.pop())
        return await find(self, *of)

    monkeypatch.setattr(AsyncDynamoDBConversation, "_find", restless)
    with pytest.raises(CasContentionError):
        await chat.latest()


async def test_what_is_too_large_to_be_told(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D16] Nothing is sent."""
    watched.clear()
    large = "x" * 410_000
    for call in (
        partial(chats().create, metadata=large),
        partial(chat.update, title=large),
        partial(chat.set_summary, large, upto=1),
    ):
        with pytest.raises(MessageTooLargeError):
            await call()
    for wrong in (partial(chats().create, user="x" * 2_001), partial(chats().list, agent="x" * 2_001)):
        with pytest.raises(ValueError, match="at most 2000 bytes"):
            await wrong()
    assert watched.calls == []


def test_settings_that_make_no_sense(watched: Watched) -> None:
    for wrong in ("", None, b"t"):
        with pytest.raises(TypeError, match="table must be"):
            AsyncDynamoDBConversations(watched, table=wrong)
    for codec in (None, str, object()):
        with pytest.raises(TypeError, match="codec must be"):
            AsyncDynamoDBConversations(watched, table="t", codec=codec)
    with pytest.raises(TypeError, match="max_lifetime"):
        AsyncDynamoDBConversations(watched, table="t", max_lifetime=None)


async def test_a_table_whose_making_is_not_answered(watched: Watched, table: str) -> None:
    """[D21] It is the one that was asked for."""
    watched.faults += [LosesReply("create_table"), LosesReply("update_time_to_live")]
    await AsyncDynamoDBConversations(watched, table=table).create_table()
    ttl = (await watched.describe_time_to_live(TableName=table))["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "ENABLED"


class BeingMade(Failing):
    """A table takes a while to be made."""

    def after(self, client: Any, name: str, params: Any, reply: Any) -> Any:
        return {"Table": {**reply["Table"], "TableStatus": "CREATING"}}


async def test_a_table_that_takes_a_while(watched: Watched, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[D21] Is waited for, and not for ever."""
    watched.faults.append(BeingMade("describe_table"))
    await AsyncDynamoDBConversations(watched, table=table).create_table()
    assert [name for name, _ in watched.calls].count("describe_table") == 2
    await watched.delete_table(TableName=table)
    monkeypatch.setattr("session_store.conversations.dynamodb._async.conversations._LONGEST_WAIT", 0)
    watched.faults.append(BeingMade("describe_table", times=10**9))
    with pytest.raises(TimeoutError):
        await AsyncDynamoDBConversations(watched, table=table).create_table()


async def test_a_batch_that_is_never_done(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D13, D14] Is the error of a table that is too busy; the conversation has ended all the same."""
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    watched.faults.append(LeavesUnprocessed(times=10**9))
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        await chats(cas_policy=QUICK).conversation("c").delete_all()
    watched.faults.clear()
    assert await chat.info() is None
