"""One async client for every event loop of a test: who uses which connection, and who closes it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from session_store.testing import loops
from session_store.testing.places import on_server

PATIENCE = 10  # seconds


@pytest.fixture
def url(server: Any, prefix: str) -> str:
    """A server whose connections have a name of this test's."""
    return f"{server.url}?client_name={prefix}"


@pytest.fixture
def count(watcher: Any, prefix: str) -> Callable[[int], bool]:
    """A function that waits until the server has so many connections of that name."""

    def count(number: int) -> bool:
        deadline = time.monotonic() + PATIENCE
        while (found := sum(each["name"] == prefix for each in watcher.client_list())) != number:
            if time.monotonic() > deadline:
                raise AssertionError(f"{found} connections, and not {number}")
            time.sleep(0.005)
        return True

    return count


@contextmanager
def loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs for as long as it is wanted, and ends as asyncio.run does."""
    begun: list[asyncio.AbstractEventLoop] = []
    ready, enough = threading.Event(), asyncio.Event()

    async def main() -> None:
        begun.append(asyncio.get_running_loop())
        ready.set()
        await enough.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield begun[0]
    finally:
        begun[0].call_soon_threadsafe(enough.set)
        thread.join(PATIENCE)


def shares(place: Any) -> list[Any]:
    """What each loop has; for as long as a test keeps it, no collection of garbage closes anything by chance."""
    return list(place.async_client.connection_pool._shares.values())


def test_asyncio_run_closes_what_it_used(url: str, count: Any) -> None:
    """The end of a loop is the end of its connections, and not the end of the test."""

    async def use(pool: Any) -> None:
        taken = [await pool.get_connection() for _ in range(3)]
        count(3)
        for each in taken[1:]:
            await pool.release(each)

    with on_server(url) as place:
        asyncio.run(use(place.async_client.connection_pool))
        count(0)
        asyncio.run(use(place.async_client.connection_pool))
        count(0)


def test_loops_side_by_side_have_connections_of_their_own(url: str, count: Any) -> None:
    """A loop in another thread, as an ASGI test client has, uses the same client at the same time."""
    with on_server(url) as place, loop_in_a_thread() as there:

        async def here() -> list[int]:
            ids = []
            for _ in range(3):
                ids.append(await place.async_client.client_id())
                other = asyncio.run_coroutine_threadsafe(place.async_client.client_id(), there)
                ids.append(await asyncio.wrap_future(other))
            return ids

        ids = asyncio.run(here())
        assert len(set(ids[::2])) == len(set(ids[1::2])) == 1  # each goes on with the one that it has opened
        assert ids[0] != ids[1]
        count(1)


def test_a_connection_that_waits_is_closed_with_its_loop(url: str, count: Any, watcher: Any, prefix: str) -> None:
    """A task that the end of the loop cancels leaves nothing behind either."""

    async def leave_behind(client: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(client.blpop(f"{prefix}:never", timeout=60))
        while (prefix, "blpop") not in {(each["name"], each["cmd"]) for each in watcher.client_list()}:
            await client.ping()
        count(2)
        return task

    with on_server(url) as place:
        assert asyncio.run(leave_behind(place.async_client)).cancelled()
        count(0)


def test_a_loop_that_rests_is_borrowed(url: str, count: Any) -> None:
    """Connections of a loop that goes on after the test are closed with the test, and the loop can go on."""
    loop = asyncio.new_event_loop()
    with on_server(url) as place:
        loop.run_until_complete(place.async_client.ping())
        count(1)
    count(0)
    assert loop.run_until_complete(asyncio.sleep(0, "goes on")) == "goes on"
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_a_loop_goes_on_after_its_generators_were_closed(url: str, count: Any) -> None:
    """What is opened then is closed with the test."""
    loop = asyncio.new_event_loop()
    with on_server(url) as place:
        loop.run_until_complete(place.async_client.ping())
        loop.run_until_complete(loop.shutdown_asyncgens())
        count(0)
        loop.run_until_complete(place.async_client.ping())
        count(1)
    count(0)
    loop.close()


async def test_the_loop_that_runs_the_end_of_the_test(url: str, count: Any) -> None:
    """It closes the connections as soon as it goes on."""
    with on_server(url) as place:
        await place.async_client.ping()
        kept = shares(place)
        count(1)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=PATIENCE)
    count(0)
    assert kept


def test_a_loop_in_another_thread(url: str, count: Any) -> None:
    """It is asked to close them, and is waited for."""
    with loop_in_a_thread() as there:
        with on_server(url) as place:
            asyncio.run_coroutine_threadsafe(place.async_client.ping(), there).result(PATIENCE)
            kept = shares(place)
            count(1)
        count(0)
        assert kept


def test_a_loop_in_another_thread_that_is_busy(url: str, count: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test does not wait for it without end; the connections are closed when it has time."""
    monkeypatch.setattr(loops, "_PATIENCE", 0.05)
    free = threading.Event()
    with loop_in_a_thread() as there:
        with on_server(url) as place:
            asyncio.run_coroutine_threadsafe(place.async_client.ping(), there).result(PATIENCE)
            there.call_soon_threadsafe(free.wait, PATIENCE)
        count(1)
        free.set()
        count(0)


def test_a_loop_that_was_dropped(url: str, count: Any) -> None:
    """A loop that was closed without its generators takes no more orders; its sockets are closed, without a warning."""
    with on_server(url) as place:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(place.async_client.ping())
        loop.close()
        count(1)
    count(0)


def test_outside_of_loops_it_knows_its_settings(url: str, prefix: str) -> None:
    """What redis-py asks of a pool without sending anything needs no loop."""
    with on_server(url) as place:
        assert place.async_client.get_connection_kwargs()["client_name"] == prefix
        assert place.async_client.pipeline() is not None
