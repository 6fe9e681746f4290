"""What is refused before anything is sent. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conversations._async.conftest import on_redis

from session_store.conversations import AsyncRedisConversation, AsyncRedisConversations, NewMessage

Chat = AsyncRedisConversation
NAIVE = datetime(2026, 1, 1)
NOT_JSON = (math.nan, math.inf, (1,), b"x", {1}, "\ud800", {1: 2}, object(), [("a",)])
NO_COUNTS = (("1", TypeError), (True, TypeError), (1.0, TypeError), (-1, ValueError), (2**53, ValueError))
NO_ROLES: tuple[tuple[Any, type[Exception]], ...] = (
    ("User", ValueError),
    ("", ValueError),
    (1, TypeError),
    (None, TypeError),
)
NO_LABELS: tuple[tuple[Any, type[Exception]], ...] = (
    (1, TypeError),
    (b"x", TypeError),
    ("", ValueError),
    ("\ud800", ValueError),
)
Case = tuple[Callable[[Any, Chat], Awaitable[Any]], type[Exception]]


def of_counts() -> dict[str, Case]:
    """Wherever a number is taken."""
    calls: dict[str, Callable[[Any, Chat, Any], Awaitable[Any]]] = {
        "append tokens": lambda _, chat, bad: chat.append("user", "x", tokens=bad),
        "append max_tokens": lambda _, chat, bad: chat.append("user", "x", max_tokens=bad),
        "append revision": lambda _, chat, bad: chat.append("user", "x", expected_revision=bad),
        "edit seq": lambda _, chat, bad: chat.edit(bad, "x"),
        "edit tokens": lambda _, chat, bad: chat.edit(1, "x", tokens=bad),
        "edit revision": lambda _, chat, bad: chat.edit(1, "x", metadata=None, expected_revision=bad),
        "delete seq": lambda _, chat, bad: chat.delete(1, bad),
        "delete revision": lambda _, chat, bad: chat.delete(1, expected_revision=bad),
        "replace after": lambda _, chat, bad: chat.replace([], after=bad, expected_revision=1),
        "replace revision": lambda _, chat, bad: chat.replace([], expected_revision=bad),
        "update version": lambda _, chat, bad: chat.update(user="x", expected_version=bad),
        "summary upto": lambda _, chat, bad: chat.set_summary("x", upto=bad),
        "summary tokens": lambda _, chat, bad: chat.set_summary("x", upto=1, tokens=bad),
        "summary revision": lambda _, chat, bad: chat.set_summary("x", upto=1, expected_revision=bad),
        "latest max_tokens": lambda _, chat, bad: chat.latest(max_tokens=bad),
        "messages offset": lambda _, chat, bad: chat.messages(offset=bad),
        "messages after": lambda _, chat, bad: chat.messages(after=bad),
        "messages before": lambda _, chat, bad: chat.messages(before=bad),
        "messages limit": lambda _, chat, bad: chat.messages(limit=bad),
        "latest limit": lambda _, chat, bad: chat.latest(bad),
        "list limit": lambda every, _, bad: every.list(user="ann", limit=bad),
    }
    cases = {
        f"{name} {bad!r}": (lambda every, chat, call=call, bad=bad: call(every, chat, bad), error)
        for name, call in calls.items()
        for bad, error in NO_COUNTS
        if (name, bad) != ("list limit", 2**53)  # a list is as long as one wants
    }
    for name in ("edit seq", "delete seq", "summary upto", "list limit"):  # which are from 1 on
        cases[f"{name} 0"] = (lambda every, chat, call=calls[name]: call(every, chat, 0), ValueError)
    cases["replace revision None"] = (lambda every, chat: calls["replace revision"](every, chat, None), TypeError)
    return cases


def of_texts() -> dict[str, Case]:
    """Wherever a str is taken."""
    cases: dict[str, Case] = {}
    for bad, error in NO_LABELS:
        for name in ("user", "agent", "status", "title"):
            cases[f"create {name} {bad!r}"] = (
                lambda every, _, name=name, bad=bad: every.create(**{"user": "ann", name: bad}),
                error,
            )
            cases[f"update {name} {bad!r}"] = (
                lambda _, chat, name=name, bad=bad: chat.update(**{"user": "ann", name: bad}),
                error,
            )
        for name in ("user", "agent"):
            cases[f"list {name} {bad!r}"] = (lambda every, _, name=name, bad=bad: every.list(**{name: bad}), error)
        cases[f"summary {bad!r}"] = (
            lambda _, chat, bad=bad: chat.set_summary(bad, upto=1),
            error,
        )
        cases[f"key {bad!r}"] = (lambda _, chat, bad=bad: chat.append("user", "x", key=bad), error)
    for bad in ("ab", "", [1], 5):
        cases[f"create tags {bad!r}"] = (lambda every, _, bad=bad: every.create(user="ann", tags=bad), TypeError)
        cases[f"update tags {bad!r}"] = (lambda _, chat, bad=bad: chat.update(user="ann", tags=bad), TypeError)
        cases[f"list tags {bad!r}"] = (lambda every, _, bad=bad: every.list(user="ann", tags=bad), TypeError)
    return cases


def of_values() -> dict[str, Case]:
    """[C16] Wherever a JSON value is taken: one that would not read back equal."""
    cases: dict[str, Case] = {}
    for bad in NOT_JSON:
        cases |= {
            f"content {bad!r}": (lambda _, chat, bad=bad: chat.append("user", bad), TypeError),
            f"metadata {bad!r}": (lambda _, chat, bad=bad: chat.append("user", "x", metadata=bad), TypeError),
            f"edit {bad!r}": (lambda _, chat, bad=bad: chat.edit(1, bad, metadata=None), TypeError),
            f"edit that keeps metadata {bad!r}": (lambda _, chat, bad=bad: chat.edit(1, bad), TypeError),
            f"edit metadata {bad!r}": (lambda _, chat, bad=bad: chat.edit(1, "x", metadata=bad), TypeError),
            f"create {bad!r}": (lambda every, _, bad=bad: every.create(user="ann", metadata=bad), TypeError),
            f"update {bad!r}": (lambda _, chat, bad=bad: chat.update(user="ann", metadata=bad), TypeError),
        }
    return cases


def of_roles() -> dict[str, Case]:
    cases: dict[str, Case] = {"one role": (lambda _, chat: chat.latest(roles="user"), TypeError)}  # type: ignore[arg-type]
    for bad, error in NO_ROLES:
        cases |= {
            f"append {bad!r}": (lambda _, chat, bad=bad: chat.append(bad, "x"), error),
            f"latest {bad!r}": (lambda _, chat, bad=bad: chat.latest(roles=["user", bad]), error),
            f"messages {bad!r}": (lambda _, chat, bad=bad: chat.messages(roles=[bad]), error),
        }
    return cases


OTHERS: dict[str, Case] = {
    "no message": (lambda _, chat: chat.append_many([NewMessage("user", "x"), ("user", "x")]), TypeError),  # type: ignore[list-item]
    "no message to replace": (lambda _, chat: chat.replace(["x"], expected_revision=1), TypeError),  # type: ignore[list-item]
    "too many messages": (lambda _, chat: chat.append_many([NewMessage("user", "x")] * 1_001), ValueError),
    "one key twice": (lambda _, chat: chat.append_many([NewMessage("user", "x", key="k")] * 2), ValueError),
    "a long key": (lambda _, chat: chat.append("user", "x", key="é" * 101), ValueError),
    "a time without a zone": (lambda _, chat: chat.latest(before=NAIVE), ValueError),
    "another time without a zone": (lambda _, chat: chat.messages(after=NAIVE), ValueError),
    "a list from a time without a zone": (lambda every, _: every.list(user="x", created_after=NAIVE), ValueError),
    "a list up to a time without a zone": (lambda every, _: every.list(user="x", created_before=NAIVE), ValueError),
    "a list from no time": (lambda every, _: every.list(user="x", created_after=1), TypeError),
    "a limit, and no role": (lambda _, chat: chat.latest(1_001, roles=[]), ValueError),
    "an order": (lambda _, chat: chat.messages(order="up"), ValueError),
    "an order of a list": (lambda every, _: every.list(user="x", order="up"), ValueError),
    "a list of nobody": (lambda every, _: every.list(), ValueError),
    "pruning nobody": (lambda every, _: every.prune(), ValueError),
    "a cursor of nothing": (lambda every, _: every.list(user="x", cursor="x"), ValueError),
    "no status": (lambda every, _: every.create(user="x", status=None), ValueError),
    "a status cleared": (lambda _, chat: chat.update(user="x", status=None), ValueError),  # type: ignore[arg-type]
    "one id": (lambda every, _: every.infos("abc"), TypeError),
}


@pytest.mark.parametrize("cases", [of_counts, of_texts, of_values, of_roles, lambda: OTHERS])
async def test_nothing_is_sent_of_what_makes_no_sense(
    chats: Any, chat: Chat, recorder: Any, keys: Any, cases: Any
) -> None:
    before = await keys()
    for name, (call, error) in cases().items():
        recorder.clear()
        with pytest.raises(error) as caught:
            await call(chats(), chat)
            pytest.fail(name)
        assert type(caught.value) is error, name
        assert recorder.writes == [], name
    assert await keys() == before


async def test_what_is_just_allowed(chat: Chat, is_redis: bool) -> None:
    await chat.append("user", "x", tokens=2**53 - 1, key="é" * 100)
    found = await chat.latest(1_000, before=datetime.now(timezone.utc) + timedelta(days=1), max_tokens=2**53 - 1)
    assert [(message.tokens, message.key) for message in found.items] == [(2**53 - 1, "é" * 100)]
    await chat.delete(1)
    count = 1_000 if is_redis else 49  # a transaction of DynamoDB has 100 items, and a key is one of its own
    many = [NewMessage("user", at, key=str(at)) for at in range(count)]
    assert [message.seq for message in await chat.append_many(many)] == list(range(2, count + 2))


@on_redis("a table is not a store, and has no labels to choose from")
def test_conversations_of_what_is_no_store(chats: Any, client: Any) -> None:
    with pytest.raises(TypeError, match="store must be"):
        AsyncRedisConversations(client)
    for labels in ("user", ["user", "title"]):
        with pytest.raises(ValueError, match="labels must be"):
            chats(labels=labels)


async def test_times_of_conversations_that_are_none(chats: Any) -> None:
    for options in ({"idle_ttl": 0}, {"idle_ttl": -1}, {"max_lifetime": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            chats(**options)


async def test_what_is_shown_of_a_conversation(chats: Any, chat: Chat) -> None:
    """Neither its id, which may be a credential, nor what is in it."""
    await chat.append("user", "secret")
    assert chat.id not in repr(chat)
    assert repr(chats()).startswith(("AsyncRedisConversations(AsyncSessionStore(", "AsyncDynamoDBConversations(table="))
