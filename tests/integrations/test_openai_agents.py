"""Sessions of openai-agents on conversations [X1, X2]."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("agents", reason="openai-agents is not installed here: make integrations")

import redis.asyncio
from agents import (
    Agent,
    Model,
    ModelResponse,
    OpenAIResponsesCompactionSession,
    RunConfig,
    Runner,
    Session,
    SessionSettings,
    Usage,
    function_tool,
)
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.deployments import Cluster
from support.proxy import proxied
from support.servers import Server

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    EncryptedCodec,
    InMemoryClient,
    InvalidNameError,
    NamespacePurgedError,
    SessionStore,
    TextCodec,
)
from session_store.conversations import AsyncRedisConversations, RedisConversations
from session_store.integrations.openai_agents import ConversationSession
from session_store.testing import explore


def chats_on(client: Any, prefix: str, **settings: Any) -> AsyncRedisConversations:
    return AsyncRedisConversations(AsyncSessionStore(client, prefix=prefix, default_ttl=600, **settings))


@pytest.fixture(params=["memory", "redis"])
async def chats(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[AsyncRedisConversations]:
    if request.param == "memory":
        yield chats_on(AsyncInMemoryClient(), prefix)
        return
    async with redis.asyncio.Redis(port=request.getfixturevalue("server").port) as client:
        yield chats_on(client, prefix)


def say(text: Any, role: str = "user") -> Any:
    return {"role": role, "content": text}


async def roles(session: ConversationSession, chats: AsyncRedisConversations) -> list[str]:
    return [message.role async for message in chats.conversation(session.session_id).iter()]


# A run of an agent.


class ScriptedModel(Model):
    """Says what it was given to say, and keeps what it was told."""

    def __init__(self, *outputs: Any) -> None:
        self.told: list[Any] = []
        self._outputs = list(outputs)

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **more: Any) -> ModelResponse:  # noqa: A002  # its word
        self.told.append(json.loads(json.dumps(input)))
        return ModelResponse(output=[self._outputs.pop(0)], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **more: Any) -> Any:
        raise NotImplementedError


def answer(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[part])


@function_tool
def price(article: str) -> str:
    """What an article costs."""
    return f"{article}: 4.50"


async def two_turns(chats: AsyncRedisConversations) -> None:
    """What the first turn said, called and was told is what the model is told before the second."""
    call = ResponseFunctionToolCall(type="function_call", call_id="c-1", name="price", arguments='{"article": "tea"}')
    model = ScriptedModel(call, answer("It is 4.50."), answer("Gladly."))
    agent = Agent(name="shop", model=model, tools=[price])
    config = RunConfig(tracing_disabled=True)
    for text in ("What is the tea?", "I take it."):
        # A session for each request, as a server's processes make them.
        await Runner.run(agent, text, session=ConversationSession("s-1", chats), run_config=config)
    session = ConversationSession("s-1", chats)
    items: list[Any] = await session.get_items()
    first_turn, (latest, reply) = items[:4], items[4:]
    assert [item.get("type", "message") for item in first_turn] == [
        *("message", "function_call", "function_call_output", "message")
    ]
    assert first_turn[2]["output"] == "tea: 4.50"
    assert (latest, reply["content"][0]["text"]) == (say("I take it."), "Gladly.")
    assert model.told[2] == [*first_turn, latest]
    assert await roles(session, chats) == ["user", "other", "tool", "assistant", "user", "assistant"]


async def test_two_turns_of_a_run(chats: AsyncRedisConversations) -> None:
    assert isinstance(ConversationSession("s-1", chats), Session)
    await two_turns(chats)


async def test_a_run_whose_items_are_encrypted(server: Server, prefix: str) -> None:
    """Nothing that was said can be read on the server."""
    async with redis.asyncio.Redis(port=server.port) as client:
        await two_turns(chats_on(client, prefix, codec=EncryptedCodec(TextCodec(), keys=[bytes(32)])))
        stored = [await client.dump(key) or b"" async for key in client.scan_iter(f"{prefix}:*")]
    assert all(stored)
    assert not any(word in data for data in stored for word in (b"tea", b"Gladly", b"price"))


# Items.


async def test_a_session_that_has_not_begun(chats: AsyncRedisConversations) -> None:
    """It is empty, and nothing but items begins it."""
    session = ConversationSession("s", chats)
    await session.add_items([])
    await session.clear_session()
    assert (await session.get_items(), await session.get_items(3), await session.pop_item()) == ([], [], None)
    assert await chats.conversation("s").info() is None


async def test_items_come_back_as_they_went_in(chats: AsyncRedisConversations) -> None:
    """Any JSON value in them; and roles are of use to who reads the conversation itself."""
    items: list[Any] = [
        say("Grüße \0 🙂 [", "system"),
        say([{"type": "input_text", "text": ""}, {"n": [1, 2.5, None, True, {}]}], "developer"),
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "out"},
        {"role": "critic", "content": None},
        {"role": ["user"], "type": None},
        {},
    ]
    session = ConversationSession("s", chats)
    await session.add_items(items)
    assert await session.get_items() == items
    assert await roles(session, chats) == ["system", "developer", "other", "tool", "other", "other", "other"]


async def test_limits(chats: AsyncRedisConversations) -> None:
    """The latest, oldest first, also beyond what one call gives; that of the call goes before that of the settings."""
    items = [say(f"item {number}") for number in range(2_500)]
    session = ConversationSession("s", chats)
    await session.add_items(items)
    assert await session.get_items() == items
    for limit in (1, 999, 1_000, 1_001, 2_000, 2_500, 2**31 - 1):
        assert await session.get_items(limit) == items[-limit:]
    assert await session.get_items(0) == await session.get_items(-1) == []
    settled: Any
    for settled in (SessionSettings(limit=2), {"limit": 2}):
        narrow = ConversationSession("s", chats, session_settings=settled)
        assert await narrow.get_items() == items[-2:]
        assert await narrow.get_items(3) == items[-3:]
    assert await ConversationSession("s", chats, session_settings=SessionSettings(limit=0)).get_items() == []
    narrow.session_settings = None
    assert await narrow.get_items() == items


@pytest.mark.parametrize("bad", [say((1, 2)), say(float("nan")), say("\ud800"), say(b"x"), "text", None])
@pytest.mark.parametrize("before", [2, 1_500])
async def test_bad_items_leave_nothing(bad: Any, before: int) -> None:
    """Not even those before them."""
    chats = chats_on(AsyncInMemoryClient(), "p")
    session = ConversationSession("s", chats)
    with pytest.raises(TypeError):
        await session.add_items([*[say("fine")] * before, bad])
    assert await session.get_items() == []


async def test_clearing_takes_the_items_alone(chats: AsyncRedisConversations) -> None:
    """Whose conversation it is stays; so does the order of what is popped, after what was added anew."""
    await chats.create("s", user="ann", title="Tea")
    session = ConversationSession("s", chats)
    await session.add_items([say("one"), say("two")])
    await session.clear_session()
    assert await session.get_items() == []
    await session.add_items([say("three"), say("four")])
    assert [await session.pop_item() for _ in range(3)] == [say("four"), say("three"), None]
    assert [(info.id, info.title) for info in (await chats.list(user="ann")).items] == [("s", "Tea")]


def test_bad_arguments() -> None:
    chats = chats_on(AsyncInMemoryClient(), "p")
    for name in ("", "~s", "a{b", "x" * 1_000):
        with pytest.raises(InvalidNameError):
            ConversationSession(name, chats)
    for other in (RedisConversations(SessionStore(InMemoryClient(), prefix="p", default_ttl=600)), None):
        with pytest.raises(TypeError, match="AsyncRedisConversations"):
            ConversationSession("s", other)  # type: ignore[arg-type]


async def test_compaction_on_top(chats: AsyncRedisConversations) -> None:
    """By openai-agents' own: what it makes of the items is there in their place, and it is the same conversation."""
    summary = {"type": "compaction", "id": "c-1", "encrypted_content": "x"}
    asked = []

    async def compact(**request: Any) -> Any:
        asked.append(request["input"])
        return SimpleNamespace(output=[summary], usage=None)

    await chats.create("s", user="ann")
    session = ConversationSession("s", chats)
    await session.add_items([say("one"), say("two")])
    client: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))
    on_top = OpenAIResponsesCompactionSession("s", session, client=client)
    await on_top.run_compaction({"force": True, "compaction_mode": "input"})
    assert asked == [[say("one"), say("two")]]
    assert await session.get_items() == [summary]
    assert [info.count for info in (await chats.list(user="ann")).items] == [1]


# Several at once.


async def fifty_pops_of_forty(chats: AsyncRedisConversations) -> None:
    """Each item is given to one of them, and ten get none [X1]."""
    items = [say(f"item {number}") for number in range(40)]
    await ConversationSession("s", chats).add_items(items)
    popped = await asyncio.gather(*(ConversationSession("s", chats).pop_item() for _ in range(50)))
    assert popped.count(None) == 10
    assert sorted(filter(None, popped), key=str) == sorted(items, key=str)
    assert await ConversationSession("s", chats).get_items() == []


async def test_pops_at_once(chats: AsyncRedisConversations) -> None:
    await fifty_pops_of_forty(chats)


async def test_first_items_of_twenty_at_once(chats: AsyncRedisConversations) -> None:
    """One conversation begins, and has them all; those of one call stay together."""
    pairs = [[say(f"{number}, first"), say(f"{number}, second")] for number in range(20)]
    await asyncio.gather(*(ConversationSession("s", chats).add_items(pair) for pair in pairs))
    found = await ConversationSession("s", chats).get_items()
    assert sorted(found[0::2], key=str) == sorted((pair[0] for pair in pairs), key=str)
    assert all([first, second] in pairs for first, second in zip(found[0::2], found[1::2], strict=True))


async def test_on_a_cluster(prefix: str) -> None:
    """A run, and pops at once [X2]."""
    cluster = Cluster()
    try:
        async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port, socket_timeout=10) as client:
            chats = chats_on(client, prefix)
            await two_turns(chats)
            await fifty_pops_of_forty(chats)
    finally:
        cluster.stop()


def sessions(client: Any) -> AsyncRedisConversations:
    return chats_on(client, "p")


async def begin(chats: AsyncRedisConversations) -> None:
    await ConversationSession("s", chats).add_items([say("a"), say("b")])


async def contents(chats: AsyncRedisConversations) -> str:
    items: list[Any] = await ConversationSession("s", chats).get_items()
    return "".join(item["content"] for item in items)


async def pop(chats: AsyncRedisConversations) -> Any:
    item: Any = await ConversationSession("s", chats).pop_item()
    return item and item["content"]


async def add(chats: AsyncRedisConversations) -> None:
    await ConversationSession("s", chats).add_items([say("c")])


def test_a_pop_beside_others_in_every_order() -> None:
    """It takes what is the latest then: where somebody has seen another item behind it, that one."""

    async def check(chats: AsyncRedisConversations, results: dict[str, Any]) -> None:
        popped, seen, left = results["pop"], results["read"], await contents(chats)
        assert (popped, left) in (("b", "ac"), ("c", "ab"))
        assert seen in ("ab", "abc", left, left.removesuffix("c"))
        assert (popped, seen) != ("b", "abc")

    tasks = {"pop": pop, "add": add, "read": contents}
    assert explore(tasks, setup=begin, check=check, handle=sessions, faults={"lost_reply"}).complete


def test_a_pop_while_the_conversation_is_begun_anew() -> None:
    """Numbers begin anew with it. What is taken out is what is returned."""

    async def anew(chats: AsyncRedisConversations) -> None:
        await chats.conversation("s").delete_all()
        # By two calls: no time passes here, so that after one, as before, the revision would be the same.
        for item in ("x", "y"):
            await ConversationSession("s", chats).add_items([say(item)])

    async def check(chats: AsyncRedisConversations, results: dict[str, Any]) -> None:
        assert (results["pop"], await contents(chats)) in (("b", "xy"), (None, "xy"), ("x", "y"), ("y", "x"))

    assert explore({"pop": pop, "anew": anew}, setup=begin, check=check, handle=sessions).complete


# What goes wrong on the way.


async def test_lost_replies(server: Server, prefix: str) -> None:
    """Of every call that writes: the client sends it again, and it is done once."""
    with proxied(server.port) as proxy:
        client = redis.asyncio.Redis(port=proxy.port, retry=Retry(NoBackoff(), 3))
        session = ConversationSession("s", chats_on(client, prefix))
        for script in ("CREATE", "APPEND", "REMOVE"):
            proxy.lose_reply(script)
        await session.add_items([say("one"), say("two")])
        proxy.lose_reply("APPEND")
        await session.add_items([say("three")])
        assert await session.pop_item() == say("three")
        assert await session.get_items() == [say("one"), say("two")]
        proxy.lose_reply("CLEAR")
        await session.clear_session()
        assert await session.get_items() == []
        await client.aclose()


async def test_items_that_come_after_the_end(chats: AsyncRedisConversations) -> None:
    """They begin the session anew, but for a fence, which is for this."""
    session = ConversationSession("s", chats)
    await session.add_items([say("one")])
    await chats.conversation("s").delete_all()
    await session.add_items([say("two")])
    assert await session.get_items() == [say("two")]
    await chats.store.namespace("s").purge(fence=60)
    with pytest.raises(NamespacePurgedError):
        await session.add_items([say("three")])
    assert await session.get_items() == []
