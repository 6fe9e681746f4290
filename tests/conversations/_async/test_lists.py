"""What is told of conversations, and lists of them. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from conversations._async.conftest import DAY, standing, together

from session_store import InvalidNameError, WrongTypeError
from session_store.conversations import (
    AsyncRedisConversation,
    AsyncRedisConversations,
    ConversationExistsError,
    ConversationInfo,
    ConversationNotFoundError,
    NewMessage,
    RevisionConflictError,
    Summary,
)

Chat = AsyncRedisConversation


async def ids(every: AsyncRedisConversations, **options: Any) -> list[str]:
    """All of a list, page by page."""
    found, cursor = [], None
    while True:
        page = await every.list(**options, cursor=cursor)
        found += [info.id for info in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


async def hints(client: Any, keys: Any) -> int:
    """How many conversations all lists name, whether they live or not."""
    return sum([await client.zcard(key) for key in await keys() if key.endswith(b":created")])


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


async def test_an_update_changes_what_it_names(chats: Any, client: Any, keys: Any) -> None:
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
    assert await hints(client, keys) == 0
    info = await chat.update(tags=["b", "c"], status="completed", metadata=0)
    assert (info.tags, info.status, info.metadata) == (("b", "c"), "completed", 0)


async def test_a_conversation_changes_hands(chats: Any, client: Any, keys: Any) -> None:
    every = chats()
    await every.create("c", user="ann", agent="planner")
    await every.conversation("c").update(user="bob", title="T")
    assert (await ids(every, user="ann"), await ids(every, user="bob")) == ([], ["c"])
    assert await ids(every, agent="planner") == ["c"]
    await every.conversation("c").update(user="bob")
    assert await hints(client, keys) == 2


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


async def test_deleting_leaves_nothing(chats: Any, client: Any, keys: Any) -> None:
    """Of the conversation, and other slots of its namespace; others are as they were."""
    every = chats()
    for name in ("a", "b"):
        await every.create(name, user="ann", agent="planner")
        await every.conversation(name).append("user", name)
    space = every.store.namespace("a")
    await client.set(space.key("draft"), "x", px=1_000)
    await space.delete("draft")
    assert await every.conversation("a").delete_all() is True
    assert await every.conversation("a").delete_all() is False
    assert await hints(client, keys) == 2
    assert await ids(every, user="ann") == await ids(every, agent="planner") == ["b"]
    assert await every.conversation("a").info() is None
    assert len((await every.conversation("b").messages()).items) == 1


async def test_lists_that_are_not_kept(chats: Any, client: Any, keys: Any) -> None:
    every = chats(labels=("agent",))
    await every.create("c", user="ann", agent="planner")
    assert await ids(every, agent="planner") == ["c"] and await hints(client, keys) == 1
    with pytest.raises(ValueError, match="of which there are lists"):
        await every.list(user="ann")


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
