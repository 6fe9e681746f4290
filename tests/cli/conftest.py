"""What the tests of the command line share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import redis
from cli.filling import fill
from support.servers import Server

from session_store import SessionStore
from session_store.cli import main


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its JSON, where that is an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Done]


@pytest.fixture
def run(
    server: Server, prefix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Runs a command in this process, on the test's prefix of the server; a `url` or `prefix` of None is not said."""
    for name in ("SESSION_STORE_URL", "SESSION_STORE_PREFIX"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, url: str | None = server.url, prefix: str | None = prefix) -> Done:
        before = [*(("--url", url) if url else ()), *(("--prefix", prefix) if prefix else ())]
        status = main([*before, *words])
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as client:
        yield client


@pytest.fixture
def store(client: redis.Redis, prefix: str) -> SessionStore[str]:
    return SessionStore(client, prefix=prefix, default_ttl=600)


@pytest.fixture
def filled(server: Server, prefix: str) -> None:
    """Two namespaces of each layer; the owners are user-0 and user-1."""
    asyncio.run(fill(server.url, 10, prefix))


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what is started here, also where a shell has the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def environment(server: Server, prefix: str) -> dict[str, str]:
    """Of a process that runs a command; a pytest worker's own LINES and COLUMNS count for more than a terminal's size."""
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in ("NO_COLOR", "FORCE_COLOR", "PAGER", "LESS", "LINES", "COLUMNS")
        },
        "SESSION_STORE_URL": server.url,
        "SESSION_STORE_PREFIX": prefix,
        "TERM": "xterm-256color",
    }


PROGRAM = (sys.executable, "-m", "session_store")
