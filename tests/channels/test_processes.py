"""Producers, followers and the attached in processes of their own, which are killed, stopped, and go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.following import Following, until
from support.servers import Server
from support.together import at_once

from session_store.channels import AsyncChannels, HeldError, LeaseLostError, ProducerLostError

pytestmark = pytest.mark.long

Connect = Callable[..., AsyncChannels[Any]]
FOREVER = 600  # seconds: no heartbeat makes up for what was missed
GENEROUS = 5  # seconds beside a lease that a busy machine may take

BEGIN = """
import asyncio, json, sys
import redis, redis.asyncio
from session_store import AsyncSessionStore, SessionStore
from session_store.channels import AsyncChannels, Channels, HeldError, LeaseLostError, ProducerLostError

port, prefix = int(sys.argv[1]), sys.argv[2]
"""
PRODUCES = (
    BEGIN
    + """
async def main():
    async with redis.asyncio.Redis(port=port) as client:
        channels = AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600))
        async with channels.channel("s", "answer").produce(lease=1) as out:
            await out.publish("x")
            print("produces", flush=True)
            while True:
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                try:
                    print(await out.publish("y"), flush=True)
                except LeaseLostError as error:
                    print(type(error).__name__, flush=True)

asyncio.run(main())
"""
)
FOLLOWS = (
    BEGIN
    + """
async def main():
    async with redis.asyncio.Redis(port=port) as client:
        channels = AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600))
        async for event in channels.channel("s", "answer").events(after=sys.argv[3] or None, heartbeat=600):
            print(event.id, event.data, flush=True)

asyncio.run(main())
"""
)
ATTACHES = (
    BEGIN
    + """
async def main():
    async with redis.asyncio.Redis(port=port) as client:
        channels = AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600))
        async with channels.channel("s", "answer").attach(lease=1) as attached:
            print("attached", flush=True)
            try:
                async for event in attached.events(heartbeat=600):
                    print(event.id, event.data, flush=True)
            except LeaseLostError as error:
                print(type(error).__name__, flush=True)

asyncio.run(main())
"""
)


@contextmanager
def running(program: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A process, which is killed at the end."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).rstrip("\n")


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_producer_is_killed(connect: Connect, server: Server, prefix: str) -> None:
    """[T36] Followers are told when the lease ends: not before, and soon. Then another one may go on."""
    channel = connect().channel("s", "answer")
    follower = Following(channel.events(heartbeat=FOREVER))
    with running(PRODUCES, server.port, prefix) as process:
        assert await line_of(process) == "produces"
        await follower.until(1)
        await asyncio.sleep(2.2)  # two leases, in which it is renewed
        assert not follower.task.done()
        with pytest.raises(HeldError):
            await channel.produce().__aenter__()
        process.kill()
        killed = time.monotonic()
        with pytest.raises(ProducerLostError) as caught:
            await follower.end()
        assert time.monotonic() - killed < 1 + GENEROUS
        assert caught.value.last_id == follower.events[-1].id
    assert (await channel.state()).status == "lost"
    async with channel.produce() as out:
        rest = Following(channel.events(after=caught.value.last_id, heartbeat=FOREVER))
        await out.publish("again")
        await out.end()
    assert await rest.end() == ["again"]


async def test_producer_stands_still(connect: Connect, server: Server, prefix: str) -> None:
    """[T36] For longer than its lease, and another one takes over: what it publishes when it goes on is refused."""
    channel = connect().channel("s", "answer")
    follower = Following(channel.events(heartbeat=FOREVER))
    with running(PRODUCES, server.port, prefix) as process:
        assert await line_of(process) == "produces"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(ProducerLostError) as caught:
            await follower.end()
        async with channel.produce(lease=60) as out:
            process.send_signal(signal.SIGCONT)
            tell(process)
            assert await line_of(process) == LeaseLostError.__name__
            await out.publish("mine")
            tell(process)
            assert await line_of(process) == LeaseLostError.__name__
            await out.end()
    rest = Following(channel.events(after=caught.value.last_id))
    assert await rest.end() == ["mine"]


async def test_producer_stands_still_and_nobody_takes_over(connect: Connect, server: Server, prefix: str) -> None:
    """[T36] Its followers were told that it is lost, so it stays so."""
    channel = connect().channel("s", "answer")
    with running(PRODUCES, server.port, prefix) as process:
        assert await line_of(process) == "produces"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(ProducerLostError):
            await Following(channel.events(heartbeat=FOREVER)).end()
        process.send_signal(signal.SIGCONT)
        tell(process)
        assert await line_of(process) == LeaseLostError.__name__
    assert [event.data for event in (await channel.read()).items] == ["x"]


CLAIMS = (
    BEGIN
    + """
with redis.Redis(port=port) as client:
    channels = Channels(SessionStore(client, prefix=prefix, default_ttl=600))
    client.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(50):
        producer = channels.channel("s", f"answer-{number}").produce(lease=60)
        try:
            producer.__enter__()
            producer.publish(sys.argv[3])
            won.append(number)
        except HeldError:
            pass
    print(json.dumps(won), flush=True)
"""
)


async def test_processes_that_produce_the_same(connect: Connect, server: Server, prefix: str) -> None:
    """[T37] One of them does, for each channel; the others are told."""
    won = await asyncio.to_thread(at_once, CLAIMS, server.port, prefix, processes=3)
    assert sorted(number for each in won for number in each) == list(range(50))
    channels = connect()
    for winner, numbers in enumerate(won):
        for number in numbers:
            page = await channels.channel("s", f"answer-{number}").read()
            assert [event.data for event in page.items] == [str(winner)]


async def test_follower_is_killed(connect: Connect, server: Server, prefix: str) -> None:
    """Who publishes does not notice; another process goes on by the last id that was seen."""
    channel = connect().channel("s", "answer")
    seen: list[str] = []
    sent = [str(number) for number in range(200)]
    with running(FOLLOWS, server.port, prefix, "") as process:
        for number in range(100):
            await channel.publish(sent[number])
            if number == 50:
                seen = [await line_of(process) for _ in range(40)]
                process.kill()
    for number in range(100, 200):
        await channel.publish(sent[number])
    await channel.end()
    last = seen[-1].split()[0]
    with running(FOLLOWS, server.port, prefix, last) as process:
        output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    seen += output.splitlines()
    assert [line.split()[1] for line in seen] == sent
    assert [int(line.split()[0].partition(".")[2]) for line in seen] == list(range(1, 201))


async def test_attached_process_is_killed(connect: Connect, server: Server, prefix: str) -> None:
    """[T8] Another one is admitted after the lease, and not before."""
    channel = connect().channel("s", "answer")
    with running(ATTACHES, server.port, prefix) as process:
        assert await line_of(process) == "attached"
        process.kill()
        killed = time.monotonic()
        refused = 0
        while True:
            try:
                async with channel.attach():
                    break
            except HeldError:
                refused += 1
            assert time.monotonic() - killed < 1 + GENEROUS
            await asyncio.sleep(0.02)
        assert refused


async def no_longer_attached(channel: Any) -> bool:
    return not (await channel.state()).is_attached


async def test_attached_process_stands_still(connect: Connect, server: Server, prefix: str) -> None:
    """[T8] What it does when it goes on does not bring its presence back, and its stream ends."""
    channels = connect()
    channel = channels.channel("s", "answer")
    with running(ATTACHES, server.port, prefix) as process:
        assert await line_of(process) == "attached"
        process.send_signal(signal.SIGSTOP)
        await until(lambda: no_longer_attached(channel), "it is attached still")
        assert (await channels.live("answer")).items == ()
        async with channel.attach(lease=60) as attached:
            process.send_signal(signal.SIGCONT)
            assert await line_of(process) == LeaseLostError.__name__
            following = Following(attached.events(heartbeat=FOREVER))
            await channel.publish("x")
            await channel.end()
            assert await following.end() == ["x"]


SLOW = (
    BEGIN
    + """
import resource, time

async def main():
    async with redis.asyncio.Redis(port=port) as client:
        channels = AsyncChannels(AsyncSessionStore(client, prefix=prefix, default_ttl=600))
        events = channels.channel("s", "answer").events(heartbeat=600)
        print("ready", flush=True)
        count, before = 0, None
        async for event in events:
            count += 1
            before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert event.data.startswith(str(count) + " "), event.id
            await asyncio.sleep(0.001)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([count, grown]), flush=True)

asyncio.run(main())
"""
)


async def test_memory_of_a_slow_consumer(connect: Connect, server: Server, prefix: str) -> None:
    """[T42] 1 ms for each of 8,000 events of 2.5 KB, which come faster: it gets all of them, and its process does not
    grow by what it has not had yet."""
    channels = connect(settings={"keep": 100_000})
    channel = channels.channel("s", "answer")
    with running(SLOW, server.port, prefix) as process:
        assert await line_of(process) == "ready"
        await channel.publish("1 ")
        for first in range(2, 8_001, 100):
            await asyncio.gather(
                *(channel.publish(f"{number} {'x' * 2_500}") for number in range(first, min(first + 100, 8_001)))
            )
        await channel.end()
        count, grown = json.loads(await line_of(process))
    assert count == 8_000
    assert grown < 12_000  # KB; the events have 20,000 KB
