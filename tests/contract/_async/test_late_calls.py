"""Calls that arrive late, or from a copy of this process: each is applied once, or not at all."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from session_store import AsyncNamespace, CommitUnknownError, NamespacePurgedError, WrongTypeError
from session_store._core import tokens
from session_store._core.attempts import Attempts


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> tokens._Identity:
    """Who this process is from now on."""
    identity = tokens._Identity()
    monkeypatch.setattr(tokens, "_identity", identity)
    return identity


def copied(identity: tokens._Identity) -> tokens._Identity:
    """As a process has it that was restored from an image of this one."""
    image = tokens._Identity()
    number = next(identity.numbers)
    image.name, image.numbers, identity.numbers = identity.name, count(number), count(number)
    return image


def become(identity: tokens._Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_identity", identity)


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
    ns: AsyncNamespace, raw: Any, recorder: Any, identity: tokens._Identity
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
    assert await resend(raw, late) == [[b"stale"], [b"stale"]]
    assert (await ns.get("id"), await ns.hget("h", "a")) == ("2", "2")
    assert tokens._identity is identity


async def test_a_commit_that_arrives_after_its_writer_went_on_is_refused(
    ns: AsyncNamespace, raw: Any, recorder: Any, identity: tokens._Identity
) -> None:
    """Also one that writes only slots that nobody watches, which no mark would stop."""

    async def add(snap: Any, ops: Any) -> None:
        ops.hset("log", str(await snap.exists("a")), "1")

    await ns.with_cas("a", add)
    recorder.clear()
    await ns.with_cas("a", add)
    ((late,),) = recorder.commands[-1:]
    await ns.delete("log")
    assert await resend(raw, [late]) == [[b"stale"]]
    assert await ns.exists("log") is False


async def test_a_refused_call_leaves_the_process_who_it_is(
    ns: AsyncNamespace, raw: Any, prefix: str, identity: tokens._Identity
) -> None:
    """It was answered. Else each error would leave one more record behind, until that is old."""
    for _ in range(5):
        await ns.set("s", "1")
        with pytest.raises(WrongTypeError):
            await ns.hset("s", "f", "1")
    assert tokens._identity is identity
    fields = await raw.hkeys(f"{prefix}:u:~index")
    assert [field for field in fields if field.startswith(b"~")] == [identity.name + b"0"]
    await ns.purge(fence=1)
    with pytest.raises(NamespacePurgedError):
        await ns.set("s", "1")
    assert tokens._identity is identity


async def test_a_copy_of_the_process_loses_no_write(
    ns: AsyncNamespace, identity: tokens._Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that were restored from one image are the same to the server; nobody's call is taken for the other's."""
    await ns.incr("warm")
    image = copied(identity)
    assert [await ns.incr("id") for _ in range(3)] == [1, 2, 3]
    become(image, monkeypatch)
    assert [await ns.incr("id") for _ in range(5)] == [4, 5, 6, 7, 8]
    assert tokens._identity.name != identity.name
    become(identity, monkeypatch)
    assert await ns.incr("id") == 9
    assert tokens._identity is identity


async def test_a_commit_of_a_copy_is_made_as_another_writer(
    ns: AsyncNamespace, identity: tokens._Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not an attempt."""
    image = copied(identity)

    async def add(snap: Any, ops: Any) -> int:
        count = int(await snap.get("n") or 0) + 1
        ops.set("n", str(count))
        return count

    assert await ns.with_cas("n", add, max_retries=0) == 1
    become(image, monkeypatch)
    assert await ns.with_cas("n", add, max_retries=0) == 2
    assert await ns.get("n") == "2"
    assert tokens._identity.name != identity.name


async def test_a_commit_of_a_copy_whose_reply_was_lost_is_unknown(
    ns: AsyncNamespace, identity: tokens._Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's calls may have taken the place of its record: that is said, and not guessed."""
    await ns.incr("warm")
    image = copied(identity)
    await ns.incr("warm")
    become(image, monkeypatch)

    async def add(snap: Any, ops: Any) -> None:
        ops.set("n", "1")

    original = Attempts.__init__

    def at_stake(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self._at_stake = True  # as after an attempt whose reply was lost

    monkeypatch.setattr(Attempts, "__init__", at_stake)
    with pytest.raises(CommitUnknownError) as caught:
        await ns.with_cas("n", add)
    assert (caught.value.key, caught.value.attempts) == (ns.key("n"), 1)
    assert await ns.exists("n") is False
    assert tokens._identity.name != identity.name


async def test_a_process_that_was_forked_behind_pythons_back_is_another(
    ns: AsyncNamespace, identity: tokens._Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program that runs none of Python's hooks: the id of the process tells."""
    assert await ns.incr("id") == 1
    assert tokens._identity is identity
    monkeypatch.setattr(tokens.os, "getpid", lambda: identity.pid + 1)
    assert await ns.incr("id") == 2
    assert tokens._identity.name != identity.name


async def test_a_call_that_found_nothing_to_do_finds_nothing_later(
    ns: AsyncNamespace, raw: Any, recorder: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record expires by itself where there is no slot to keep the index for."""
    await ns.incr("warm")
    await ns.purge()
    recorder.clear()
    assert await ns.delete("s") is False
    (write,) = recorder.commands
    assert 0 < await raw.pttl(f"{prefix}:u:~index") <= 600_500
    assert await ns.slots() == []
    become(tokens._Identity(), monkeypatch)  # what follows comes from another process
    await ns.set("s", "1")
    assert await resend(raw, write) == [b"0"]
    assert await ns.get("s") == "1"
