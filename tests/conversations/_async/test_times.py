"""How long conversations live, and which changes are refused. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from conversations._async.conftest import DAY, on_redis, standing, together

from session_store import ReplicationError
from session_store.conversations import (
    AsyncRedisConversation,
    AsyncRedisConversations,
    ConversationExistsError,
    ConversationInfo,
    ConversationNotFoundError,
    Message,
    NewMessage,
    RevisionConflictError,
    Summary,
)

Chat = AsyncRedisConversation
# By the server's clock, when a key ends, in milliseconds since the epoch.
DEADLINE = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) + redis.call('PTTL', KEYS[1])"


def changes(chat: Chat) -> dict[str, Callable[[], Awaitable[Any]]]:
    """All that makes a conversation live on: messages 1 and 2 are there, and more may be."""

    async def replace() -> None:
        await chat.replace([NewMessage("user", "x")], after=2, expected_revision=(await standing(chat)).revision)

    return {
        "append": partial(chat.append, "user", "x"),
        "append_many": partial(chat.append_many, [NewMessage("user", "x")]),
        "edit": partial(chat.edit, 1, "y"),
        "set_summary": partial(chat.set_summary, "short", upto=2),
        "replace": replace,
        "update": partial(chat.update, title="T"),
        "delete": partial(chat.delete, 2),
        "clear": chat.clear,
        "touch": chat.touch,
    }


async def start(every: AsyncRedisConversations, name: str = "c", **options: Any) -> Chat:
    await every.create(name, **options)
    return every.conversation(name)


async def test_each_change_has_it_live_on(chats: Any, left: Any, pass_time: Any) -> None:
    """Reading does not."""
    chat = await start(chats(idle_ttl=1_000), user="ann")
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    for name, change in changes(chat).items():
        await pass_time(500)
        await chat.latest()
        await chat.messages()
        assert 400 < await left(chat) <= 500
        await change()
        assert 900 < await left(chat) <= 1_000, name


@on_redis("a conversation of DynamoDB has no keys with an end of their own")
async def test_all_keys_of_it_live_on(chats: Any, client: Any, key: Any, keys: Any, pass_time: Any) -> None:
    """[R1, C13] All of its keys, and it tells when they end. Reading does not."""
    chat = await start(chats(idle_ttl=1_000), user="ann")
    await chat.append_many([NewMessage("user", at) for at in range(3)])
    for name, change in changes(chat).items():
        await pass_time(500)
        await chat.latest()
        await chat.messages()
        info = await chat.info()
        assert info is not None and await client.pttl(key(chat)) <= 500_000
        await change()
        for each in [each for each in await keys() if b":~dir." not in each]:
            assert await client.pttl(each) > 900_000, (name, each)
        info, deadline = await chat.info(), await client.eval(DEADLINE, 1, key(chat))
        assert info is not None and abs(info.expires_at.timestamp() * 1000 - deadline) <= 50, name


async def test_what_changes_nothing_is_no_change(chat: Chat, left: Any, pass_time: Any) -> None:
    await chat.append("user", "x", key="k")
    await pass_time(DAY / 2)
    before = await standing(chat)
    await chat.append("user", "x", key="k")
    await chat.delete(7)
    await together([partial(chat.append, "user", "y", tokens=1, max_tokens=0), partial(chat.edit, 7, "y")])
    with pytest.raises(RevisionConflictError):
        await chat.update(title="T", expected_version=1)
    assert await standing(chat) == before
    assert await left(chat) <= DAY / 2


async def test_a_conversation_that_goes_on_does_not_end(chats: Any, pass_time: Any) -> None:
    """[A3, A28, R3] Once it is idle for long enough all of it is gone."""
    every = chats(idle_ttl=300)
    chat = await start(every, user="ann", agent="planner")
    for at in range(10):
        await chat.append("user", at)
        await pass_time(290)
    assert [message.content async for message in chat.iter()] == list(range(10))
    assert [info.id for info in (await every.list(user="ann")).items] == ["c"]
    await pass_time(11)
    assert (await chat.info(), (await every.list(user="ann")).items, await every.infos(["c"])) == (None, (), {})
    assert await every.prune(user="ann") == 0


@on_redis("DynamoDB deletes what has ended some days later")
async def test_no_key_outlives_a_conversation_for_long(chats: Any, keys: Any, pass_time: Any) -> None:
    """[R3] Nor what lists knew of it."""
    chat = await start(chats(idle_ttl=300), user="ann", agent="planner")
    await chat.append("user", "x", key="k")
    await pass_time(301)
    assert [key for key in await keys() if key.endswith(b":conversation")] == []
    await pass_time(700)
    assert await keys() == []


async def test_lists_name_a_conversation_as_long_as_it_is_talked_in(chats: Any, pass_time: Any) -> None:
    """Though messages tell of it at most once in a minute."""
    every = chats(idle_ttl=3_600)
    chat = await start(every, user="ann")
    for _ in range(100):
        await pass_time(59)
        await chat.append("user", "x")
    assert [info.id for info in (await every.list(user="ann")).items] == ["c"]


@pytest.mark.parametrize("name", ["edit", "set_summary", "update", "replace", "delete", "clear", "touch"])
async def test_lists_are_told_by_each_change(chats: Any, pass_time: Any, name: str) -> None:
    """That a conversation lives on, as messages tell them."""
    every = chats(idle_ttl=3_600)
    chat = await start(every, user="ann", agent="planner")
    await chat.append_many([NewMessage("user", at) for at in range(4)])
    for at in range(3):
        await pass_time(3_500)
        last = (await standing(chat)).last_seq
        await {**changes(chat), "delete": partial(chat.delete, last - at)}[name]()
        assert [info.id for info in (await every.list(agent="planner")).items] == ["c"]


async def test_a_conversation_ends_whatever_is_written(chats: Any, pass_time: Any) -> None:
    """[C12] And another one can have its id."""
    every = chats(idle_ttl=200, max_lifetime=300)
    chat = await start(every, user="ann")
    for _ in range(2):
        await pass_time(149)
        await chat.append("user", "x", key="k")
        assert await chat.touch() is True
    await pass_time(3)
    assert (await chat.info(), await chat.touch(), (await every.list(user="ann")).items) == (None, False, ())
    for call in (chat.latest, partial(chat.append, "user", "x"), partial(chat.update, title="T"), chat.clear):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert (await every.create("c")).count == 0
    assert [message async for message in chat.iter()] == []
    assert (await chat.append("user", "y", key="k")).seq == 1


@on_redis("a conversation of DynamoDB has no key that others can prolong")
async def test_the_longest_that_a_conversation_lives(chats: Any, client: Any, key: Any, pass_time: Any) -> None:
    """[C12] Whatever is written, and whoever prolongs it."""
    every = chats(idle_ttl=200, max_lifetime=300)
    chat = await start(every, user="ann")
    created = (await standing(chat)).created_at
    for _ in range(2):
        await chat.append("user", "x")
        await pass_time(100)
        created -= created - (await standing(chat)).created_at
    await every.store.namespace("c").touch(ttl=60_000)
    await chat.touch()
    await chat.append("user", "x")
    info = await chat.info()
    assert info is not None and abs((info.expires_at - created).total_seconds() - 300) < 0.05
    assert await client.pttl(key(chat)) <= 100_000
    await client.pexpire(key(chat), 60_000_000)
    info = await chat.info()
    assert info is not None and abs((info.expires_at - created).total_seconds() - 300) < 0.05
    await pass_time(100)
    assert await client.exists(key(chat))
    assert (await chat.info(), (await every.list(user="ann")).items) == (None, ())
    for call in (chat.latest, partial(chat.append, "user", "x"), partial(chat.update, title="T")):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert (await every.create("c")).count == 0
    assert [message async for message in chat.iter()] == []


@pytest.mark.parametrize("backend", ["redis-text"])
async def test_lists_forget_what_has_ended(chats: Any, client: Any, keys: Any, pass_time: Any) -> None:
    """[R4]"""
    every = chats(idle_ttl=300)
    for _ in range(10):
        await together([partial(every.create, user="ann") for _ in range(100)])
    await pass_time(200)
    for _ in range(3):
        await every.create(user="ann")
    await pass_time(150)
    assert await every.prune(user="ann") == 3
    assert [await client.zcard(key) for key in await keys() if key.endswith(b":created")] == [3]


async def test_of_many_changes_of_one_revision_one_is_made(chat: Chat) -> None:
    """[C4]"""
    revision = (await standing(chat)).revision
    done = await together([partial(chat.append, "user", at, expected_revision=revision) for at in range(50)])
    conflicts = [(each.expected, each.actual) for each in done if isinstance(each, RevisionConflictError)]
    assert conflicts == [(revision, revision + 1)] * 49
    (winner,) = [each for each in done if isinstance(each, Message)]
    assert [message async for message in chat.iter()] == [winner]


async def test_revisions_are_of_messages_and_versions_of_the_rest(chat: Chat) -> None:
    """[A7] Each change counts, also one that expected nothing; what was expected too early is refused."""
    await chat.append_many([NewMessage("user", at) for at in range(4)])
    first = await standing(chat)
    for expected in (first.revision - 1, first.revision + 1):
        for call in (
            partial(chat.append, "user", "x"),
            partial(chat.edit, 1, "x"),
            partial(chat.edit, 1, "x", metadata=None),
            partial(chat.delete, 1),
            partial(chat.replace, []),
            partial(chat.set_summary, "short", upto=1),
        ):
            with pytest.raises(RevisionConflictError) as caught:
                await call(expected_revision=expected)
            assert (caught.value.expected, caught.value.actual) == (expected, first.revision)
    assert await standing(chat) == first
    revision = first.revision
    for call in (
        partial(chat.append, "user", "x"),
        partial(chat.edit, 1, "x"),
        partial(chat.delete, 1, 2),
        partial(chat.replace, [], after=3),
    ):
        await call(expected_revision=revision)
        revision += 1
        assert (await standing(chat)).revision == revision
    await chat.set_summary("short", upto=3, expected_revision=revision)
    await chat.clear()
    last = await standing(chat)
    assert (last.revision, last.version) == (revision + 1, first.version)
    await chat.update(title="T")
    with pytest.raises(RevisionConflictError):
        await chat.update(title="U", expected_version=last.version)
    info = await chat.update(title="V", expected_version=last.version + 1)
    assert (info.title, info.version, info.revision) == ("V", last.version + 2, last.revision)


@pytest.mark.parametrize("backend", ["redis-text", "dynamodb-text"])
async def test_old_numbers_are_refused_by_a_new_conversation(chats: Any, is_redis: bool) -> None:
    """[A8, C5] Also where the one before it changed faster than the clock went on."""
    every = chats()
    chat = await start(every)
    await together([partial(chat.append, "user", at) for at in range(500 if is_redis else 10)])
    await together([partial(chat.update, title="T") for _ in range(1_200 if is_redis else 10)])
    old = await standing(chat)
    await chat.delete_all()
    for call in (partial(chat.append, "user", "x", expected_revision=old.revision), partial(chat.update, title="T")):
        with pytest.raises(ConversationNotFoundError):
            await call()
    assert await chat.info() is None
    new = await every.create("c")
    assert new.revision > old.revision and new.version > old.version
    with pytest.raises(RevisionConflictError):
        await chat.append("user", "x", expected_revision=old.revision)
    with pytest.raises(RevisionConflictError):
        await chat.update(title="T", expected_version=old.version)


async def test_a_lost_reply_does_nothing_twice(chats: Any, lose_replies: Any) -> None:
    """[C3] Each call happens once, and answers as if its first reply had come."""
    lose_replies()
    every = chats()
    info = await every.create("c", user="ann", title="T")
    chat = every.conversation("c")
    assert isinstance(info, ConversationInfo) and (info.title, info.user) == ("T", "ann")
    added = await chat.append_many([NewMessage("user", at, tokens=1) for at in range(5)])
    added.append(await chat.append("user", "x", tokens=1, expected_revision=info.revision + 1, max_tokens=6))
    assert [message async for message in chat.iter()] == added
    edited = await chat.edit(1, "y", tokens=3)
    assert [message async for message in chat.iter()] == [edited, *added[1:]]
    assert await chat.delete(2, 3) == 2
    (short,) = await chat.replace([NewMessage("system", "short")], after=5, expected_revision=info.revision + 4)
    assert short.seq == 7
    now = await chat.update(user="bob", title=None)
    assert (now.user, now.title, now.version) == ("bob", None, info.version + 1)
    await chat.set_summary("s", upto=1)
    last = await standing(chat)
    assert (last.revision, last.count, last.tokens, last.summary) == (info.revision + 5, 4, 5, Summary("s", 1, 0))
    assert await chat.clear() == 4
    assert (await standing(chat)).revision == info.revision + 6
    with pytest.raises(ConversationExistsError):
        await every.create("c")
    assert [each.id for each in (await every.list(user="bob")).items] == ["c"]
    await chat.delete_all()
    assert await chat.info() is None


@pytest.mark.parametrize("backend", ["memory-json", "redis-text"])
async def test_a_change_that_no_replica_has(chats: Any, backend: str) -> None:
    """[C24] It was made, and its caller learns that it may be lost. In memory there are as many replicas as wanted."""
    lone = nullcontext if backend.startswith("memory") else partial(pytest.raises, ReplicationError)
    every = chats(min_replicas=1)
    with lone():
        await every.create("c", user="ann")
    chat = every.conversation("c")
    for call in (
        partial(chat.append, "user", "x"),
        partial(chat.edit, 1, "z", metadata=None),
        partial(chat.update, title="T"),
    ):
        with lone():
            await call()
    info = await standing(chat)
    assert (info.title, info.count) == ("T", 1)
    assert [message.content async for message in chat.iter()] == ["z"]
    with lone():
        await chat.clear()
    assert (await standing(chat)).count == 0
