"""What a checkpointer keeps of a thread, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.base", reason="LangGraph is not installed here: make integrations")

from integrations.langgraph.conftest import DAY, keys_of
from integrations.langgraph.graphs import checkpoint, listed, run, state, steps, thread
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.types import INTERRUPT

from session_store import (
    InvalidNameError,
    NamespacePurgedError,
    SessionStore,
    SessionStoreError,
)

STRANGE = ["", "a", "a:b", "{x}", "*", "~a", "~index", " ", "line\nbreak", "\u00e9", "e\u0301", "x" * 5000, "\0"]


async def test_strange_thread_ids_are_threads_of_their_own(saver: Any) -> None:
    ours = saver()
    for name in STRANGE:
        await ours.aput(thread(name), checkpoint({"who": "1"}, who=name), {"step": 1}, {"who": "1"})
    for name in STRANGE:
        (found,) = await listed(ours, thread(name))
        assert found.checkpoint["channel_values"] == {"who": name}
        assert found.config["configurable"]["thread_id"] == name
    everyone = [each.config["configurable"]["thread_id"] for each in await listed(ours, None)]
    assert sorted(everyone) == sorted(STRANGE)
    await ours.adelete_thread("a")
    assert len(await listed(ours, None)) == len(STRANGE) - 1


async def test_no_thread_is_a_namespace_of_others(saver: Any, client: Any, prefix: str) -> None:
    """A thread id comes from outside: deleting one named like a session must not end that session."""
    session = SessionStore(client, prefix=prefix, default_ttl=DAY).namespace("user-42")
    session.set("checkpoints", "mine")
    ours = saver()
    await ours.aput(thread("user-42"), checkpoint(), {}, {})
    await ours.adelete_thread("user-42")
    assert session.get("checkpoints") == "mine"


async def test_a_thread_id_that_has_no_bytes_is_refused(saver: Any) -> None:
    with pytest.raises(InvalidNameError):
        await saver().aget_tuple(thread("\ud800"))


async def test_checkpoint_namespaces_and_channels_do_not_mix(saver: Any) -> None:
    """Their names are any text as well."""
    ours = saver()
    for ns, channel in [("a", "b|c"), ("a|b", "c"), ('a", "b', "c"), ("", "a")]:
        await ours.aput(thread("t", None, ns), checkpoint({channel: 1}, **{channel: ns}), {}, {channel: 1})
    for ns, channel in [("a", "b|c"), ("a|b", "c"), ('a", "b', "c"), ("", "a")]:
        found = await ours.aget_tuple(thread("t", None, ns))
        assert found.checkpoint["channel_values"] == {channel: ns}


async def test_writes_come_in_the_order_of_a_run(saver: Any) -> None:
    """By the path of their task, then its id, then their number; not by when they came."""
    ours = saver()
    config = await ours.aput(thread("t"), checkpoint(), {}, {})
    await ours.aput_writes(config, [("c", 4), ("c", 5)], "task-1", "~b")
    await ours.aput_writes(config, [("c", 3)], "task-9", "~a")
    await ours.aput_writes(config, [("c", number) for number in range(12)], "task-0", "")
    found = await ours.aget_tuple(config)
    assert [value for _, _, value in found.pending_writes] == [*range(12), 3, 4, 5]


async def test_of_two_calls_of_a_task_the_first_one_counts(saver: Any) -> None:
    """Whoever went on from it has used those. A longer list adds what is new; errors and the like are replaced."""
    ours, theirs = saver(), saver()
    config = await ours.aput(thread("t"), checkpoint(), {}, {})
    await ours.aput_writes(config, [("c", "first"), (INTERRUPT, 1)], "task")
    await theirs.aput_writes(config, [("c", "second"), (INTERRUPT, 2), ("c", "third")], "task")
    found = await saver().aget_tuple(config)
    assert WRITES_IDX_MAP[INTERRUPT] < 0
    assert [write[1:] for write in found.pending_writes] == [(INTERRUPT, 2), ("c", "first"), ("c", "third")]


async def test_writes_of_many_at_once_are_all_there(saver: Any) -> None:
    """Parallel tasks of a step, and one task that two workers have run: whole, of either."""
    savers = [saver() for _ in range(8)]
    config = await savers[0].aput(thread("t"), checkpoint(), {}, {})
    await asyncio.gather(
        *(each.aput_writes(config, [("c", [at, "x"]), ("c", [at, "y"])], "same") for at, each in enumerate(savers)),
        *(each.aput_writes(config, [("c", at)], f"task-{at}") for at, each in enumerate(savers)),
    )
    writes = (await savers[0].aget_tuple(config)).pending_writes
    same = [value for task, _, value in writes if task == "same"]
    assert [letter for _, letter in same] == ["x", "y"] and same[0][0] == same[1][0]
    assert [value for task, _, value in writes if task != "same"] == list(range(8))


async def test_writes_may_come_before_their_checkpoint(saver: Any) -> None:
    """LangGraph sends both at once."""
    ours = saver()
    coming = checkpoint()
    await ours.aput_writes(thread("t", coming["id"]), [("c", 1)], "task")
    assert await ours.aget_tuple(thread("t")) is None
    await ours.aput(thread("t"), coming, {}, {})
    assert [value for _, _, value in (await ours.aget_tuple(thread("t"))).pending_writes] == [1]


async def test_a_put_that_comes_late_does_not_take_the_thread_back(saver: Any) -> None:
    ours = saver()
    base = await ours.aput(thread("t"), checkpoint({"c": 1}, c="base"), {}, {"c": 1})
    slow = checkpoint({"c": 2}, c="slow")
    then = await ours.aput(base, checkpoint({"c": 3}, c="then"), {}, {"c": 3})
    last = await ours.aput(then, checkpoint({"c": 4}, c="last"), {}, {"c": 4})
    await ours.aput(base, slow, {}, {"c": 2})
    assert (await ours.aget_tuple(thread("t"))).checkpoint["id"] == last["configurable"]["checkpoint_id"]
    assert len(await listed(ours, thread("t"))) == 4


async def test_a_run_on_a_machine_whose_clock_is_behind_goes_on_all_the_same(saver: Any) -> None:
    """Ids are times of clients. What follows the tip is the tip, however old its id looks."""
    ours, older = saver(), checkpoint({"c": 2}, c="follows")
    base = await ours.aput(thread("t"), checkpoint({"c": 1}, c="base"), {}, {"c": 1})
    await ours.aput(base, older, {}, {"c": 2})
    assert (await ours.aget_tuple(thread("t"))).checkpoint["channel_values"] == {"c": "follows"}


@pytest.mark.parametrize("again", [False, True], ids=["gone", "begun again"])
async def test_a_run_cannot_go_on_with_a_thread_that_was_deleted(saver: Any, again: bool) -> None:
    """A put names channels that did not change; their values are gone. A new run may begin at once."""
    ours = saver()
    base = await ours.aput(thread("t"), checkpoint({"a": 1, "b": 1}, a="a", b="b"), {}, {"a": 1, "b": 1})
    await saver().adelete_thread("t")
    if again:
        await ours.aput(thread("t"), checkpoint({"a": 1}, a="new"), {}, {"a": 1})
    with pytest.raises(NamespacePurgedError):
        await ours.aput(base, checkpoint({"a": 2, "b": 1}, a="a2", b="b"), {}, {"a": 2})
    found = [each.checkpoint["channel_values"] for each in await listed(ours, thread("t"))]
    assert found == ([{"a": "new"}] if again else [])


async def test_a_branch_has_all_of_its_values(saver: Any) -> None:
    """Also those that its put does not name as new."""
    ours = saver()
    base = await ours.aput(thread("t"), checkpoint({"a": 1, "b": 1}, a="a", b="b"), {}, {"a": 1, "b": 1})
    await ours.aput(base, checkpoint({"a": 2, "b": 2}, a="a2", b="b2"), {}, {"a": 2, "b": 2})
    await ours.aput(base, checkpoint({"a": 3, "b": 1}, a="a3", b="b"), {}, {"a": 3})
    await ours.aprune(["t"])
    (found,) = await listed(ours, thread("t"))
    assert found.checkpoint["channel_values"] == {"a": "a3", "b": "b"}


async def test_a_checkpoint_that_lost_a_value_is_an_error_and_not_an_empty_channel(
    saver: Any, client: Any, prefix: str
) -> None:
    ours = saver()
    await ours.aput(thread("t"), checkpoint({"a": 1}, a="a"), {}, {"a": 1})
    (blob,) = (key for key in keys_of(client, prefix) if b":blob." in key)
    client.delete(blob)  # as eviction does
    with pytest.raises(SessionStoreError, match="evicted"):
        await ours.aget_tuple(thread("t"))
    SessionStore(client, prefix=prefix, default_ttl=DAY).namespace("langgraph.t").purge()


async def test_a_list_is_filtered_before_it_is_limited(saver: Any) -> None:
    ours, config = saver(), thread("t")
    for at in range(70):
        config = await ours.aput(config, checkpoint(), {"step": at, "source": "loop" if at % 2 else "input"}, {})
    found = await listed(ours, thread("t"), filter={"source": "input"}, limit=34, before=config)
    assert [each.metadata["step"] for each in found] == list(range(68, 0, -2))
    assert await listed(ours, thread("t"), limit=0) == []


async def test_deleting_runs_takes_the_thread_back_to_what_is_left(saver: Any) -> None:
    ours = saver()
    first = await ours.aput(thread("t"), checkpoint({"c": 1}, c="kept"), {"run_id": "r1"}, {"c": 1})
    await ours.aput(first, checkpoint({"c": 2}, c="gone"), {"run_id": "r2"}, {"c": 2})
    await ours.aput(thread("a:b"), checkpoint({"c": 2}, c="gone"), {"run_id": "r2"}, {"c": 2})
    await ours.adelete_for_runs(["r2"])
    assert (await ours.aget_tuple(thread("t"))).checkpoint["channel_values"] == {"c": "kept"}
    assert await listed(ours, thread("a:b")) == []
    assert await ours.aget_tuple(thread("a:b")) is None


async def test_pruning_leaves_nothing_that_nobody_names(saver: Any, client: Any, prefix: str, flavour: str) -> None:
    ours = saver()
    graph = steps(ours)
    for _ in range(3):
        await run(graph, flavour, {"log": ["in"]}, thread("t"))
    before = len(keys_of(client, prefix))
    await ours.aprune(["t"])
    assert (await state(graph, flavour, thread("t"))).values == {"log": ["in", *"abcd"] * 3}
    left = {key.rpartition(b":")[2].partition(b".")[0] for key in keys_of(client, prefix)}
    assert left == {b"~index", b"checkpoints", b"tip", b"blob", b"writes"}
    assert len(keys_of(client, prefix)) < before / 3
    with pytest.raises(ValueError, match="keep_latest"):
        await ours.aprune(["t"], strategy="newest")


@pytest.mark.parametrize("place", ["memory"])
async def test_all_of_a_thread_lives_for_as_long_as_it_is_used(saver: Any, client: Any, prefix: str) -> None:
    """A value that was written once, and writes of an early step, are there as long as the last checkpoint."""
    ours, now = saver(), [0.0]
    ours._renewals._clock = lambda: now[0]
    config = await ours.aput(thread("t"), checkpoint({"old": 1}, old="o"), {}, {"old": 1})
    first = config
    await ours.aput_writes(first, [("c", 1)], "task")
    for at in range(30):
        versions = {"old": 1, "c": at}
        config = await ours.aput(config, checkpoint(versions, old="o", c=at), {}, {"c": at})
        client.advance(DAY / 10)
        now[0] += DAY / 10
        assert (await ours.aget_tuple(config)).checkpoint["channel_values"] == {"old": "o", "c": at}
        assert len((await ours.aget_tuple(first)).pending_writes) == 1
    client.advance(DAY * 0.85)
    assert (await ours.aget_tuple(thread("t"))).checkpoint["channel_values"] == {"old": "o", "c": 29}
    client.advance(DAY * 0.65)
    assert keys_of(client, prefix) == {}


@pytest.mark.parametrize("place", ["memory"])
@pytest.mark.parametrize("puts", [1, 4, 7])
async def test_no_checkpoint_outlives_its_values(saver: Any, client: Any, puts: int) -> None:
    """Looked at while it ends: it is whole, or it is not there. A fifth of the TTL lies between two puts."""
    ours, now = saver(), [0.0]
    ours._renewals._clock = lambda: now[0]
    config = await ours.aput(thread("t"), checkpoint({"old": 1}, old="o"), {}, {"old": 1})
    for at in range(puts):
        client.advance(DAY / 5)
        now[0] += DAY / 5
        config = await ours.aput(config, checkpoint({"old": 1, "c": at}, old="o", c=at), {}, {"c": at})
    seen = []
    for _ in range(40):
        client.advance(DAY / 20)
        found = await ours.aget_tuple(thread("t"))
        seen.append(found and found.checkpoint["channel_values"])
    assert seen[18] == {"old": "o", "c": puts - 1}
    assert all(each in (None, {"old": "o", "c": puts - 1}) for each in seen)
    assert seen[-1] is None
