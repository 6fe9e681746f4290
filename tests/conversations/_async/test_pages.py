"""Which messages a page has. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from conversations._async.conftest import add, on_redis, take_out

from session_store.conversations import AsyncRedisConversation, Message, NewMessage, Page

Chat = AsyncRedisConversation


def seqs(page: Page[Message, int]) -> list[int]:
    return [message.seq for message in page.items]


async def fill(chat: Chat, count: int, roles: tuple[Any, ...] = ("user",), tokens: int = 0) -> None:
    await add(chat, [NewMessage(roles[at % len(roles)], at, tokens) for at in range(count)])


async def test_pages_from_the_newest_on(chat: Chat) -> None:
    """[A12]"""
    await fill(chat, 10)
    page = await chat.messages(order="desc", offset=2, limit=3)
    assert (seqs(page), page.cursor) == ([8, 7, 6], 6)
    page = await chat.messages(order="desc", before=page.cursor, limit=5)
    assert (seqs(page), page.cursor) == ([5, 4, 3, 2, 1], None)
    page = await chat.messages(offset=8)
    assert (seqs(page), page.cursor) == ([9, 10], None)
    assert seqs(await chat.messages(offset=10)) == []


async def test_the_latest_are_in_their_order(chat: Chat) -> None:
    await fill(chat, 5)
    page = await chat.latest(3)
    assert (seqs(page), page.cursor) == ([3, 4, 5], 3)
    page = await chat.latest(3, before=page.cursor)
    assert (seqs(page), page.cursor) == ([1, 2], None)
    assert seqs(await chat.latest()) == [1, 2, 3, 4, 5]


async def test_a_page_of_some_roles_is_full(chat: Chat) -> None:
    """[A13] Roles are looked at before messages are counted, or passed over."""
    await fill(chat, 8, ("user", "assistant"))
    page = await chat.messages(roles=["user"], limit=3)
    assert (seqs(page), page.cursor) == ([1, 3, 5], 5)
    assert seqs(await chat.messages(roles=["user"], after=page.cursor)) == [7]
    assert seqs(await chat.messages(roles=["user"], order="desc", offset=1, limit=2)) == [5, 3]
    assert seqs(await chat.latest(2, roles=["assistant"])) == [6, 8]
    assert seqs(await chat.latest(3, roles={"assistant", "user"})) == [6, 7, 8]
    assert seqs(await chat.latest(roles=["system"])) == seqs(await chat.latest(roles=[])) == []
    assert [message.seq async for message in chat.iter(after=2, roles=["user"])] == [3, 5, 7]


async def test_each_role_is_told_from_the_others(chat: Chat) -> None:
    roles = ("user", "assistant", "system", "developer", "tool", "other")
    await fill(chat, 6, roles)
    for at, role in enumerate(roles, 1):
        (found,) = (await chat.messages(roles=[role])).items
        assert (found.seq, found.role) == (at, role)


async def test_a_limit_of_nothing(chat: Chat) -> None:
    """[A14, C18]"""
    await fill(chat, 3)
    for page in (await chat.messages(limit=0), await chat.latest(0)):
        assert (page.items, page.cursor) == ((), None)
    for read in (chat.messages, chat.latest):
        with pytest.raises(ValueError, match="limit must be at most 1000"):
            await read(limit=1_001)


async def test_a_page_of_a_thousand(chat: Chat, is_redis: bool) -> None:
    count = 1_000 if is_redis else 150
    await fill(chat, count)
    await fill(chat, 1)
    page = await chat.messages(limit=count)
    assert (seqs(page), page.cursor) == (list(range(1, count + 1)), count)
    assert seqs(await chat.latest(count)) == list(range(2, count + 2))
    assert len(seqs(await chat.latest(1_000))) == min(count + 1, 1_000)


async def test_bounds_are_exclusive(chat: Chat, pass_time: Any) -> None:
    """[A15] Numbers, and times: all messages of that time are left out."""
    for count in (2, 1, 3, 2):
        await fill(chat, count)
        await pass_time(10)
    at = [message.created_at for message in (await chat.messages()).items]
    assert seqs(await chat.messages(after=3, before=6)) == [4, 5]
    assert seqs(await chat.messages(after=at[2], before=at[6])) == [4, 5, 6]
    assert seqs(await chat.messages(after=at[0])) == [3, 4, 5, 6, 7, 8]
    assert seqs(await chat.messages(before=at[3])) == seqs(await chat.latest(before=at[3])) == [1, 2, 3]
    second = timedelta(seconds=1)
    assert seqs(await chat.messages(after=at[2] - second, before=at[2] + second)) == [3]
    assert seqs(await chat.messages(after=at[7])) == seqs(await chat.messages(before=at[0])) == []
    assert seqs(await chat.messages(after=at[0] - second, before=at[7] + second)) == list(range(1, 9))
    assert seqs(await chat.messages(after=0)) == list(range(1, 9))
    assert seqs(await chat.messages(before=0)) == seqs(await chat.messages(after=99)) == []


async def test_times_find_their_way_past_what_was_deleted(chat: Chat, is_redis: bool, pass_time: Any) -> None:
    together, first, last = (150, 140, 459) if is_redis else (30, 28, 99)
    for _ in range(4):
        await fill(chat, together)
        await pass_time(10)
    ends = [together * group for group in (1, 2, 3, 4)]
    at = [(await chat.messages(after=seq - 1, limit=1)).items[0].created_at for seq in ends]
    await take_out(chat, [*range(1, 10), *range(first, last + 1), *range(ends[3] - 10, ends[3] + 1)])
    assert seqs(await chat.messages(after=at[0], limit=2)) == [last + 1, last + 2]
    assert seqs(await chat.latest(2, before=at[3])) == [first - 2, first - 1]
    assert seqs(await chat.messages(before=at[2], limit=1)) == [10]
    assert seqs(await chat.messages(after=at[3])) == []


async def test_as_many_tokens_as_fit(chat: Chat) -> None:
    """[C6] The newest message is there in any case."""
    await fill(chat, 3, tokens=40)
    page = await chat.latest(max_tokens=100)
    assert (seqs(page), page.cursor) == ([2, 3], 2)
    page = await chat.latest(max_tokens=30)
    assert (seqs(page), page.cursor) == ([3], 3)
    assert seqs(await chat.latest(max_tokens=0)) == [3]
    assert seqs(await chat.latest(max_tokens=120)) == [1, 2, 3]
    assert seqs(await chat.latest(1, max_tokens=120)) == [3]
    assert (await chat.latest(3, max_tokens=120)).cursor is None


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_roles_are_found_without_bodies(chat: Chat, client: Any, recorder: Any) -> None:
    """[C7] A message for each thousand is looked for by what the server keeps of roles: 256 in a read."""

    async def reads() -> int:
        stats = await client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hget", "hmget", "hgetall"))

    for at in range(10):
        await fill(chat, 1_000, ("system",) + ("user",) * 999 if at in {0, 4, 7} else ("user",))
    await chat.latest(1)
    before = await reads()
    recorder.clear()
    page = await chat.latest(3, roles=["system"])
    assert recorder.writes == [("EVALSHA",)]
    assert await reads() - before <= 42  # its head, 40 fields of roles, and three bodies
    assert (seqs(page), page.cursor) == ([1, 4_001, 7_001], None)


@on_redis("256 roles are a field of their own")
@pytest.mark.parametrize("before", [255, 256, 257, 511, 512, 513])
async def test_pages_go_on_after_the_clear_of_a_long_one(chat: Chat, before: int) -> None:
    """[C8]"""
    await check_pages_after_a_clear(chat, before, 300)


async def test_pages_go_on_after_a_clear(chat: Chat) -> None:
    """[C8]"""
    await check_pages_after_a_clear(chat, 7, 50)


async def check_pages_after_a_clear(chat: Chat, before: int, count: int) -> None:
    await fill(chat, before, ("assistant",))
    assert await chat.clear() == before
    assert (await chat.messages()).items == (await chat.latest()).items == ()
    await fill(chat, count)
    wanted = list(range(before + 1, before + count + 1))
    assert [message.seq async for message in chat.iter()] == wanted
    assert seqs(await chat.messages(roles=["user"], limit=1_000)) == wanted
    assert seqs(await chat.messages(after=before - 5, before=before + 3)) == wanted[:2]
    assert seqs(await chat.messages(order="desc", limit=1_000)) == wanted[::-1]
    assert seqs(await chat.latest(2, before=before + 4)) == wanted[1:3]
    at = (await chat.latest(1)).items[0].created_at
    assert seqs(await chat.messages(before=at + timedelta(seconds=1), limit=1_000)) == wanted


async def test_paging_while_messages_come(chat: Chat, is_redis: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[C17] Each once, in order."""
    monkeypatch.setattr("session_store.conversations._async.handle._STEP", 7)
    await fill(chat, 20)
    found, times = [], 100 if is_redis else 20
    async for message in chat.iter():
        found.append(message.seq)
        if len(found) <= times:
            await fill(chat, 2)
    assert found == list(range(1, 21 + 2 * times))
