"""What redis-py's cluster clients do at their worst: they do not know a node, or close connections that others use.

Neither can be had on demand, so it is put into the client here. `make cluster` meets both by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from cluster.flavours import Calls, Flavour
from support.closures import Steps
from support.deployments import Cluster

GONE = AttributeError("'NoneType' object has no attribute 'writelines'")  # as redis-py raises it


def add_one(ops: Any) -> Steps:
    total = int((yield "get", "n")) + 1
    ops.set("n", str(total))
    return total


@pytest.fixture
def client(cluster: Cluster, flavour: Flavour) -> Any:
    return flavour.cluster(cluster.port)


@pytest.fixture
def ns(flavour: Flavour, client: Any, prefix: str) -> Calls:
    ns = flavour.namespace(client, prefix, "user")
    ns.set("n", "5")
    return ns


class OnceInstead:
    """A function in whose place, the first time that it is called, another one is."""

    def __init__(self, first: Any, then: Any) -> None:
        self._turns = iter([first])
        self._then = then
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return next(self._turns, self._then)(*args, **kwargs)


def routing_of(flavour: Flavour) -> Any:
    return importlib.import_module(f"session_store._{'async' if flavour.is_async else 'sync'}.routing")


def gone(*_: Any, **__: Any) -> Any:
    raise GONE


def test_node_that_the_client_does_not_know(
    cluster: Cluster, ns: Calls, client: Any, flavour: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again after a pause, in which the client may get to know it."""
    pauses: list[float] = []

    async def async_pause(seconds: float) -> None:
        pauses.append(seconds)

    get_node = client.get_node
    monkeypatch.setattr(client, "get_node", lambda *args, **options: get_node(*args, **options) if pauses else None)
    monkeypatch.setattr(routing_of(flavour), "sleep", async_pause if flavour.is_async else pauses.append)
    with cluster.migration(ns.key("n")) as migration:
        migration.move_all()
        assert ns.cas("n", add_one, max_retries=0) == 6
    assert len(pauses) == 1
    assert ns.get("n") == "6"


@pytest.mark.parametrize("method", ["set", "get"])
def test_call_whose_connection_is_closed_by_another(
    ns: Calls, client: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It is made on another connection."""
    monkeypatch.setattr(client, "execute_command", OnceInstead(gone, client.execute_command))
    assert (ns.set("a", "1") if method == "set" else ns.get("n")) == (True if method == "set" else "5")


@pytest.fixture
def closing(flavour: Flavour, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnceInstead]:
    """The next connection that is taken is closed by another while it is made."""
    routing = routing_of(flavour)

    class ClosedPool:
        get_connection = staticmethod(gone)

    async def closed_pool(*_: Any) -> Any:
        return ClosedPool

    pool_of = OnceInstead(closed_pool if flavour.is_async else lambda *_: ClosedPool, routing.pool_of)
    monkeypatch.setattr(routing, "pool_of", pool_of)
    yield pool_of


def test_commit_whose_connection_is_closed_by_another(ns: Calls, closing: OnceInstead) -> None:
    assert ns.cas("n", add_one, max_retries=0) == 6
    assert closing.calls == 2
    assert ns.get("n") == "6"


def test_owner_that_is_looked_for_while_others_close_connections(
    ns: Calls, client: Any, closing: OnceInstead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "execute_command", OnceInstead(gone, client.execute_command))
    assert ns.cas("n", add_one, max_retries=0) == 6
    assert closing.calls == 2
