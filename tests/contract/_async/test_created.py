"""Namespaces that are created: they end for certain, and handles for an existing one write to no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from session_store import AsyncNamespace, AsyncSessionStore, NamespacePurgedError

Write = Callable[[AsyncNamespace], Awaitable[Any]]


def recording(record: Callable[[Any], object]) -> Any:
    """A closure, of `batch` or of `with_cas`."""

    async def fn(*args: Any) -> None:
        record(args[-1])

    return fn


WRITES: dict[str, Write] = {
    "set": lambda ns: ns.set("s", "1"),
    "set, its own ttl": lambda ns: ns.set("s", "1", ttl=10_000),
    "set, keepttl": lambda ns: ns.set("s", "1", ttl=10_000, keepttl=True),
    "hset": lambda ns: ns.hset("h", "f", "1"),
    "hincrby": lambda ns: ns.hincrby("h", "f"),
    "incr": lambda ns: ns.incr("n"),
    "incr, a window": lambda ns: ns.incr("n", ttl=10_000, keepttl=True),
    "batch": lambda ns: ns.batch(recording(lambda ops: ops.set("s", "1"))),
    "with_cas": lambda ns: ns.with_cas("s", recording(lambda ops: ops.hset("h", "f", "1", ttl=timedelta(days=1)))),
}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@pytest.fixture
def existing(store: AsyncSessionStore) -> AsyncNamespace:
    """A handle for the same namespace, if it was created and lives."""
    return store.namespace("u", existing=True)


async def lengths(ns: AsyncNamespace) -> list[int]:
    """In what steps of 100 seconds the slots end, from the first to the last."""
    return sorted({round((await ns.ttl(slot) or 0) / 100) * 100 for slot in await ns.slots()})


@every_write
async def test_no_ttl_goes_beyond_the_lifetime(ns: AsyncNamespace, pass_time: Any, write: Write) -> None:
    """Whatever a write asks for, and however often it is asked for; a shorter one is what it was."""
    assert await ns.create(lifetime=timedelta(seconds=500)) is True
    await ns.set("short", "1", ttl=100)
    await write(ns)
    assert await lengths(ns) == [100, 500]
    await pass_time(398)
    await write(ns)
    assert await ns.touch() == len(await ns.slots())
    assert await ns.touch(*await ns.slots(), ttl=5_000)
    assert await lengths(ns) == [100]
    await pass_time(103)
    assert await ns.slots() == []


async def test_a_namespace_that_lives_is_not_created(ns: AsyncNamespace, raw: Any, pass_time: Any) -> None:
    """By whatever it lives; and nothing about it is changed. When all of it is over it is, although its index is there."""
    await ns.set("s", "1", ttl=100)
    assert await ns.create(lifetime=50) is False
    assert await ns.ttl("s") == pytest.approx(100, abs=5)
    await pass_time(103)
    assert await raw.exists(ns.key("x")[:-1] + "~index") == 1
    assert await ns.create(lifetime=300) is True
    assert await ns.create(lifetime=900) is False
    await ns.incr("n", ttl=900)
    assert await ns.ttl("n") == pytest.approx(300, abs=5)
    await ns.purge()
    await ns.incr("n", ttl=900)
    await ns.set("s", "1", ttl=900)
    await raw.delete(ns.key("n"), ns.key("s"))
    assert await ns.create(lifetime=50) is False  # ids of its counter are remembered
    await ns.purge()
    assert await ns.create(lifetime=50) is True


@pytest.mark.parametrize("lifetime", [300, 3_000])
async def test_what_was_created_and_never_written_to_lives_for_the_default(
    ns: AsyncNamespace, existing: AsyncNamespace, pass_time: Any, lifetime: int
) -> None:
    """Or for its lifetime, where that is shorter. What is written later makes it live on."""
    assert await ns.create(lifetime=lifetime) is True
    await pass_time(min(lifetime, 1_000) - 10)
    assert await existing.set("s", "1") is True
    await pass_time(200)
    assert await ns.slots() == (["s"] if lifetime > 1_000 else [])
    await pass_time(1_001)
    with pytest.raises(NamespacePurgedError):
        await existing.set("s", "1")


@every_write
async def test_a_handle_for_an_existing_namespace_writes_to_no_other(
    ns: AsyncNamespace, existing: AsyncNamespace, raw: Any, prefix: str, pass_time: Any, write: Write
) -> None:
    """Not to one that was never created, was purged, with a fence that is over as well, or has ended."""

    async def is_refused() -> None:
        with pytest.raises(NamespacePurgedError, match="existing") as caught:
            await write(existing)
        assert caught.value.namespace == "u"

    await is_refused()
    assert [key async for key in raw.scan_iter(match=f"{prefix}:*")] == []
    assert await existing.create(lifetime=500) is True
    await write(existing)
    await ns.purge()
    await is_refused()
    await ns.purge(fence=60)
    await is_refused()
    with pytest.raises(NamespacePurgedError):
        await existing.create(lifetime=500)
    await pass_time(61)
    await is_refused()
    assert await existing.create(lifetime=500) is True
    await write(existing)
    await pass_time(501)
    await is_refused()
    await write(ns)  # another handle begins a new one, which has no lifetime
    await is_refused()
    assert (await lengths(ns))[-1] > 900


async def test_a_closure_for_a_namespace_that_is_none_does_not_run(existing: AsyncNamespace) -> None:
    async def fn(snap: Any, ops: Any) -> None:
        pytest.fail("it ran")

    with pytest.raises(NamespacePurgedError):
        await existing.with_cas("s", fn)


async def test_a_commit_to_a_namespace_that_has_ended_meanwhile_is_refused(
    ns: AsyncNamespace, existing: AsyncNamespace
) -> None:
    """What it watches is what it was: nothing."""

    async def fn(snap: Any, ops: Any) -> None:
        await ns.purge()
        ops.set("t", "1")

    await ns.create(lifetime=500)
    with pytest.raises(NamespacePurgedError):
        await existing.with_cas("s", fn)
    assert await ns.slots() == []


@pytest.mark.parametrize("fence", [None, 60], ids=["purged", "fenced"])
async def test_a_closure_that_only_reads_is_refused_as_well(
    ns: AsyncNamespace, existing: AsyncNamespace, fence: float | None
) -> None:
    """It has seen what was there before the end, and nothing tells it so but the refusal."""

    async def fn(snap: Any, ops: Any) -> bool:
        await ns.purge(fence=fence)
        return await snap.exists("s")

    await ns.create(lifetime=500)
    with pytest.raises(NamespacePurgedError):
        await (ns if fence else existing).with_cas("s", fn)


async def test_reads_of_a_namespace_that_is_none_find_nothing(existing: AsyncNamespace) -> None:
    assert (await existing.get("s"), await existing.load(), await existing.slots()) == (None, {}, [])
    assert (await existing.touch(), await existing.purge()) == (0, 0)


async def test_an_end_that_the_index_has_outlived_counts(
    ns: AsyncNamespace, existing: AsyncNamespace, raw: Any
) -> None:
    """As it may where a fence was raised, or the clock was set: it is over, and the next write takes it out."""
    index = ns.key("x")[:-1] + "~index"
    await ns.create(lifetime=500)
    await raw.hset(index, "~until", f"{((await raw.time())[0] - 1) * 1000}")
    with pytest.raises(NamespacePurgedError):
        await existing.set("s", "1")
    await ns.set("s", "1")
    assert await ns.ttl("s") == pytest.approx(1000, abs=5)
    assert await raw.hexists(index, "~until") == 0
