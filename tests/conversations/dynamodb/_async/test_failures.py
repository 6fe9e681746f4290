"""What DynamoDB refuses, hands back, or does without saying so. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from conversations.dynamodb._async.conftest import together
from support.watched import Failing, IsBehind, KnowsTokens, LeavesUnprocessed, LosesReply, Refuses, Watched, conflicts

from session_store import CasContentionError, CasPolicy
from session_store.conversations import AsyncDynamoDBConversation, NewMessage, TokenBudgetError

Chat = AsyncDynamoDBConversation


async def totals(chat: Chat) -> tuple[int, int, int]:
    info = await chat.info()
    assert info is not None
    return info.count, info.tokens, info.last_seq


async def contents(chat: Chat) -> list[Any]:
    return [message.content async for message in chat.iter()]


def tokens(watched: Watched) -> list[str]:
    """Those of all transactions."""
    return [params["ClientRequestToken"] for name, params in watched.calls if name == "transact_write_items"]


async def test_a_conflict_of_transactions_is_not_the_end(chat: Chat, watched: Watched) -> None:
    """[D6, D8] One message, and the right totals. It is one transaction, whatever the answer to its first sending was."""
    watched.faults.append(conflicts(3))
    added = await chat.append("user", "x", tokens=5)
    assert (added.seq, await totals(chat), await contents(chat)) == (1, (1, 5, 1), ["x"])
    assert len(tokens(watched)) == 4 and len(set(tokens(watched))) == 1


async def test_conflicts_without_end(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D15] Are an error, in some time; nothing was added."""
    hurried = chats(cas_policy=CasPolicy(max_retries=3, backoff_base=0.001)).conversation("c")
    watched.faults.append(conflicts(10**9))
    with pytest.raises(CasContentionError) as caught:
        await hurried.append("user", "x")
    assert (caught.value.attempts, len(tokens(watched))) == (4, 4)
    watched.faults.clear()
    assert await totals(chat) == (0, 0, 0)


async def test_an_append_whose_answer_is_lost_happens_once(chat: Chat, watched: Watched) -> None:
    """[D8, C3] Whatever is sent again is sent with the same token, and DynamoDB does it once."""
    watched.faults += [LosesReply("transact_write_items", times=2), KnowsTokens()]
    added = await chat.append("user", "x", tokens=5)
    sent = tokens(watched)
    assert len(sent) == 3 and len(set(sent)) == 1
    assert (await totals(chat), await contents(chat), added.seq) == ((1, 5, 1), ["x"], 1)
    await chat.append("user", "y")
    assert len(set(tokens(watched))) == 2


@pytest.mark.parametrize("faults", [[KnowsTokens], []], ids=["known", "forgotten"])
@pytest.mark.parametrize("name", ["append", "edit", "delete", "replace", "clear"])
async def test_a_change_whose_answer_is_lost_happens_once(
    chat: Chat, watched: Watched, name: str, faults: list[type[Failing]]
) -> None:
    """[C3] Also where DynamoDB does not know its token any more, and says that it does not fit."""
    await chat.append_many([NewMessage("user", at, tokens=1) for at in range(3)])
    info = await chat.info()
    assert info is not None
    calls = {
        "append": partial(chat.append, "user", "x", key="k"),
        "edit": partial(chat.edit, 1, "x"),
        "delete": partial(chat.delete, 1),
        "replace": partial(chat.replace, [NewMessage("user", "x")], expected_revision=info.revision),
        "clear": chat.clear,
    }
    watched.faults += [LosesReply("transact_write_items"), *[fault() for fault in faults]]
    told = await calls[name]()
    after = await chat.info()
    assert after is not None and after.revision == info.revision + 1
    wanted = {"append": 4, "edit": 3, "delete": 2, "replace": 1, "clear": 0}[name]
    assert after.count == wanted == len(await contents(chat))
    assert (told if name in {"delete", "clear"} else 0) == {"delete": 1, "clear": 3}.get(name, 0)


async def test_what_was_refused_is_not_sent_with_the_same_token(chats: Any, chat: Chat, watched: Watched) -> None:
    """[D8] Another message has taken its number: what is sent then is another request, and says so."""
    others = [chats().conversation("c") for _ in range(5)]
    for other in others:
        await other.info()
    await chat.append("user", "first")
    watched.clear()
    watched.faults.append(KnowsTokens())
    await together([partial(other.append, "user", at) for at, other in enumerate(others)])
    sent = [params for name, params in watched.calls if name == "transact_write_items"]
    by_token = {params["ClientRequestToken"]: params for params in sent}
    assert all(by_token[params["ClientRequestToken"]] == params for params in sent)
    assert sorted(await contents(chat), key=str) == [0, 1, 2, 3, 4, "first"]


@pytest.mark.parametrize("name", ["delete_all", "clear"])
async def test_batches_that_are_not_done_at_once(chat: Chat, watched: Watched, items: Any, name: str) -> None:
    """[D3, D13, defect D9] What DynamoDB hands back is asked for again."""
    await chat.append_many([NewMessage("user", at) for at in range(60)])
    watched.faults.append(LeavesUnprocessed(times=2))
    await getattr(chat, name)()
    assert watched.faults[0].left == 0
    assert len(await items()) == (name == "clear")


async def test_keys_that_are_not_answered_at_once(chats: Any, watched: Watched) -> None:
    """[D13]"""
    every = chats()
    for at in range(8):
        await every.create(f"c-{at}", user="ann")
    watched.faults.append(LeavesUnprocessed(times=2))
    page = await every.list(user="ann")
    assert {info.id for info in page.items} == {f"c-{at}" for at in range(8)}
    watched.faults.append(LeavesUnprocessed(times=2))
    assert len(await every.infos([f"c-{at}" for at in range(8)])) == 8
    assert [fault.left for fault in watched.faults] == [0, 0]


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "InternalServerError"])
async def test_what_botocore_gives_up_on_is_told(chat: Chat, watched: Watched, code: str) -> None:
    """[D14] Its own error passes through; nothing was done, and the next call does it."""
    watched.faults += [Refuses(code, "transact_write_items", "get_item", "query", times=100)]
    for call in (partial(chat.append, "user", "x"), chat.latest, chat.info):
        with pytest.raises(ClientError) as caught:
            await call()
        assert caught.value.response["Error"]["Code"] == code
    watched.faults.clear()
    assert (await chat.append("user", "x")).seq == 1


async def test_an_answer_that_never_comes(chat: Chat, watched: Watched) -> None:
    """Is botocore's error; whether it was done is not known, and a key tells whoever asks again."""
    watched.faults += [LosesReply("transact_write_items", times=10**9), KnowsTokens()]
    with pytest.raises(ReadTimeoutError):
        await chat.append("user", "x", key="k")
    watched.faults.clear()
    assert (await chat.append("user", "x", key="k")).seq == 1
    assert await contents(chat) == ["x"]


async def test_reads_are_not_behind_writes(chats: Any, chat: Chat, watched: Watched) -> None:
    """[defect D10] Of another handle either."""
    watched.faults.append(IsBehind())
    other = chats().conversation("c")
    for read in (chat.info, chat.latest, chat.messages, partial(chats().infos, ["c"])):
        await read()
    for at in range(3):
        await other.append("user", at)
        info = await chat.info()
        assert info is not None and (info.count, (await chats().infos(["c"]))["c"].count) == (at + 1, at + 1)
        assert [message.content for message in (await chat.latest()).items] == list(range(at + 1))
        assert [message.content for message in (await chat.messages()).items] == list(range(at + 1))
    await chat.update(title="T")
    ((listed,), _) = (await chats().list(user="ann")).items, None
    assert (listed.title, listed.count) == ("T", 3)


async def test_an_index_that_is_behind(chats: Any, watched: Watched) -> None:
    """[D12] It names one that was deleted, and lacks the newest: a page is full of those that live."""
    every = chats()
    for at in range(6):
        await every.create(f"c-{at}", user="ann")
    watched.faults.append(IsBehind())
    first = await every.list(user="ann", limit=2)
    await every.conversation(first.items[0].id).delete_all()
    await every.conversation(first.items[1].id).update(user="bob")
    await every.create("newest", user="ann")
    page = await every.list(user="ann", limit=2)
    assert [info.id for info in page.items] == ["c-3", "c-2"]
    watched.faults.clear()
    page = await every.list(user="ann", limit=2)
    assert [info.id for info in page.items] == ["newest", "c-3"]


async def test_a_budget_and_conflicts(chat: Chat, watched: Watched) -> None:
    """[D6] What is asked again is asked with all of its conditions."""
    watched.faults.append(conflicts(2))
    await chat.append("user", "x", tokens=10, max_tokens=10)
    with pytest.raises(TokenBudgetError) as caught:
        await chat.append("user", "y", tokens=1, max_tokens=10)
    assert (caught.value.limit, caught.value.tokens, caught.value.asked) == (10, 10, 1)
    assert await contents(chat) == ["x"]
