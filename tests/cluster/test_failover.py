"""A primary is killed with -9, and its replica takes over, while writers write to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster.flavours import Flavour
from cluster.writers import Session, Writers, total_verdict
from support.closures import Steps
from support.deployments import Cluster

from session_store import ReplicationError


@pytest.fixture
def whole(replicated: Cluster) -> Iterator[Cluster]:
    """The cluster with all its nodes, before and after."""
    replicated.wait_until_whole()
    yield replicated
    replicated.restore()


def test_acknowledged_commits_survive(whole: Cluster, flavour: Flavour, prefix: str, seed: int) -> None:
    """Those of a store that waits for the replica. What one that does not wait loses is counted apart.

    Shortly before the kill the replica is cut off, so that what is written then must be lost: it is acknowledged by one store, and a
    `ReplicationError` of the other.
    """
    client = flavour.cluster(whole.port, socket_timeout=1)
    safe = Session(flavour.namespace(client, prefix, "user", min_replicas=1))
    fast = Session(flavour.namespace(client, f"{prefix}-fast", "user"))

    def too_late() -> None:
        assert fast.write("commit", "late")
        assert not safe.write("commit", "late")

    with Writers([safe, fast], seed=seed) as writers:
        writers.wait_for_progress()
        whole.kill_primary_of(safe.calls.key("total"), cut_off=too_late)
        whole.restore()
        writers.wait_for_progress()
    verdict = total_verdict([safe], whole.primary_of)
    assert verdict.wrong() == {}, verdict
    assert verdict.errors["ReplicationError"] > 0
    verdict = total_verdict([fast], whole.primary_of)
    assert verdict.wrong(replication_may_lose=True) == {}, verdict
    assert verdict.lost_commits > 0


def test_too_few_replicas(replicated: Cluster, flavour: Flavour, prefix: str) -> None:
    """The error says how many have it. The primary has it as well."""
    client = flavour.cluster(replicated.port, socket_timeout=1)
    ns = flavour.namespace(client, prefix, "user", min_replicas=2)

    def commit(ops: Any) -> Steps:
        ops.set("n", "5")
        yield "get", "n"

    for call in (lambda: ns.incr("id"), lambda: ns.cas("n", commit)):
        with pytest.raises(ReplicationError) as raised:
            call()
        assert (raised.value.replicas, raised.value.min_replicas) == (1, 2)
    assert replicated.primary_of(ns.key("n")).run("MGET", ns.key("n"), ns.key("id")) == ["5", "1"]
