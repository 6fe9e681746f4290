"""A process that dies at any moment, and replies that are lost."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langgraph.graph", reason="LangGraph is not installed here: make integrations")

import redis
import redis.asyncio
from integrations.langgraph.conftest import DAY, keys_of
from integrations.langgraph.graphs import Waiting, checkpoint, deltas, forked, listed, run, state, steps, thread
from support.backends import misplaced
from support.proxy import proxied

from session_store import BytesCodec, ReplicationError, SessionStore


def dying(client_class: type, left: list[int]) -> type:
    """A client whose process sends so many commands, and is dead then."""

    def take() -> None:
        if left[0] == 0:
            raise redis.ConnectionError("killed")
        left[0] -= 1

    if client_class is redis.Redis:

        class Dying(redis.Redis):
            def execute_command(self, *args: Any, **options: Any) -> Any:
                take()
                return super().execute_command(*args, **options)

        return Dying

    class AsyncDying(redis.asyncio.Redis):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            take()
            return await super().execute_command(*args, **options)

    return AsyncDying


@pytest.mark.parametrize("every", [None, 3], ids=["values", "deltas"])
async def test_killed_at_any_command(
    saver: Any, flavour: str, client: Any, port: int, prefix: str, every: int | None
) -> None:
    """[X3] Every key has a TTL, what can be read is whole, and another process goes on to the same end."""

    def graph(checkpointer: Any) -> Any:
        return deltas(checkpointer, every, "ab") if every else steps(checkpointer, "ab")

    kind = dying(redis.Redis if flavour == "sync" else redis.asyncio.Redis, left := [0])
    killed = at = 0
    while killed == at:
        name, at = f"t{at}", at + 1
        left[0] = at
        own = kind(port=port, retry=None)
        try:
            await run(graph(saver(own)), flavour, {"log": ["in"]}, thread(name), durability="sync")
        except Exception:
            killed += 1
        assert list(misplaced(keys_of(client, prefix))) == []
        again = graph(saver())
        seen = (await state(again, flavour, thread(name))).values
        assert seen.get("log", []) == ["in", "a", "b"][: len(seen.get("log", []))]
        if not every:
            logs = [each.checkpoint["channel_values"].get("log", []) for each in await listed(saver(), thread(name))]
            assert logs == [["in", "a", "b"][: len(log)] for log in logs]
        rest = await run(again, flavour, None if seen else {"log": ["in"]}, thread(name))
        assert rest["log"] == ["in", "a", "b"], at
    assert killed > 10


async def test_killed_between_a_checkpoint_and_its_writes(
    saver: Any, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[X3] The task whose writes were lost runs again; the one whose writes were stored does not."""
    ran: list[str] = []
    killed: list[bool] = []

    def put_by(method: Any) -> Any:
        def put(config: Any, given: Any, *rest: Any) -> Any:
            if "c" in ran or ("log", ["b"]) in [*given]:
                killed.append(True)
            if killed:
                raise redis.ConnectionError("killed")
            return method(config, given, *rest)

        return put

    broken = saver()
    for name in ("put", "put_writes") if flavour == "sync" else ("aput", "aput_writes"):
        monkeypatch.setattr(broken, name, put_by(getattr(broken, name)))
    with pytest.raises(redis.ConnectionError):
        await run(forked(broken, ran), flavour, {"log": []}, thread("t"), durability="sync")
    assert killed and sorted(ran[:2]) == ["a", "b"]
    ran.clear()
    found = await run(forked(saver(), ran), flavour, None, thread("t"))
    assert (found["log"], ran) == (["a", "b", "c"], ["b", "c"])


async def test_a_put_whose_reply_was_lost_is_done_once(saver: Any, client: Any, port: int, prefix: str) -> None:
    """When it is sent again, another process has gone on already: the thread is not taken back."""
    with proxied(port) as proxy:
        ours = saver(to=proxy.port)
        base = await ours.aput(thread("t"), checkpoint({"c": 1}, c=1), {}, {"c": 1})
        mine = checkpoint({"c": 2}, c=2)
        after = checkpoint({"c": 3}, c=3)
        others = Waiting(SessionStore(client, prefix=prefix, default_ttl=DAY, codec=BytesCodec()))
        proxy.lose_reply("COMMIT", then=lambda: others.put(thread("t", mine["id"]), after, {}, {"c": 3}))
        await ours.aput(base, mine, {}, {"c": 2})
        found = [each.checkpoint["channel_values"]["c"] for each in await listed(ours, thread("t"))]
        assert found == [3, 2, 1]
        assert (await ours.aget_tuple(thread("t"))).checkpoint["id"] == after["id"]


async def test_writes_whose_reply_was_lost_are_there_once(saver: Any, client: Any, port: int, prefix: str) -> None:
    with proxied(port) as proxy:
        ours = saver(to=proxy.port)
        config = await ours.aput(thread("t"), checkpoint(), {}, {})
        proxy.lose_reply("COMMIT")
        await ours.aput_writes(config, [("c", 1)], "task")
        assert len((await ours.aget_tuple(config)).pending_writes) == 1
        (writes,) = (key for key in keys_of(client, prefix) if b":writes." in key)
        assert client.hlen(writes) == 2


async def test_a_reader_that_is_overtaken_by_a_deletion_sees_none_or_all(
    saver: Any, client: Any, port: int, prefix: str
) -> None:
    """Between its two steps the thread is deleted: it has none, and no checkpoint with empty channels."""
    others = Waiting(SessionStore(client, prefix=prefix, default_ttl=DAY, codec=BytesCodec()))
    with proxied(port) as proxy:
        ours = saver(to=proxy.port)
        await ours.aput(thread("t"), checkpoint({"c": 1}, c=1), {}, {"c": 1})
        await ours.aget_tuple(thread("t"))
        proxy.drop("LOAD", then=lambda: others.delete_thread("t"))
        assert await ours.aget_tuple(thread("t")) is None
        await ours.aput(thread("t"), checkpoint({"c": 1}, c=1), {}, {"c": 1})
        old = await ours.aget_tuple(thread("t"))
        await ours.aput(old.config, checkpoint({"c": 2}, c=2), {}, {"c": 2})
        proxy.drop("LOAD", then=lambda: others.prune(["t"]))
        assert await ours.aget_tuple(old.config) is None


async def test_a_branch_that_is_overtaken_by_pruning_is_whole(saver: Any, client: Any, port: int, prefix: str) -> None:
    """What it shares with the checkpoint that it branched from goes with that one; so it brings all of its values."""
    others = Waiting(SessionStore(client, prefix=prefix, default_ttl=DAY, codec=BytesCodec()))
    with proxied(port) as proxy:
        ours = saver(to=proxy.port)
        base = await ours.aput(thread("t"), checkpoint({"a": 1, "b": 1}, a="a", b="b"), {}, {"a": 1, "b": 1})
        await ours.aput(base, checkpoint({"a": 2, "b": 2}, a="a2", b="b2"), {}, {"a": 2, "b": 2})
        proxy.drop("COMMIT", then=lambda: others.prune(["t"]))
        branch = await ours.aput(base, checkpoint({"a": 3, "b": 1}, a="a3", b="b"), {}, {"a": 3})
        assert (await ours.aget_tuple(branch)).checkpoint["channel_values"] == {"a": "a3", "b": "b"}


async def test_what_too_few_replicas_have_is_not_acknowledged(saver: Any) -> None:
    """Neither a checkpoint nor writes."""
    ours = saver(min_replicas=1)
    stored = checkpoint()
    with pytest.raises(ReplicationError):
        await ours.aput(thread("t"), stored, {}, {})
    with pytest.raises(ReplicationError):
        await ours.aput_writes(thread("t", stored["id"]), [("c", 1)], "task")
