"""What every method sends, and so its round trips. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conversations._async.conftest import standing

from session_store.conversations import AsyncRedisConversation, NewMessage

Call = Callable[[Any, AsyncRedisConversation, int], Awaitable[Any]]
pytestmark = pytest.mark.parametrize("backend", ["redis-text"])
SCRIPT, LIST = [("EVALSHA",)], [("EVALSHA",), ("EVALSHA", "EVALSHA")]
THREE = [NewMessage("user", "x")] * 3
KEYED = [NewMessage("user", "x", key=f"there-{number}") for number in range(50)]
COSTS: dict[str, tuple[Call, list[tuple[str, ...]]]] = {
    "create": (lambda every, _, at: every.create(f"n{at}"), SCRIPT),
    "create with labels": (lambda every, _, at: every.create(f"n{at}", user="x", agent="y"), SCRIPT * 3),
    "append": (lambda _, chat, __: chat.append("user", "x"), SCRIPT),
    "append with a key": (lambda _, chat, at: chat.append("user", "x", key=f"k{at}"), SCRIPT),
    "append of what is there": (lambda _, chat, __: chat.append("user", "x", key="k"), SCRIPT * 2),
    "append_many of what is there": (lambda _, chat, __: chat.append_many(KEYED), SCRIPT * 2),
    "append_many": (lambda _, chat, __: chat.append_many(THREE), SCRIPT),
    "append_many of none": (lambda _, chat, __: chat.append_many([]), []),
    "edit": (lambda _, chat, __: chat.edit(1, "y", metadata=None), SCRIPT),
    "edit that keeps metadata": (lambda _, chat, __: chat.edit(1, "y"), SCRIPT * 2),
    "delete": (lambda _, chat, at: chat.delete(10 + at, 20 + at), SCRIPT),
    "clear": (lambda _, chat, __: chat.clear(), SCRIPT),
    "info": (lambda _, chat, __: chat.info(), SCRIPT),
    "latest": (lambda _, chat, __: chat.latest(200), SCRIPT),
    "latest by tokens": (lambda _, chat, __: chat.latest(max_tokens=7), SCRIPT),
    "messages": (lambda _, chat, __: chat.messages(limit=200), SCRIPT),
    "update": (lambda _, chat, __: chat.update(title="T", status="done"), SCRIPT),
    "update of a label": (lambda _, chat, at: chat.update(user=f"u{at}"), SCRIPT * 3),
    "set_summary": (lambda _, chat, __: chat.set_summary("s", upto=1), SCRIPT),
    "touch": (lambda _, chat, __: chat.touch(), SCRIPT),
    "list": (lambda every, _, __: every.list(user="ann"), LIST),
    "list of none": (lambda every, _, __: every.list(user="nobody"), SCRIPT),
    "infos": (lambda every, _, __: every.infos(["a", "b", "c"]), [("EVALSHA",) * 3]),
    "infos of none": (lambda every, _, __: every.infos([]), []),
    "ping": (lambda every, _, __: every.ping(), SCRIPT),
}


async def begin(every: Any) -> AsyncRedisConversation:
    for name in ("a", "b"):
        await every.create(name, user="ann", agent="planner")
    chat = every.conversation("a")
    await chat.append_many([NewMessage("user", "x", 1, key="k"), *KEYED, *[NewMessage("user", "x", 1)] * 149])
    return chat


@pytest.mark.parametrize("name", COSTS)
async def test_what_a_method_sends(chats: Any, recorder: Any, name: str) -> None:
    """[R5] Nothing scans, however many messages there are."""
    every, (call, wanted) = chats(), COSTS[name]
    chat = await begin(every)
    await call(every, chat, 0)  # the server knows the script from now on
    recorder.clear()
    await call(every, chat, 1)
    assert recorder.writes == wanted


async def test_what_deleting_and_replacing_send(chats: Any, recorder: Any) -> None:
    """[R5]"""
    every = chats()
    chat = await begin(every)
    for _ in range(2):
        revision = (await standing(chat)).revision
        recorder.clear()
        await chat.replace(THREE, after=100, expected_revision=revision)
    assert recorder.writes == SCRIPT
    await every.conversation("b").delete_all()
    recorder.clear()
    await chat.delete_all()
    assert recorder.writes == [("HKEYS",), *SCRIPT]


async def test_lists_are_told_of_messages_once_in_a_minute(chats: Any, recorder: Any, pass_time: Any) -> None:
    """[R5]"""
    chat = await begin(chats())
    for seconds, wanted in ((61, SCRIPT * 3), (0, SCRIPT), (30, SCRIPT), (31, SCRIPT * 3), (58, SCRIPT)):
        await pass_time(seconds)
        recorder.clear()
        await chat.append("user", "x")
        assert recorder.writes == wanted, seconds


async def test_an_iteration_reads_a_hundred_at_once(chats: Any, recorder: Any) -> None:
    chat = await begin(chats())
    await chat.append("user", "x")
    await chat.latest()
    recorder.clear()
    assert len([message async for message in chat.iter()]) == 201
    assert recorder.writes == SCRIPT * 3


@pytest.mark.parametrize("name", COSTS)
async def test_a_server_that_forgot_the_scripts(chats: Any, client: Any, name: str) -> None:
    """[R7] Is told them again."""
    every, (call, _) = chats(), COSTS[name]
    chat = await begin(every)
    await client.script_flush()
    await call(every, chat, 0)
