"""Graphs and agents that are gone on with by another process."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langgraph.graph", reason="LangGraph is not installed here: make integrations")

from integrations.langgraph.conftest import keys_of
from integrations.langgraph.graphs import CALL, QUESTION, agent, deltas, listed, run, state, steps, thread
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver


@pytest.mark.parametrize("codec", ["bytes", "encrypted"])
async def test_an_agent_survives_a_restart(saver: Any, flavour: str, codec: str, client: Any, prefix: str) -> None:
    """In the middle of a turn, and from one turn to the next. What is encrypted cannot be read on the server."""
    stopped = agent(saver(), [CALL], interrupt_before=["tools"])
    await run(stopped, flavour, QUESTION, thread("ann"))
    restarted = agent(saver(), [AIMessage("Take an umbrella."), AIMessage("As I said: an umbrella.")])
    answer = await run(restarted, flavour, None, thread("ann"))
    assert [message.type for message in answer["messages"]] == ["human", "ai", "tool", "ai"]
    assert answer["messages"][2].content == "rain in Oslo"
    last = await run(restarted, flavour, {"messages": [HumanMessage("What?")]}, thread("ann"))
    assert [message.content for message in last["messages"][3:]] == [
        "Take an umbrella.",
        "What?",
        "As I said: an umbrella.",
    ]
    stored = b"".join(
        b"".join(client.hgetall(key).values()) if client.type(key) == b"hash" else client.get(key)
        for key in keys_of(client, prefix)
    )
    assert (b"umbrella" in stored) == (codec == "bytes")


@pytest.mark.parametrize("place", ["memory", "server"])
async def test_history_is_what_the_saver_in_memory_has(place: str, saver: Any, flavour: str) -> None:
    """Time travel included: a branch from the middle, and what came before."""

    async def states(checkpointer: Any) -> list[Any]:
        graph = steps(checkpointer)
        await run(graph, flavour, {"log": ["in"]}, thread("t"))
        history = await listed(checkpointer, thread("t"))
        middle = history[2].config
        await run(graph, flavour, None, middle)
        return [
            (each.checkpoint["channel_values"].get("log"), each.metadata["step"], len(each.pending_writes))
            for each in await listed(checkpointer, thread("t"))
        ]

    assert await states(saver()) == await states(InMemorySaver())


@pytest.fixture
def port(place: str, servers: Any) -> int:
    from support.backends import VERSIONS

    return 0 if place == "memory" else servers(VERSIONS[0]).port


@pytest.mark.parametrize("every", [1, 4, 100], ids=lambda every: f"a snapshot each {every}")
async def test_what_a_delta_channel_is_rebuilt_from_survives_pruning(saver: Any, flavour: str, every: int) -> None:
    """[X4] The state is equal before and after, in another process, and goes on."""
    graph = deltas(saver(), every)
    for turn in "123":
        await run(graph, flavour, {"log": [turn]}, thread("t"))
    before = (await state(graph, flavour, thread("t"))).values
    assert before["log"] == [*"1abcd2abcd3abcd"]
    kept = len(await listed(saver(), thread("t")))
    await saver().aprune(["t"], strategy="keep_latest")
    left = len(await listed(saver(), thread("t")))
    assert left == {1: 1, 100: kept}.get(every, left) and (every == 100 or left <= every + 2)
    restarted = deltas(saver(), every)
    assert (await state(restarted, flavour, thread("t"))).values == before
    after = await run(restarted, flavour, {"log": ["4"]}, thread("t"))
    assert after["log"] == [*before["log"], *"4abcd"]


async def test_a_copy_of_a_thread_has_its_delta_channels(saver: Any, flavour: str) -> None:
    graph = deltas(saver(), 100)
    await run(graph, flavour, {"log": ["1"]}, thread("t"))
    await saver().acopy_thread("t", "a:b")
    await saver().adelete_thread("t")
    (everyone,) = {each.config["configurable"]["thread_id"] for each in await listed(saver(), None)}
    assert everyone == "a:b"
    assert (await run(graph, flavour, {"log": ["2"]}, thread("a:b")))["log"] == [*"1abcd2abcd"]


async def test_branches_from_one_checkpoint_keep_apart(saver: Any, flavour: str) -> None:
    """Both write the next version of the same channel."""
    graph = steps(saver())
    await run(graph, flavour, {"log": ["in"]}, thread("t"))
    base = (await state(graph, flavour, thread("t"))).config
    branches = {}
    for name in ("x", "y"):
        update = graph.aupdate_state if flavour == "async" else graph.update_state
        branch = update(base, {"log": [name]}, as_node="d")
        branches[name] = await branch if flavour == "async" else branch
    for name, config in branches.items():
        assert (await state(graph, flavour, config)).values["log"] == ["in", *"abcd", name]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("every", [None, 3])
async def test_every_durability(saver: Any, flavour: str, durability: str, every: int | None) -> None:
    for turn in "12":
        graph = deltas(saver(), every) if every else steps(saver())
        found = await run(graph, flavour, {"log": [turn]}, thread("t"), durability=durability)
        assert found["log"] == [*"1abcd2abcd"[: 5 * int(turn)]]
        assert (await state(graph, flavour, thread("t"))).values == found
