"""The same test file runs under every async plugin and under none, in memory and on a server, without a warning."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.long

pytest_plugins = ["pytester"]

SYNC = """
import asyncio
import pytest

async def use(ns):
    await asyncio.gather(*(ns.hincrby("basket", f"item-{number}") for number in range(5)))

    async def double(snap, ops):
        ops.hset("basket", "total", str(2 * await snap.hlen("basket")))

    await ns.with_cas("basket", double)

def test_sync(namespace):
    assert namespace.slots() == []
    namespace.set("step", "address")
    assert namespace.get("step") == "address"

def test_loops_one_after_the_other(namespace, async_namespace):
    assert namespace.slots() == []
    asyncio.run(use(async_namespace))
    asyncio.run(use(async_namespace))
    assert namespace.hget("basket", "total") == "12"
    assert namespace.hlen("basket") == 6
"""
ASYNC = """
{mark}
async def test_async(namespace, async_namespace):
    assert await async_namespace.slots() == []
    await use(async_namespace)
    assert namespace.hget("basket", "total") == "10"

{mark}
async def test_async_only(async_namespace):
    assert await async_namespace.slots() == []
    await use(async_namespace)
"""
WIDE = """
import pytest

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(4))
async def test_in_one_loop(number, namespace, async_namespace, async_session_store_client):
    assert namespace.slots() == []
    await async_namespace.incr("id")
    named = [each for each in await async_session_store_client.client_list() if each["name"] == "counted"]
    assert len(named) == 2  # the sync client's, and that of the async one: those of earlier tests are closed
"""


@pytest.fixture(params=["memory", "server"])
def place(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options that choose where the tests run."""
    if request.param == "memory":
        return ()
    return ("--session-store-url", request.getfixturevalue("server").url)


def test_under_an_async_plugin(run: Any, setting: Any, place: tuple[str, ...]) -> None:
    """Sync tests, async tests and tests with loops of their own pass, whichever plugin runs the async ones."""
    result = run(SYNC + ASYNC.format(mark=setting.mark), *place, plugins=setting.plugins)
    result.assert_outcomes(passed=4)
    assert result.ret == 0


def test_without_an_async_plugin(run: Any, place: tuple[str, ...]) -> None:
    """Neither pytest-asyncio nor anyio is needed to have the fixtures, the async ones included."""
    result = run(SYNC, *place)
    result.assert_outcomes(passed=2)
    assert result.ret == 0


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_loop_for_the_whole_module(mode: str, run: Any, server: Any, watcher: Any) -> None:
    """A loop that outlives its tests keeps neither their connections nor their keys."""
    before = set(watcher.keys())
    result = run(
        *(WIDE, "--session-store-url", f"{server.url}?client_name=counted", "-o", f"asyncio_mode={mode}"),
        plugins=("-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function"),
    )
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    assert set(watcher.keys()) - before == set()  # of what other tests have left there, some may have expired
