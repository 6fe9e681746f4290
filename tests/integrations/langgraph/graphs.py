"""Graphs, and the sync checkpointer as async tests want it."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from session_store.integrations.langgraph import Checkpointer

METHODS = (
    *("get_tuple", "put", "put_writes", "delete_thread", "delete_for_runs", "copy_thread", "prune"),
    "get_delta_channel_history",
)


def _waiting(name: str) -> Any:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, name)(*args, **kwargs)

    return call


class Waiting(Checkpointer):
    """The sync checkpointer, with the async names as well."""

    async def alist(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        for each in self.list(*args, **kwargs):
            yield each


for _name in METHODS:
    setattr(Waiting, f"a{_name}", _waiting(_name))


def thread(thread_id: str, checkpoint_id: str | None = None, checkpoint_ns: str = "", **more: Any) -> Any:
    """A config."""
    named = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, **named}, **more}


def checkpoint(versions: dict[str, Any] | None = None, **values: Any) -> Any:
    """A checkpoint. Each that is made is newer than those before."""
    return {
        "v": 1,
        "id": str(uuid6()),
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": values,
        "channel_versions": versions or {},
        "versions_seen": {},
        "updated_channels": None,
    }


async def listed(saver: Any, config: Any, **options: Any) -> list[Any]:
    return [each async for each in saver.alist(config, **options)]


class Steps(TypedDict):
    log: Annotated[list[str], operator.add]


def steps(saver: Any, names: Sequence[str] = "abcd", **options: Any) -> Any:
    """A graph of nodes in a row, each of which adds its name."""
    return _row(Steps, names).compile(checkpointer=saver, **options)


def forked(saver: Any, ran: list[str]) -> Any:
    """Two nodes side by side, and one after both; each is noted as it runs."""
    builder = StateGraph(Steps)
    for name in "abc":
        builder.add_node(name, lambda _, name=name: ran.append(name) or {"log": [name]})
    for before, after in [(START, "a"), (START, "b"), (["a", "b"], "c"), ("c", END)]:
        builder.add_edge(before, after)
    return builder.compile(checkpointer=saver)


def _added(state: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*state, *(each for write in writes for each in write)]


def deltas(saver: Any, every: int, names: Sequence[str] = "abcd") -> Any:
    """The same, with a channel of which a checkpoint has a value only once in `every` updates."""
    log = Annotated[list[str], DeltaChannel(_added, list, snapshot_frequency=every)]
    return _row(TypedDict("Deltas", {"log": log}), names).compile(checkpointer=saver)


def _row(state: Any, names: Sequence[str]) -> Any:
    builder = StateGraph(state)
    for name in names:
        builder.add_node(name, lambda _, name=name: {"log": [name]})
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


async def run(graph: Any, flavour: str, given: Any, config: Any, **options: Any) -> Any:
    """What a graph gives, with the checkpointer of either flavour."""
    if flavour == "async":
        return await graph.ainvoke(given, config, **options)
    return graph.invoke(given, config, **options)


async def state(graph: Any, flavour: str, config: Any) -> Any:
    return await graph.aget_state(config) if flavour == "async" else graph.get_state(config)


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def agent(saver: Any, says: list[AIMessage], **options: Any) -> Any:
    """An agent with one tool, and a model that says what is written down."""
    model = GenericFakeChatModel(messages=iter(says))

    def ask(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    async def aask(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", RunnableLambda(ask, aask))
    builder.add_node("tools", ToolNode([weather]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=saver, **options)


CALL = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "call-1"}])
QUESTION = {"messages": [HumanMessage("How is the weather?")]}
