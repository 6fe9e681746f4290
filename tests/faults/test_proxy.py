"""The proxy that the tests of faults rest on: it passes on what it should, and the server sees what it should."""

from __future__ import annotations

import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.proxy import Proxy, first_command
from support.servers import Server


@pytest.fixture
def client(proxy: Proxy, prefix: str) -> redis.Redis:
    """A client of the proxy that tries nothing twice."""
    with redis.Redis(port=proxy.port, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_passes_everything_on(client: redis.Redis, prefix: str, size: int) -> None:
    """Commands and replies of any size, in pipelines as well."""
    value = b"\r\n$*" * size
    with client.pipeline() as pipeline:
        pipeline.set(prefix, value, ex=60).get(prefix)
        assert pipeline.execute() == [True, value]


def test_commands_that_come_in_pieces() -> None:
    """A command is recognised as soon as its last byte is there, and not before."""
    data = b"*2\r\n$3\r\nget\r\n$5\r\n*1\r\n$\r\n"
    assert [first_command(data[:end]) for end in range(len(data))] == [None] * len(data)
    assert first_command(data) == first_command(data + b"*1\r\n") == ("GET", len(data))


@pytest.mark.parametrize(("fault", "seen"), [("lose_reply", b"1"), ("drop", None)])
def test_fault(proxy: Proxy, client: redis.Redis, rival: redis.Redis, prefix: str, fault: str, seen: object) -> None:
    """A fault happens once, before the client notices, and `then` in between."""
    seen_then = []
    getattr(proxy, fault)("INCR", then=lambda: seen_then.append(rival.get(prefix)))
    with pytest.raises(redis.ConnectionError):
        client.execute_command("INCR", prefix)
    assert seen_then == [seen and seen.decode()]
    assert client.get(prefix) == seen
    assert client.execute_command("INCR", prefix) == int(seen or 0) + 1
    client.expire(prefix, 60)


@pytest.mark.parametrize("cut", [True, False])
def test_held_command(proxy: Proxy, rival: redis.Redis, prefix: str, *, cut: bool) -> None:
    """A command that is held reaches the server when it is released, with all that came before it."""
    with redis.Redis(port=proxy.port, socket_timeout=10 if cut else 0.1, retry=Retry(NoBackoff(), 0)) as client:
        held = proxy.hold("EXEC", cut=cut)
        with pytest.raises(redis.ConnectionError if cut else redis.TimeoutError):
            client.pipeline().set(prefix, "late", ex=60).execute()
        assert rival.get(prefix) is None
        held.release()
        assert rival.get(prefix) == "late"


def test_refusal(proxy: Proxy, client: redis.Redis) -> None:
    """A server out of reach is so for connections old and new."""
    client.ping()
    proxy.refuse()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            client.ping()


def test_end(server: Server) -> None:
    """Nothing of it is left, and an error of its thread reaches the test."""
    proxy = Proxy(server.port)
    proxy.drop("PING", then=lambda: 1 / 0)
    with redis.Redis(port=proxy.port, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        with pytest.raises(ZeroDivisionError):
            proxy.close()
        assert "proxy" not in {thread.name for thread in threading.enumerate()}
        with pytest.raises(redis.ConnectionError):
            client.ping()
