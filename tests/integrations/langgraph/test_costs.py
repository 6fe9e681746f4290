"""What each method sends, as docs/integrations.md says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.base", reason="LangGraph is not installed here: make integrations")

from docs.pages import DOCS, code_words
from integrations.langgraph.graphs import checkpoint, listed, thread
from support.recorder import Recorder

SCRIPT = ("EVALSHA",)
CALLS: dict[str, tuple[Callable[[Any, Any], Awaitable[Any]], list[tuple[str, ...]]]] = {
    "get_tuple": (lambda ours, at: ours.aget_tuple(thread("t")), [("GET",), SCRIPT]),
    "get_tuple by id": (lambda ours, at: ours.aget_tuple(at), [("HGET",), SCRIPT]),
    "put": (lambda ours, at: ours.aput(at, checkpoint({"c": 9}, c=1), {}, {"c": 9}), [SCRIPT, SCRIPT]),
    "put of a branch": (lambda ours, at: ours.aput(_older(at), checkpoint(), {}, {}), [SCRIPT, ("HEXISTS",), SCRIPT]),
    "put_writes": (lambda ours, at: ours.aput_writes(at, [("c", 1), ("c", 2)], "task"), [SCRIPT]),
    "put_writes, the first of a process": (
        lambda ours, at: _another(ours).aput_writes(at, [("c", 1)], "task"),
        [("HKEYS",), SCRIPT, SCRIPT],
    ),
    "list of at most 64": (lambda ours, at: listed(ours, thread("t"), limit=2), [("HKEYS",), ("HMGET",), SCRIPT]),
    "list, of 65 to 128": (lambda ours, at: listed(ours, thread("t")), [("HKEYS",), *[("HMGET",), SCRIPT] * 2]),
    "delete_thread": (lambda ours, at: ours.adelete_thread("t"), [("HKEYS",), SCRIPT]),
    "copy_thread": (lambda ours, at: ours.acopy_thread("t", "other"), [("HKEYS",), SCRIPT, SCRIPT]),
    "prune": (lambda ours, at: ours.aprune(["t"]), [SCRIPT] * 3),
    "get_delta_channel_history": (
        lambda ours, at: ours.aget_delta_channel_history(config=at, channels=["never"]),
        [("HGET",), ("HKEYS",), ("HMGET",), ("HMGET",), SCRIPT],
    ),
}
_ids: list[str] = []


def _older(config: Any) -> Any:
    return thread("t", _ids[3])


def _another(ours: Any) -> Any:
    """The checkpointer of another process."""
    return type(ours)(ours._store)


async def _begin(ours: Any) -> Any:
    """A thread of 70 checkpoints."""
    config = thread("t")
    _ids.clear()
    for at in range(70):
        config = await ours.aput(config, checkpoint({"c": at}, c=at), {"step": at}, {"c": at})
        _ids.append(config["configurable"]["checkpoint_id"])
    return config


@pytest.mark.parametrize("name", CALLS)
async def test_what_a_method_sends(saver: Any, recorder: Recorder, name: str) -> None:
    call, sent = CALLS[name]
    ours = saver()
    config = await _begin(ours)
    await call(ours, config)  # the server knows the scripts from now on, and `other` has been renewed
    await ours.adelete_thread("t")
    config = await _begin(ours)
    recorder.clear()
    await call(ours, config)
    assert recorder.writes == sent


def test_the_page_says_what_is_sent() -> None:
    rows = DOCS["integrations"].table("method of a checkpointer")
    said = {name.replace("`", ""): ([*code_words(commands)], int(trips)) for name, commands, trips in rows}
    assert said == {name: ([one for each in sent for one in each], len(sent)) for name, (_, sent) in CALLS.items()}
