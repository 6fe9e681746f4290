"""A user of a cluster who has the rights that the documentation lists for clusters, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from cluster.flavours import Calls, Flavour
from support.callers import fill
from support.closures import Steps
from support.deployments import Cluster
from support.rights import CLUSTER_RIGHTS, PASSWORD, PREFIX, REDIS_PY_ASKS, RIGHTS, USER, names, rule

ALL = [*RIGHTS, *CLUSTER_RIGHTS]


@pytest.fixture
def allow(cluster: Cluster) -> Iterator[Callable[[list[str]], None]]:
    """Gives the user these rights, and no other, on every node."""

    def allow(rights: list[str]) -> None:
        for node in cluster.living():
            node.run(*rule(rights))
            node.run("ACL LOG RESET")

    yield allow
    for node in cluster.living():
        node.run("ACL DELUSER", USER)


def denied(cluster: Cluster) -> set[str]:
    """The commands, and the keys, that nodes have refused."""
    entries = [
        dict(zip(entry[::2], entry[1::2], strict=True)) for node in cluster.living() for entry in node.run("ACL LOG")
    ]
    return {entry["object"] for entry in entries} - REDIS_PY_ASKS


def add_one(ops: Any) -> Steps:
    total = int((yield "get", "n")) + 1
    ops.set("n", str(total))
    return total


def calls(cluster: Cluster, ns: Calls) -> Iterator[object]:
    """What calls give while their hash slot rests, has moved, is on its way, and has arrived."""
    fill(ns)
    yield ns.cas("n", add_one)
    cluster.migrate(ns.key("n"))
    yield ns.cas("n", add_one)
    with cluster.migration(ns.key("n")) as migration:
        yield ns.cas("n", add_one)
        migration.move_all()
        yield ns.cas("n", add_one)
        yield ns.get("n")
        yield ns.incr("ids")
    yield ns.slots()
    yield ns.touch(scan=True)
    yield ns.purge()


def test_calls_with_the_rights_while_the_slot_moves(
    cluster: Cluster, allow: Callable[[list[str]], None], flavour: Flavour, prefix: str
) -> None:
    """They work, and no command on their way is refused, not even one that can be done without."""
    allow(ALL)
    client = flavour.cluster(cluster.port, username=USER, password=PASSWORD)
    ns = flavour.namespace(client, PREFIX, prefix)
    assert list(calls(cluster, ns)) == [2, 3, 4, 5, "5", 3, ["h", "ids", "n"], 3, 3]
    assert denied(cluster) == set()


@pytest.mark.parametrize("right", CLUSTER_RIGHTS)
def test_each_right_is_needed(
    cluster: Cluster, allow: Callable[[list[str]], None], flavour: Flavour, prefix: str, right: str
) -> None:
    """Without it the client is refused that very command."""
    allow([each for each in ALL if each != right])
    with suppress(redis.RedisError, redis.exceptions.RedisClusterException):
        client = flavour.cluster(cluster.port, username=USER, password=PASSWORD)
        list(calls(cluster, flavour.namespace(client, PREFIX, prefix)))
    assert denied(cluster) & names(right)
