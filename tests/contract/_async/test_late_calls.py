"""Calls that arrive late, or from a copy of this process: each is applied once, or not at all."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from session_store import AsyncNamespace, CommitUnknownError, NamespacePurgedError, WrongTypeError
from session_store._async.cas import AsyncCommit
from session_store._core import tokens


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> tokens.Writer:
    """The one writer that all calls go through."""
    writer = tokens.Writer()
    monkeypatch.setattr(tokens, "_idle", [writer])
    return writer


async def resend(raw: Any, write: list[list[bytes]]) -> Any:
    """Sends recorded commands once more, as a network does that held them back."""
    return [await raw.execute_command(*command) for command in write]


async def test_a_call_that_arrives_again_is_answered_again(ns: AsyncNamespace, raw: Any, recorder: Any) -> None:
    """As a client does that lost the reply: one effect, one answer."""
    await ns.incr("warm")
    calls = {
        "incr": (lambda: ns.incr("id"), 1),
        "hincrby": (lambda: ns.hincrby("h", "n", 5), 5),
        "hset": (lambda: ns.hset("h", mapping={"a": "1", "b": "2"}), 2),
        "nx": (lambda: ns.set("s", "1", nx=True), 1),
        "hdel": (lambda: ns.hdel("h", "a"), 1),
        "delete": (lambda: ns.delete("s"), 1),
    }
    for call, answer in calls.values():
        recorder.clear()
        assert await call() == answer
        (write,) = recorder.commands
        assert await resend(raw, write) == [b"%d" % answer]
    assert await ns.get("id") == "1"
    assert await ns.hgetall("h") == {"n": "5", "b": "2"}


async def test_a_call_that_arrives_after_its_writer_went_on_is_refused(
    ns: AsyncNamespace, raw: Any, recorder: Any, writer: tokens.Writer
) -> None:
    """However many calls later, and whatever it was."""
    await ns.incr("id")
    recorder.clear()
    await ns.incr("id")
    await ns.hset("h", "a", "1")
    late = [command for write in recorder.commands for command in write]
    await ns.hset("h", "a", "2")
    for _ in range(20):
        await ns.incr("other")
    assert await resend(raw, late) == [[4], [4]]
    assert (await ns.get("id"), await ns.hget("h", "a")) == ("2", "2")
    assert tokens._idle == [writer]


async def test_a_commit_that_arrives_after_its_writer_went_on_is_refused(
    ns: AsyncNamespace, raw: Any, recorder: Any, writer: tokens.Writer
) -> None:
    """Also one that writes only slots that nobody watches, which no EXEC would stop."""

    async def add(snap: Any, ops: Any) -> None:
        ops.hset("log", str(await snap.exists("a")), "1")

    await ns.with_cas("a", add)
    recorder.clear()
    await ns.with_cas("a", add)
    late = recorder.commands[-1][1]
    assert late[0] == b"EVALSHA"
    await ns.delete("log")
    assert await resend(raw, [late]) == [[4]]
    assert await ns.exists("log") is False


async def test_a_refused_call_gives_its_writer_back(
    ns: AsyncNamespace, raw: Any, prefix: str, writer: tokens.Writer
) -> None:
    """It was answered. Else each error would leave one more record behind."""
    for _ in range(5):
        await ns.set("s", "1")
        with pytest.raises(WrongTypeError):
            await ns.hset("s", "f", "1")
    assert tokens._idle == [writer]
    fields = await raw.hkeys(f"{prefix}:u:~index")
    assert [field for field in fields if field.startswith(b"~")] == [b"~era", writer.field]
    await ns.purge(fence=1)
    with pytest.raises(NamespacePurgedError):
        await ns.set("s", "1")
    assert tokens._idle == [writer]


async def test_a_copy_of_the_process_loses_no_write(ns: AsyncNamespace, writer: tokens.Writer) -> None:
    """Two that were restored from one image have the same writers; nobody's call is taken for the other's."""
    await ns.incr("warm")
    image = copy.copy(writer)
    assert [await ns.incr("id") for _ in range(3)] == [1, 2, 3]
    tokens._idle[:] = [image]
    assert [await ns.incr("id") for _ in range(5)] == [4, 5, 6, 7, 8]
    assert image not in tokens._idle


async def test_a_commit_of_a_copy_is_made_as_another_writer(ns: AsyncNamespace, writer: tokens.Writer) -> None:
    """It is not an attempt."""
    image = copy.copy(writer)

    async def add(snap: Any, ops: Any) -> int:
        count = int(await snap.get("n") or 0) + 1
        ops.set("n", str(count))
        return count

    assert await ns.with_cas("n", add, max_retries=0) == 1
    tokens._idle[:] = [image]
    assert await ns.with_cas("n", add, max_retries=0) == 2
    assert await ns.get("n") == "2"
    assert image not in tokens._idle


async def test_a_commit_of_a_copy_whose_reply_was_lost_is_unknown(
    ns: AsyncNamespace, writer: tokens.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's calls may have taken the place of its record: that is said, and not guessed."""
    await ns.incr("warm")
    image = copy.copy(writer)
    await ns.incr("warm")
    tokens._idle[:] = [image]

    async def add(snap: Any, ops: Any) -> None:
        ops.set("n", "1")

    original = AsyncCommit.__init__

    def at_stake(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self._at_stake = True  # as after an attempt whose reply was lost

    monkeypatch.setattr(AsyncCommit, "__init__", at_stake)
    with pytest.raises(CommitUnknownError) as caught:
        await ns.with_cas("n", add)
    assert (caught.value.key, caught.value.attempts) == (ns.key("n"), 1)
    assert await ns.exists("n") is False


async def test_a_call_that_found_nothing_to_do_finds_nothing_later(
    ns: AsyncNamespace, raw: Any, recorder: Any, prefix: str
) -> None:
    """Its record expires by itself where there is no slot to keep the index for."""
    await ns.incr("warm")
    await ns.purge()
    recorder.clear()
    assert await ns.delete("s") is False
    (write,) = recorder.commands
    assert 0 < await raw.pttl(f"{prefix}:u:~index") <= 600_500
    assert await ns.slots() == []
    tokens._idle.clear()  # what follows comes from another process
    await ns.set("s", "1")
    assert await resend(raw, write) == [b"0"]
    assert await ns.get("s") == "1"
