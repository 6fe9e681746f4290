"""redis-py's `AttributeError`: a connection was closed by another user of the client while it was in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from support.callers import Caller
from support.servers import Server

from session_store._core.scripts import BEGIN, COMMIT, Script

GONE = "'NoneType' object has no attribute 'writelines'"  # as redis-py has it


def add_one(value: str | None, ops: Any) -> int:
    total = int(value or 0) + 1
    ops.set("n", str(total))
    return total


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Callable[[Caller, Script], None]:
    """A function that makes the next write which holds a command fail so."""

    def gone(ns: Caller, script: Script) -> None:
        module = redis.asyncio.connection if ns.is_async else redis.connection
        send = module.AbstractConnection.send_packed_command
        left = [1]

        def fail(connection: Any, data: Any, **options: Any) -> Any:
            written = data if isinstance(data, bytes) else b"".join(data)
            if script.digest in written and left:
                left.clear()
                raise AttributeError(GONE)
            return send(connection, data, **options)

        monkeypatch.setattr(module.AbstractConnection, "send_packed_command", fail)

    return gone


@pytest.mark.parametrize("script", [BEGIN, COMMIT])
def test_commit_is_made_on_another_connection(connect, server: Server, gone: Any, script: Script) -> None:
    ns = connect(server.port)
    ns.set("n", "5")
    gone(ns, script)
    assert ns.cas("n", add_one) == 6
    assert ns.get("n") == "6"


def test_clients_without_retries_are_told_what_it_was(connect, server: Server, gone: Any) -> None:
    ns = connect(server.port, retries=0)
    ns.set("n", "5")
    gone(ns, BEGIN)
    with pytest.raises(redis.ConnectionError, match="closed by another user of the client"):
        ns.cas("n", add_one)
    assert ns.cas("n", add_one) == 6


def test_an_error_of_the_client_itself_is_not_mistaken_for_it(
    connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cluster nobody reads a topology anew: whatever hooks the client has broken is told as it is."""
    ns = connect(server.port)

    def broken(*_: Any, **__: Any) -> Any:
        raise AttributeError("tracer")

    monkeypatch.setattr(ns.client, "execute_command", broken)
    with pytest.raises(AttributeError, match="tracer"):
        ns.set("n", "1")
