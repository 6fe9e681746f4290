"""The bus for servers of mcp: what one process publishes is heard in all [T31, T52]."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="mcp is not installed here: make integrations")

import anyio
import redis.asyncio
from mcp import Client
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.cancelling import cancel_everywhere, every_manner
from support.deployments import Cluster
from support.programs import listens, started, until
from support.proxy import PATIENCE, proxied
from support.servers import Server
from support.together import at_once

from session_store import AsyncInMemoryClient, InvalidNameError
from session_store.integrations import mcp
from session_store.integrations.mcp import RedisSubscriptionBus

TEA = ResourceUpdated("shop://tea")
EVENTS = [ToolsListChanged(), PromptsListChanged(), ResourcesListChanged(), TEA, ResourceUpdated('ü"\n{}\x00' * 1_000)]


@asynccontextmanager
async def bus_on(port: int, prefix: str, **settings: Any) -> AsyncIterator[RedisSubscriptionBus]:
    """An open bus, on a client of its own."""
    async with redis.asyncio.Redis(port=port, **settings) as client, RedisSubscriptionBus(client, prefix=prefix) as bus:
        yield bus


def heard_by(bus: SubscriptionBus) -> list[ServerEvent]:
    heard: list[ServerEvent] = []
    bus.subscribe(heard.append)
    return heard


async def comes(holds: Callable[[], object]) -> None:
    """Waits for what other tasks have to do."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def publish_until(heard: list[ServerEvent], bus: RedisSubscriptionBus) -> None:
    """Publishes again and again, as what is published while a connection is being made is not heard."""
    deadline = time.monotonic() + PATIENCE
    while not heard:
        assert time.monotonic() < deadline
        await bus.publish(TEA)
        await asyncio.sleep(0.01)


# Two processes.

SHOP = """
import os
from contextlib import asynccontextmanager

import redis.asyncio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from session_store.integrations.mcp import RedisSubscriptionBus

bus = RedisSubscriptionBus(redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]), prefix=os.environ["PREFIX"])


@asynccontextmanager
async def lifespan(server):
    async with bus:
        yield {}


server = MCPServer("shop", subscriptions=bus, lifespan=lifespan)


@server.tool()
async def sell(article: str, ctx: Context) -> str:
    await ctx.notify_resource_updated(f"shop://{article}")
    await ctx.notify_tools_changed()
    return "sold"


app = server.streamable_http_app()
"""


async def test_clients_of_two_servers(server: Server, prefix: str, tmp_path: Path) -> None:
    """A client that listens on one hears what a tool has published that was called on the other; and the reverse."""
    ports = []
    async with AsyncExitStack() as stack:
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "shop.py").write_text(SHOP)
            arguments = ["shop:app", "--port", "8000", "--host", "127.0.0.1"]
            port = stack.enter_context(started("uvicorn", arguments, folder, server, {"PREFIX": prefix}))
            await asyncio.to_thread(until, lambda port=port: listens(port), folder)
            ports.append(port)
        for listened, called in (ports, reversed(ports)):
            async with (
                Client(f"http://127.0.0.1:{listened}/mcp") as listener,
                Client(f"http://127.0.0.1:{called}/mcp") as caller,
                listener.listen(tools_list_changed=True, resource_subscriptions=["shop://tea"]) as changes,
            ):
                await caller.call_tool("sell", {"article": "cup"})  # for which nobody has asked
                await caller.call_tool("sell", {"article": "tea"})
                told: list[ServerEvent] = []
                while TEA not in told:
                    told.append(await asyncio.wait_for(anext(changes), PATIENCE))
                assert set(told) <= {TEA, ToolsListChanged()}


PROCESS = """
import asyncio, json, sys
import redis.asyncio
from mcp.server.subscriptions import *
from session_store.integrations.mcp import RedisSubscriptionBus

port, prefix, number = sys.argv[1:]

async def main():
    async with redis.asyncio.Redis(port=int(port)) as client, RedisSubscriptionBus(client, prefix=prefix) as bus:
        heard, ended = [], asyncio.Event()
        bus.subscribe(lambda event: heard.append(repr(event)))
        bus.subscribe(lambda event: ended.set() if event == ResourceUpdated(f"end of {1 - int(number)}") else None)
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(1_000):
            await bus.publish(ResourceUpdated(f"{number}: {n}"))
        for event in (ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()):
            await bus.publish(event)
        await bus.publish(ResourceUpdated(f"end of {number}"))
        await asyncio.wait_for(ended.wait(), 30)
        print(json.dumps(heard))

asyncio.run(main())
"""


def test_events_of_two_processes(server: Server, prefix: str) -> None:
    """Each hears its own and the other's: all, once, in their order."""
    first, second = at_once(PROCESS, server.port, prefix, processes=2)
    for number in (0, 1):
        sent = [repr(ResourceUpdated(f"{number}: {n}")) for n in range(1_000)]
        for heard in (first, second):
            assert [event for event in heard if f"'{number}: " in event] == sent
    for kind in (ToolsListChanged, PromptsListChanged, ResourcesListChanged):
        assert first.count(repr(kind())) == second.count(repr(kind())) == 2


FORKING = """
import asyncio, json, os, sys
import redis.asyncio
from mcp.server.subscriptions import *
from session_store.integrations.mcp import RedisSubscriptionBus

port, prefix, number = sys.argv[1:]
bus = RedisSubscriptionBus(redis.asyncio.Redis(port=int(port)), prefix=prefix)

async def listen():
    async with bus:
        heard = asyncio.Event()
        bus.subscribe(lambda event: heard.set())
        await asyncio.wait_for(heard.wait(), 30)

async def publish():
    async with bus:
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            await bus.publish(ToolsListChanged())
            await asyncio.sleep(0.01)
        print(json.dumps(ended[1]))

print("ready", flush=True)
sys.stdin.readline()
if child := os.fork():
    asyncio.run(publish())
else:
    asyncio.run(listen())
"""


def test_a_bus_from_before_a_fork(server: Server, prefix: str) -> None:
    """As servers with a preloaded application have it: the processes are not taken for one."""
    assert at_once(FORKING, server.port, prefix, processes=1) == [0]


# Listeners.

MESSAGE = '{"v":1,"from":"another","method":"notifications/tools/list_changed"}'


@pytest.mark.parametrize("settings", [{}, {"protocol": 2}, {"decode_responses": True}], ids=["3", "2", "decoded"])
async def test_every_event(server: Server, prefix: str, settings: dict[str, Any]) -> None:
    """Equal, and once for a listener, in the publisher's process and in another."""
    async with bus_on(server.port, prefix, **settings) as here, bus_on(server.port, prefix, **settings) as there:
        own, foreign = heard_by(here), heard_by(there)
        for event in EVENTS:
            await here.publish(event)
        assert own == EVENTS
        await comes(lambda: len(foreign) == len(EVENTS))
        await there.publish(TEA)
        await comes(lambda: own[len(EVENTS) :])
        assert own == foreign == [*EVENTS, TEA]


async def test_a_listener_that_raises(server: Server, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over, and stays; what it raised is logged without its text. Nor does it fail who publishes."""

    def fail(event: ServerEvent) -> None:
        raise ValueError(f"secret: {event}")

    def ask_a_cancelled_future(event: ServerEvent) -> None:
        raise asyncio.CancelledError

    async with bus_on(server.port, prefix) as here, bus_on(server.port, prefix) as there:
        for bus in (here, there):
            bus.subscribe(fail)
            bus.subscribe(ask_a_cancelled_future)
        own, foreign = heard_by(here), heard_by(there)
        for _ in range(2):
            await here.publish(TEA)
        await comes(lambda: len(foreign) == 2)
        assert own == foreign == [TEA, TEA]
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 8
    assert {record.name for record in caplog.records} == {"session_store"}
    assert "ValueError" in caplog.text
    assert not any(word in caplog.text for word in ("secret", "tea"))


async def test_one_listener_twice(server: Server, prefix: str) -> None:
    """Each subscription ends by itself, and once; and one that another listener ends is no error."""
    async with bus_on(server.port, prefix) as bus:
        heard: list[ServerEvent] = []
        ends = [bus.subscribe(heard.append), bus.subscribe(heard.append)]
        await bus.publish(TEA)
        assert len(heard) == 2
        for _ in range(2):
            ends[0]()
        await bus.publish(TEA)
        assert len(heard) == 3
        bus.subscribe(lambda _: ends[1]())
        for _ in range(2):
            await bus.publish(ToolsListChanged())
        assert heard.count(ToolsListChanged()) == 1


async def test_a_burst(server: Server, prefix: str) -> None:
    """2,000 events that arrive together do not fill what a listener has to keep them while it sends."""
    async with bus_on(server.port, prefix) as bus, redis.asyncio.Redis(port=server.port) as client:
        buffer: asyncio.Queue[ServerEvent] = asyncio.Queue(100)
        bus.subscribe(buffer.put_nowait)  # raises where it is full, and then too few come out
        pipeline = client.pipeline(transaction=False)
        for _ in range(2_000):
            pipeline.publish(f"0:{prefix}:~mcp", MESSAGE)
        sending = asyncio.ensure_future(pipeline.execute())
        with anyio.fail_after(PATIENCE):
            for _ in range(2_000):
                await buffer.get()
        await sending


GARBAGE = [
    b"\xff\xfe",
    b"",
    b"1",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"v":1',
    b'{"v":1,"from":"another"}',
    b'{"v":1,"from":"another","method":["tools"]}',
    b'{"v":1,"from":"another","method":"notifications/secret"}',
    b'{"v":1,"from":"another","method":"notifications/resources/updated"}',
    b'{"v":1,"from":"another","method":"notifications/resources/updated","uri":1}',
    MESSAGE.replace("1", "2").encode(),
    MESSAGE.replace('"another"', "null").encode(),
]


@pytest.mark.parametrize("decode_responses", [False, True])
async def test_garbage(
    server: Server, prefix: str, caplog: pytest.LogCaptureFixture, *, decode_responses: bool
) -> None:
    """What is no event, or one of a later version, is passed over, and logged once, without what it says."""
    async with (
        bus_on(server.port, prefix, decode_responses=decode_responses) as bus,
        redis.asyncio.Redis(port=server.port) as client,
    ):
        heard = heard_by(bus)
        for data in GARBAGE[decode_responses:]:
            await client.publish(f"0:{prefix}:~mcp", data)
        await RedisSubscriptionBus(client, prefix=prefix).publish(TEA)
        await comes(lambda: TEA in heard)
        assert heard == [TEA]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        # Where the client decodes, what is no UTF-8 costs a new connection.
        await client.publish(f"0:{prefix}:~mcp", b"\xff\xfe")
        async with bus_on(server.port, prefix) as there:
            heard.clear()
            await publish_until(heard, there)
    assert "secret" not in caplog.text


async def test_apart(server: Server, prefix: str) -> None:
    """Buses of another prefix, or of another database, hear nothing."""
    async with (
        bus_on(server.port, prefix) as bus,
        bus_on(server.port, f"{prefix}-") as other_prefix,
        bus_on(server.port, prefix, db=1) as other_database,
        redis.asyncio.Redis.from_url(f"{server.url}/1") as client,
        RedisSubscriptionBus(client, prefix=prefix) as same_database,
    ):
        heard = [heard_by(each) for each in (bus, other_prefix, other_database, same_database)]
        await other_database.publish(TEA)
        await other_prefix.publish(TEA)
        await bus.publish(ToolsListChanged())
        await comes(lambda: heard[3])
        for each in (other_prefix, other_database, bus):  # each connection's last, so that all before it has arrived
            await each.publish(PromptsListChanged())
        await comes(lambda: len(heard[3]) == 2)
        listed, prompts = ToolsListChanged(), PromptsListChanged()
        assert heard == [[listed, prompts], [TEA, prompts], [TEA, prompts], [TEA, prompts]]


# Connections.


@pytest.mark.parametrize("settings", [{}, {"retry": None}], ids=["default", "no-retry"])
async def test_connections_that_are_killed(server: Server, prefix: str, settings: dict[str, Any]) -> None:
    """Ten times. The bus is connected anew by itself, and events go on."""
    async with bus_on(server.port, prefix, **settings) as bus, bus_on(server.port, prefix) as other:
        heard = heard_by(bus)
        async with redis.asyncio.Redis(port=server.port) as client:
            for _ in range(10):
                assert await client.execute_command("CLIENT KILL TYPE pubsub") >= 1
                heard.clear()
                await publish_until(heard, other)


async def test_a_server_that_is_away(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who publishes gets redis-py's error, when the listeners of its own process have heard it. Told once a time."""
    caplog.set_level(logging.DEBUG, "session_store")
    server = Server()
    settings = {"retry": Retry(NoBackoff(), 0)}
    try:
        async with (
            bus_on(server.port, prefix, **settings) as here,
            bus_on(server.port, prefix, **settings) as there,
            redis.asyncio.Redis(port=server.port) as client,
        ):
            own, foreign, other = heard_by(here), heard_by(there), RedisSubscriptionBus(client, prefix=prefix)
            for _ in range(2):
                for heard in (own, foreign):
                    heard.clear()
                caplog.clear()
                server.kill()
                with pytest.raises(redis.ConnectionError):
                    await here.publish(TEA)
                assert own == [TEA]
                with pytest.raises(redis.ConnectionError):
                    async with bus_on(server.port, prefix, **settings):
                        pass
                await comes(lambda: len(caplog.records) >= 6)  # attempts of the two
                assert [record.levelname for record in caplog.records].count("WARNING") == 2
                server.start()
                own.clear()
                for heard in (own, foreign):
                    await publish_until(heard, other)
    finally:
        server.stop()


async def test_a_connection_that_has_gone_silent(server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says that it is lost, and no answer comes: there is another one in its place soon. One that answers stays."""
    monkeypatch.setattr(mcp, "_QUIET", 0.2)
    with proxied(server.port) as proxy:
        async with (
            bus_on(proxy.port, prefix, client_name=prefix) as bus,
            bus_on(server.port, prefix) as other,
            redis.asyncio.Redis(port=server.port) as client,
        ):

            async def connection() -> str:
                return next(each["id"] for each in await client.client_list() if each["name"] == prefix)

            heard, pings = heard_by(bus), 0
            first = await connection()
            with anyio.fail_after(PATIENCE):
                while pings < 10:  # of two buses
                    pings = (await client.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"]
                    await asyncio.sleep(0.01)
            assert await connection() == first
            proxy.hold("PING", cut=False)
            await comes(lambda: not proxy.unused())
            await publish_until(heard, other)


async def test_nothing_is_left(server: Server, prefix: str) -> None:
    """A closed bus has no task, no subscription and no connection, and can be opened again."""
    before = asyncio.all_tasks()
    async with redis.asyncio.Redis(port=server.port) as client:
        bus = RedisSubscriptionBus(client, prefix=prefix)
        for _ in range(2):
            async with bus:
                with pytest.raises(RuntimeError, match="open already"):
                    await bus.__aenter__()
                assert asyncio.all_tasks() - before
                own = heard_by(bus)
                await bus.publish(TEA)
                assert own == [TEA]
            assert asyncio.all_tasks() == before
            await comes_to(client, prefix, 0)
            with pytest.raises(RuntimeError, match="not open"):
                bus.subscribe(print)


async def comes_to(client: Any, prefix: str, connections: int) -> None:
    """Waits until the server has noticed: so many are subscribed."""
    channel = f"0:{prefix}:~mcp"
    deadline = time.monotonic() + PATIENCE
    while await client.pubsub_numsub(channel) != [(channel.encode(), connections)]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@every_manner
async def test_cancelled_anywhere(server: Server, prefix: str, manner: str) -> None:
    """While it opens, publishes and closes: nothing is left, and the client can go on."""
    async with redis.asyncio.Redis(port=server.port, max_connections=2) as client:

        async def open_and_close(at: int) -> None:
            async with RedisSubscriptionBus(client, prefix=prefix) as bus:
                await bus.publish(TEA)

        async def check() -> None:
            await comes_to(client, prefix, 0)

        await cancel_everywhere(open_and_close, manner, check)


async def test_published_by_who_does_not_listen(server: Server, prefix: str) -> None:
    """A worker that serves nobody needs no open bus."""
    async with bus_on(server.port, prefix) as bus, redis.asyncio.Redis(port=server.port) as client:
        heard = heard_by(bus)
        await RedisSubscriptionBus(client, prefix=prefix).publish(TEA)
        await comes(lambda: heard == [TEA])


async def test_on_a_cluster(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside a client of one node. The cluster's client of an older redis-py is refused."""
    cluster = Cluster()
    try:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port))
                for _ in range(2)
            ]
            buses = [await stack.enter_async_context(RedisSubscriptionBus(each, prefix=prefix)) for each in clients]
            buses.append(await stack.enter_async_context(bus_on(cluster.port, prefix)))
            heard = [heard_by(each) for each in buses]
            for bus in buses:
                await bus.publish(TEA)
            await comes(lambda: heard == [[TEA] * 3] * 3)
            monkeypatch.delattr(redis.asyncio.RedisCluster, "pubsub")
            with pytest.raises(TypeError, match="one node"):
                RedisSubscriptionBus(clients[0], prefix=prefix)
    finally:
        cluster.stop()


async def test_in_memory(prefix: str) -> None:
    """For tests of a server that is given a bus."""
    async with RedisSubscriptionBus(AsyncInMemoryClient(), prefix=prefix) as bus:
        heard = heard_by(bus)
        await bus.publish(TEA)
        assert heard == [TEA]


async def test_bad_arguments() -> None:
    """Refused before anything is sent, or anybody told: there is no server here."""
    client = redis.asyncio.Redis(port=1)
    for other in (None, redis.Redis(port=1), "redis://"):
        with pytest.raises(TypeError, match="client must be"):
            RedisSubscriptionBus(other, prefix="p")
    for prefix in ("", "a:b", "a b", 1):
        with pytest.raises(InvalidNameError):
            RedisSubscriptionBus(client, prefix=prefix)  # type: ignore[arg-type]  # a wrong one
    bus: Any = RedisSubscriptionBus(client, prefix="p")
    for event in (None, "tools", ResourceUpdated, ResourceUpdated(b"uri")):  # type: ignore[arg-type]  # wrong ones
        with pytest.raises(TypeError, match="event must be"):
            await bus.publish(event)

    async def listener(event: ServerEvent) -> None: ...

    for each in (None, listener, "listener"):
        with pytest.raises(TypeError, match="not async"):
            bus.subscribe(each)
    assert repr(bus) == "RedisSubscriptionBus(prefix='p')"
