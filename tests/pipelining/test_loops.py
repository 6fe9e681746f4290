"""Pipelines and event loops: one for each, gone with it, and nothing to be heard of it at its end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest
import redis.asyncio
from support.servers import Server

from session_store import AsyncSessionStore
from session_store.testing.places import on_server

pytestmark = pytest.mark.long

PATIENCE = 20

BEGINNING = """
import asyncio, gc, sys
from contextlib import ExitStack
from session_store import AsyncSessionStore
from session_store.testing.places import on_server

stack = ExitStack()
client = stack.enter_context(on_server("redis://127.0.0.1:{port}")).async_client
store = AsyncSessionStore(client, prefix="{prefix}", default_ttl=60)
ns = store.namespace("n")

async def forever():
    while True:
        await ns.incr("ids")

async def tidy(number):
    try:
        await forever()
    finally:
        await ns.set(f"tidied{{number}}", "1")
        await ns.get("x")
        print("tidied", number)

async def tidied():
    print(sum(await asyncio.gather(*(ns.exists(f"tidied{{number}}") for number in range(20)))))

def pipelines():
    return [pipeline for pipelines in store._commands._pipelines.values() for pipeline in pipelines.values()]
"""

SCRIPTS = {
    "calls under way": """
        async def main():
            tasks = [asyncio.create_task(forever()) for _ in range(20)]
            while not any(pipeline._sender for pipeline in pipelines()):
                await asyncio.sleep(0)
            for _ in range({steps}):
                await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "tasks that tidy up": """
        async def main():
            tasks = [asyncio.create_task(tidy(number)) for number in range(20)]
            await ns.incr("ids")
            await ns.incr("ids")
            for _ in range({steps}):
                await asyncio.sleep(0)
        asyncio.run(main())
        asyncio.run(tidied())
    """,
    "an idle pipeline": """
        async def main():
            await asyncio.gather(*(ns.incr("ids") for _ in range(20)))
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        assert not asyncio.all_tasks(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """,
    "cancelled calls": """
        async def main():
            tasks = [asyncio.create_task(ns.incr("ids")) for number in range(20)]
            for _ in range({steps}):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        asyncio.run(main())
    """,
    "an error under way": """
        async def main():
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(forever())
                await ns.incr("ids")
                for _ in range({steps}):
                    await asyncio.sleep(0)
                raise ValueError
        try:
            asyncio.run(main())
        except* ValueError:
            pass
    """,
    "the end of a process": """
        async def main():
            tasks = [asyncio.create_task(forever()) for _ in range(20)]
            await ns.incr("ids")
            for _ in range({steps}):
                await asyncio.sleep(0)
            sys.exit()
        try:
            asyncio.run(main())
        except SystemExit:
            pass
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_loop_ends_without_a_warning(server: Server, prefix: str, name: str) -> None:
    """At many points of what is going on. Python says what it ignores, and of tasks that it destroys, on stderr."""
    if name == "an error under way" and sys.version_info < (3, 11):
        pytest.skip("TaskGroup came with Python 3.11")
    variants = [0] if "{steps}" not in SCRIPTS[name] else [0, 1, 3, 8]
    processes = []
    for steps in variants:
        source = BEGINNING.format(port=server.port, prefix=f"{prefix}-{steps}")
        source += textwrap.dedent(SCRIPTS[name]).replace("{steps}", str(steps))
        source += "stack.close()\ngc.collect()\nprint('end')\n"
        command = [sys.executable, "-W", "error", "-c", source]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        if len(processes) % 2 == 0:
            processes[-2].wait(PATIENCE)
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        lines = out.split("\n")
        assert lines[-2] == "end"
        if name == "tasks that tidy up":
            assert lines[-3] == "20"
            assert len(lines) == 20 + 3


async def use(store: Any, name: str) -> list[int]:
    ns = store.namespace(name)
    ids = store.namespace("ids")

    async def work(number: int) -> list[int]:
        given = []
        for turn in range(10):
            assert await ns.set(f"s{number}", f"{name} {number} {turn}")
            given.append(await ids.incr("n"))
            assert await ns.get(f"s{number}") == f"{name} {number} {turn}"
        return given

    found = await asyncio.gather(*(work(number) for number in range(20)))
    return [each for given in found for each in given]


def test_several_loops_in_several_threads_share_a_store(server: Server, prefix: str) -> None:
    """Each has a pipeline and connections of its own; ids are still given once."""
    given: list[int] = []
    seen: list[Any] = []
    meet = threading.Barrier(4, timeout=PATIENCE)

    with on_server(server.url) as place:
        store = AsyncSessionStore(place.async_client, prefix=prefix, default_ttl=60)

        async def main() -> None:
            meet.wait()
            given.extend(await use(store, f"t{threading.get_ident()}"))
            seen.append(store._commands._pipelines[asyncio.get_running_loop()][""])
            meet.wait()

        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(given) == list(range(1, 801))
        assert len(set(map(id, seen))) == 4


def test_loops_one_after_the_other(server: Server, prefix: str) -> None:
    with on_server(server.url) as place:
        store = AsyncSessionStore(place.async_client, prefix=prefix, default_ttl=60)
        given = [number for _ in range(3) for number in asyncio.run(use(store, "n"))]
    assert sorted(given) == list(range(1, 601))


def test_a_pipeline_is_gone_with_its_loop(server: Server, prefix: str) -> None:
    """Nothing of the store keeps the loop, once the client has let go of it."""
    client = redis.asyncio.Redis(port=server.port)
    store = AsyncSessionStore(client, prefix=prefix, default_ttl=60)
    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use(store, "n"))
        pipelines = store._commands._pipelines
        assert list(pipelines) == [loop]
        loop.run_until_complete(client.aclose())
        loop.close()
        client.connection_pool.reset()
        seen = weakref.ref(loop)
        del loop
        gc.collect()
        assert seen() is None
        assert len(pipelines) == 0


def test_a_loop_that_goes_on_after_its_tasks_were_cancelled(server: Server, prefix: str) -> None:
    """As test plugins do with the loop of a module."""
    with on_server(server.url) as place:
        store = AsyncSessionStore(place.async_client, prefix=prefix, default_ttl=60)
        loop = asyncio.new_event_loop()
        for steps in range(12):
            tasks = [loop.create_task(use(store, f"n{steps}")) for _ in range(3)]
            loop.run_until_complete(_some(steps))
            while left := asyncio.all_tasks(loop):
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            assert all(task.cancelled() for task in tasks)
        loop.run_until_complete(asyncio.wait_for(use(store, "last"), PATIENCE))
        (pipeline,) = store._commands._pipelines[loop].values()
        assert not (pipeline._alone or pipeline._calls or pipeline._bytes or pipeline._waiting)
        loop.run_until_complete(place.async_client.connection_pool.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _some(steps: int) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
