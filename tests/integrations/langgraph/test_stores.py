"""Which stores and serdes a checkpointer takes, and which calls."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.base", reason="LangGraph is not installed here: make integrations")

from integrations.langgraph.conftest import DAY, keys_of
from integrations.langgraph.graphs import checkpoint, steps, thread
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from support.recorder import Recorder

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    BytesCodec,
    EncryptedCodec,
    InMemoryClient,
    JsonCodec,
    SessionStore,
    TextCodec,
)
from session_store.integrations.langgraph import AsyncCheckpointer, Checkpointer


def test_a_store_that_does_not_fit_is_refused_when_a_checkpointer_is_made(recorder: Recorder) -> None:
    settings: Any = {"prefix": "shop", "default_ttl": DAY}
    encrypted = EncryptedCodec(TextCodec(), keys=[bytes(32)])
    for codec in (TextCodec(), JsonCodec(), encrypted):
        with pytest.raises(TypeError, match=r"BytesCodec\(\)"):
            Checkpointer(SessionStore(InMemoryClient(), codec=codec, **settings))
        with pytest.raises(TypeError, match=r"BytesCodec\(\)"):
            AsyncCheckpointer(AsyncSessionStore(AsyncInMemoryClient(), codec=codec, **settings))
    with pytest.raises(TypeError, match="must be of type AsyncSessionStore"):
        AsyncCheckpointer(SessionStore(InMemoryClient(), codec=BytesCodec(), **settings))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be of type SessionStore"):
        Checkpointer(AsyncSessionStore(AsyncInMemoryClient(), codec=BytesCodec(), **settings))  # type: ignore[arg-type]
    assert recorder.writes == []


async def test_each_flavour_says_which_one_is_for_the_other_calls(saver: Any, flavour: str) -> None:
    """A sync call on the async one would block the event loop."""
    if flavour == "async":
        graph = steps(saver())
        with pytest.raises(NotImplementedError, match=r"AsyncCheckpointer has no get_tuple: .* Checkpointer is for"):
            graph.invoke({"log": []}, thread("t"))
        with pytest.raises(NotImplementedError, match="AsyncCheckpointer has no list: "):
            saver().list(thread("t"))
    else:
        settings: Any = {"prefix": "shop", "default_ttl": DAY, "codec": BytesCodec()}
        graph = steps(Checkpointer(SessionStore(InMemoryClient(), **settings)))
        with pytest.raises(NotImplementedError, match=r"has no aget_tuple: .* AsyncCheckpointer is for"):
            await graph.ainvoke({"log": []}, thread("t"))


class Reversed:
    """A serde that nobody else reads."""

    def dumps_typed(self, value: Any) -> tuple[str, bytes]:
        return "reversed\u00e9", json.dumps(value).encode()[::-1]

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        assert data[0] == "reversed\u00e9"
        return json.loads(data[1][::-1])


async def test_a_serde_of_ones_own_writes_and_reads_all(saver: Any, client: Any, prefix: str) -> None:
    ours = saver(serde=Reversed())
    config = await ours.aput(thread("t"), checkpoint({"c": 1}, c="palindrome"), {"step": 1}, {"c": 1})
    await ours.aput_writes(config, [("c", "written")], "task", "path")
    found = await ours.aget_tuple(config)
    assert found.checkpoint["channel_values"] == {"c": "palindrome"}
    assert (found.metadata["step"], found.pending_writes) == (1, [("task", "c", "written")])
    (blob,) = (key for key in keys_of(client, prefix) if b":blob." in key)
    assert b"emordnilap" in client.get(blob)


async def test_a_clone_with_another_serde_reads_with_that(saver: Any) -> None:
    """LangGraph makes one, with the types that a graph may load."""
    ours = saver(serde=JsonPlusSerializer(allowed_msgpack_modules=[("some.module", "Other")]))
    clone = ours.with_allowlist([("some.module", "Type")])
    assert clone is not ours and clone.serde is not ours.serde
    config = await clone.aput(thread("t"), checkpoint({"c": 1}, c="x"), {}, {"c": 1})
    assert (await clone.aget_tuple(config)).checkpoint["channel_values"] == {"c": "x"}


def test_without_langgraph_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.base", None)
    monkeypatch.delitem(sys.modules, "session_store.integrations.langgraph")
    with pytest.raises(ImportError, match=r"needs langgraph-checkpoint: pip install 'session-store\[langgraph\]'"):
        importlib.import_module("session_store.integrations.langgraph")
