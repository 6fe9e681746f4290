"""Lists of conversations. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import redis
from conversations._async.conftest import DAY, ids, on_redis, together

from session_store import CodecError, WrongTypeError
from session_store.conversations import ConversationNotFoundError


async def test_lists_of_conversations_with_messages(chats: Any) -> None:
    """[A21] The latest first; and all there are, for administration."""
    every = chats()
    for name, user in (("a", "ann"), ("b", "bob"), ("c", "ann")):
        await every.create(name, user=user, agent="planner")
        await every.conversation(name).append("user", "x")
    await every.create("d")
    assert await ids(every, user="ann") == ["c", "a"]
    assert sorted(await ids(every, agent="planner")) == ["a", "b", "c"]
    assert sorted([info.id async for info in every.scan()]) == ["a", "b", "c", "d"]
    (info, _) = (await every.list(user="ann")).items
    assert (info.count, info.id) == (1, "c")


async def test_a_list_is_filtered_before_it_is_cut(chats: Any) -> None:
    """[A22]"""
    every = chats()
    for at, status in enumerate(("paused", "active", "paused", "active", "paused")):
        await every.create(f"c-{at}", user="ann", status=status)
    page = await every.list(user="ann", status="paused", limit=2)
    assert len(page.items) == 2 and page.cursor is not None
    rest = await every.list(user="ann", status="paused", limit=2, cursor=page.cursor)
    assert len(rest.items) == 1 and rest.cursor is None
    assert {info.id for info in (*page.items, *rest.items)} == {"c-0", "c-2", "c-4"}


async def test_filters_of_a_list(chats: Any, pass_time: Any) -> None:
    """[A24] One of the tags, created from and up to, and all of it together."""
    every = chats()
    for name, tags, agent in (("a", ["x"], None), ("b", ["y", "z"], "planner"), ("c", [], "planner")):
        await pass_time(10)
        await every.create(name, user="ann", tags=tags, agent=agent)
    assert await ids(every, user="ann", tags=["x", "z"]) == ["b", "a"]
    assert await ids(every, user="ann", tags=[]) == ["c", "b", "a"]
    assert await ids(every, user="ann", agent="planner", tags=["y", "x"]) == ["b"]
    assert await ids(every, user="bob", agent="planner") == []
    at = {info.id: info.created_at for info in (await every.list(user="ann")).items}
    second = timedelta(seconds=1)
    assert await ids(every, user="ann", created_after=at["b"]) == ["c", "b"]
    assert await ids(every, user="ann", created_before=at["b"]) == ["b", "a"]
    assert await ids(every, user="ann", created_after=at["a"] + second, created_before=at["c"] - second) == ["b"]
    assert await ids(every, user="ann", created_after=at["b"], tags=["x"]) == []


@on_redis("an order by activity would have each message of DynamoDB write to an index")
async def test_a_list_by_activity(chats: Any, pass_time: Any) -> None:
    every = chats()
    for name in ("a", "b"):
        await every.create(name, user="ann")
        await pass_time(70)
    assert await ids(every, user="ann", order="active") == ["b", "a"]
    await every.conversation("a").append("user", "x")
    assert await ids(every, user="ann", order="active") == ["a", "b"]
    assert await ids(every, user="ann") == ["b", "a"]


async def test_a_list_while_conversations_come(chats: Any) -> None:
    """[A25]"""
    every = chats()
    for at in range(10):
        await every.create(f"c-{at}", user="ann")
    found, cursor = [], None
    for at in range(4):
        page = await every.list(user="ann", limit=3, cursor=cursor)
        found, cursor = [*found, *(info.id for info in page.items)], page.cursor
        await every.create(f"d-{at}", user="ann")
    assert cursor is None and sorted(found) == [f"c-{at}" for at in range(10)]


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_a_long_list_while_conversations_come_and_go(chats: Any) -> None:
    """[C19]"""
    every = chats()
    for first in range(0, 1_000, 50):
        await together([partial(every.create, f"c-{at}", user="ann") for at in range(first, first + 50)])
    found, cursor, gone = [], None, set()
    for at in range(25):
        page = await every.list(user="ann", limit=50, cursor=cursor)
        found, cursor = [*found, *(info.id for info in page.items)], page.cursor
        await together([partial(every.create, f"d-{at}-{each}", user="ann") for each in range(4)])
        for each in (at * 40, at * 40 + 1):
            gone.add(f"c-{each}")
            await every.conversation(f"c-{each}").delete_all()
        if cursor is None:
            break
    assert cursor is None and len(found) == len(set(found))
    assert {f"c-{at}" for at in range(1_000)} - gone <= set(found) <= {f"c-{at}" for at in range(1_000)}


@on_redis("a conversation of DynamoDB is no namespace")
async def test_deleting_deletes_the_namespace(chats: Any, chat: Any) -> None:
    """With slots of one's own."""
    space = chats().store.namespace(chat.id)
    await space.set("draft", "x")
    assert await chat.delete_all() is True
    assert await space.slots() == []


async def test_deleting_leaves_nothing(chats: Any, hints: Any, pass_time: Any) -> None:
    """Of the conversation, and of lists in a minute; others are as they were."""
    every = chats()
    for name in ("a", "b"):
        await every.create(name, user="ann", agent="planner")
        await every.conversation(name).append("user", name)
    assert await every.conversation("a").delete_all() is True
    assert await every.conversation("a").delete_all() is False
    await pass_time(61)
    assert await ids(every, user="ann") == await ids(every, agent="planner") == ["b"]
    assert await hints() == 2
    assert await every.conversation("a").info() is None
    assert len((await every.conversation("b").messages()).items) == 1


@on_redis("DynamoDB has no lists to choose: an index that has no entry costs nothing")
async def test_lists_that_are_not_kept(chats: Any, hints: Any) -> None:
    every = chats(labels=("agent",))
    await every.create("c", user="ann", agent="planner")
    assert await ids(every, agent="planner") == ["c"] and await hints() == 1
    assert await ids(every, user="ann", agent="planner") == ["c"]
    assert await ids(every, user="bob", agent="planner") == []
    with pytest.raises(ValueError, match="of which there are lists"):
        await every.list(user="ann")


@on_redis("what is in a table is ours")
async def test_what_others_put_in_its_place(chats: Any, client: Any, key: Any) -> None:
    """[R9] Is an error that names the key; a list goes on without it."""
    every = chats()
    for name in ("a", "b"):
        await every.create(name, user="ann")
    chat = every.conversation("a")
    await client.set(key(chat), "theirs", ex=DAY)
    for call in (chat.info, chat.latest, partial(chat.append, "user", "x"), partial(every.create, "a")):
        with pytest.raises(WrongTypeError) as caught:
            await call()
        assert caught.value.key == key(chat)
    assert await ids(every, user="ann") == ["b"]
    assert list(await every.infos(["a", "b"])) == ["b"]
    assert [info.id async for info in every.scan()] == ["b"]
    assert await client.get(key(chat)) == b"theirs"
    await client.delete(key(chat))


async def test_what_cannot_be_decoded_hides_nothing_else(chats: Any, stored: Any) -> None:
    """Lists leave it out, and its own handle raises; its messages can be read."""
    every = chats()
    for name in ("a", "b"):
        await every.create(name, user="ann", title=name)
    chat = every.conversation("a")
    await chat.append("user", "x")
    await stored.spoil_title(chat)
    assert await ids(every, user="ann") == list(await every.infos(["a", "b"])) == ["b"]
    assert [info.id async for info in every.scan()] == ["b"]
    with pytest.raises(CodecError):
        await chat.info()
    assert len((await chat.latest()).items) == 1
    assert (await chat.update(title=None)).title is None


@on_redis("DynamoDB evicts nothing")
async def test_an_evicted_conversation_is_none(chats: Any, client: Any, key: Any) -> None:
    """[C28] All of it is gone, or nothing."""
    every = chats()
    await every.create("c", user="ann")
    chat = every.conversation("c")
    await chat.append("user", "x")
    await client.delete(key(chat))
    assert (await chat.info(), await ids(every, user="ann"), await every.infos(["c"])) == (None, [], {})
    for call in (partial(chat.append, "user", "x"), chat.latest):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert (await every.create("c")).count == 0
    await client.delete(key(chat).replace(":conversation", ":~index"))
    assert (await chat.append("user", "x")).seq == 1


async def test_the_server_is_asked_how_it_is(chats: Any) -> None:
    assert 0 < await chats().ping() < 60


@on_redis("on DynamoDB a change tells no list")
async def test_a_list_that_cannot_be_told_makes_no_change_an_error(
    chats: Any, pass_time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done: whoever was told that it is not would do it twice."""
    every = chats()
    await every.create("c", user="ann")

    async def away(*args: Any, **options: Any) -> Any:
        raise redis.exceptions.ConnectionError

    await pass_time(61)
    with monkeypatch.context() as patch:
        patch.setattr("session_store._async.directory.AsyncDirectory.add", away)
        message = await every.conversation("c").append("user", "x")
    assert [each.seq for each in (await every.conversation("c").messages()).items] == [message.seq]
    assert await ids(every, user="ann") == ["c"]


async def test_many_are_read_in_parts(chats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("conversations", "conversations.dynamodb"):
        monkeypatch.setattr(f"session_store.{package}._async.conversations._TOGETHER", 2)
    every = chats()
    made = {(await every.create(user="ann")).id for _ in range(5)}
    assert {info.id async for info in every.scan()} == made
    assert await every.prune(user="ann") == 5
