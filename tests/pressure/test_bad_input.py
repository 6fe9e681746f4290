"""Clients that lead nowhere: redis-py's own error, from the first call, within the client's timeout."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import AuthenticationError, ConnectionError, ResponseError, TimeoutError
from support.callers import READS, WRITES, Caller
from support.servers import Server, free_port

from session_store import AsyncInMemoryClient, AsyncSessionStore, InMemoryClient, SessionStore

SOCKET_TIMEOUT = 0.2
AT_ONCE: dict[str, Any] = {"retries": 0, "socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": SOCKET_TIMEOUT}
BOUND = 20 * SOCKET_TIMEOUT  # seconds: a few timeouts, on a machine that is slow
CALLS = {
    name: {**READS, **WRITES}[name] for name in ("get", "incr", "slots", "touch", "purge", "with_cas", "namespaces")
}


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def locked(make_server: Callable[..., Server]) -> Server:
    """A server with a password."""
    return make_server("--requirepass", "secret")


def check(ns: Caller, error: type[Exception]) -> None:
    """Every call raises this error, the second as the first."""
    for call in (*CALLS.values(), *CALLS.values()):
        begin = time.monotonic()
        with pytest.raises(error) as caught:
            call(ns)
        assert time.monotonic() - begin < BOUND
        assert caught.type.__module__ == "redis.exceptions"


def test_making_a_store_does_nothing(connect, mute: socket.socket) -> None:
    """No connection is made before the first call, not for a handle either."""
    connect(mute.getsockname()[1])
    mute.setblocking(False)
    with pytest.raises(BlockingIOError):
        mute.accept()


def test_nobody_listens(connect) -> None:
    check(connect(free_port(), retries=0), ConnectionError)


def test_nobody_answers(connect, mute: socket.socket) -> None:
    check(connect(mute.getsockname()[1], **AT_ONCE), TimeoutError)


def test_no_password(connect, locked: Server) -> None:
    """On RESP2 nothing but the call itself asks for it, and a server may cut short what a stranger says at length."""
    check(connect(locked.port, retries=0), redis.RedisError)
    with pytest.raises(AuthenticationError):
        connect(locked.port, retries=0).get("n")


@pytest.mark.parametrize("credentials", [{"password": "wrong"}, {"username": "nobody", "password": "secret"}])
def test_wrong_password(connect, locked: Server, credentials: dict[str, str]) -> None:
    check(connect(locked.port, retries=0, **credentials), AuthenticationError)


def test_right_password(connect, locked: Server) -> None:
    """What the tests above get wrong is what they say."""
    assert connect(locked.port, password="secret").incr("ids") == 1


def test_wrong_database(connect, own_server: Server) -> None:
    check(connect(own_server.port, retries=0, db=99_999), ResponseError)


def test_server_without_tls(connect, own_server: Server) -> None:
    """It takes the handshake for the beginning of a command, and waits for its end."""
    check(connect(own_server.port, ssl=True, **AT_ONCE), TimeoutError)


def serve_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Answers whoever connects as a TLS server does: whatever is no handshake gets an alert, and is cut."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with suppress(OSError), closing(connection):
                connection.settimeout(SOCKET_TIMEOUT)
                context.wrap_socket(connection, server_side=True).close()


def test_server_with_tls(connect) -> None:
    """A client without TLS. (The server needs no certificate: it never comes to that.)"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_tls, args=(listener, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))
        thread.start()
        try:
            check(connect(listener.getsockname()[1], **AT_ONCE), ConnectionError)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


STORES = {"sync": SessionStore, "async": AsyncSessionStore}
ACCEPTED = {
    "sync": ("redis.Redis", "redis.RedisCluster", "InMemoryClient"),
    "async": ("redis.asyncio.Redis", "redis.asyncio.RedisCluster", "AsyncInMemoryClient"),
}
UNKNOWN: dict[str, Callable[[], Any]] = {
    "a URL": lambda: "redis://localhost",
    "None": lambda: None,
    "the class": lambda: redis.Redis,
    "a pool": redis.ConnectionPool,
    "a dict": dict,
    "a pipeline": lambda: redis.Redis().pipeline(),
    "an async pipeline": lambda: redis.asyncio.Redis().pipeline(),
    "a pubsub": lambda: redis.Redis().pubsub(),
}
OTHER_FLAVOUR: dict[str, tuple[Callable[[], Any], ...]] = {
    "sync": (redis.asyncio.Redis, AsyncInMemoryClient),
    "async": (redis.Redis, InMemoryClient),
}


def refuse(flavour: str, client: Any) -> None:
    """A store refuses a client with a message that names what it takes, and what it got."""
    with pytest.raises(TypeError) as caught:
        STORES[flavour](client, prefix="shop", default_ttl=60)
    words = re.findall(r"[\w.]+", str(caught.value))
    given = "class" if isinstance(client, type) else str(client) if client is None else type(client).__name__
    assert {*ACCEPTED[flavour], given} <= {word.rstrip(".") for word in words}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_unknown_client(flavour: str, kind: str) -> None:
    refuse(flavour, UNKNOWN[kind]())


@pytest.mark.parametrize("number", [0, 1], ids=["server", "memory"])
def test_client_of_the_other_flavour(flavour: str, number: int) -> None:
    refuse(flavour, OTHER_FLAVOUR[flavour][number]())
