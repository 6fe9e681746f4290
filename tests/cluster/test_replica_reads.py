"""A client that is to read from replicas does so for the store, too, in both flavours alike; nothing else goes there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster.flavours import Calls, Flavour
from redis.cluster import LoadBalancingStrategy
from support.closures import Steps
from support.deployments import Cluster
from support.nodes import Node, wait_until

NAMES = [f"user-{number}" for number in range(12)]  # enough to lie on every primary
REPLICAS: dict[str, Any] = {"load_balancing_strategy": LoadBalancingStrategy.RANDOM_REPLICA}
READS: dict[str, Callable[[Calls], Any]] = {
    "GET": lambda ns: ns.get("s"),
    "EXISTS": lambda ns: ns.exists("s"),
    "PTTL": lambda ns: ns.ttl("s"),
    "HGET": lambda ns: ns.hget("h", "f"),
    "HMGET": lambda ns: ns.hmget("h", ["f"]),
    "HGETALL": lambda ns: ns.hgetall("h"),
    "HKEYS": lambda ns: ns.hkeys("h"),
    "HLEN": lambda ns: ns.hlen("h"),
    "HEXISTS": lambda ns: ns.hexists("h", "f"),
}


def served(nodes: list[Node]) -> Counter[str]:
    """Commands that nodes have been asked for by clients, by name."""
    counts: Counter[str] = Counter()
    for node in nodes:
        for name, figures in node.info("INFO", "commandstats").items():  # cmdstat_get:calls=3,usec=..
            counts[name.removeprefix("cmdstat_").upper()] += int(figures.split(",")[0].removeprefix("calls="))
    return counts


def replicas(cluster: Cluster) -> list[Node]:
    primaries = cluster.primaries()
    return [node for node in cluster.living() if node not in primaries]


def fresh(cluster: Cluster) -> None:
    for node in cluster.living():
        node.run("CONFIG RESETSTAT")


def filled(cluster: Cluster, flavour: Flavour, prefix: str, **options: Any) -> list[Calls]:
    """Namespaces, once the replicas have what was written."""
    wait_until(lambda: knows_replicas(cluster), "clients are told of replicas")
    client = flavour.cluster(cluster.port, **options)
    all_ns = [flavour.namespace(client, prefix, name) for name in NAMES]
    for ns in all_ns:
        ns.set("s", "1")
        ns.hset("h", "f", "2")
    wait_until(lambda: all(has(cluster, ns.key("h")) for ns in all_ns), "the replicas have it")
    fresh(cluster)
    return all_ns


def knows_replicas(cluster: Cluster) -> bool:
    """A node tells clients of a replica once it has heard how far that is."""
    return all(len(nodes) == 2 for _, _, *nodes in cluster.living()[0].run("CLUSTER SLOTS"))


def has(cluster: Cluster, key: str) -> bool:
    """Whether the replica of a key has it."""
    replica = cluster.replica_of(cluster.primary_of(key))
    with replica._client.pipeline(transaction=False) as pipeline:
        return bool(pipeline.execute_command("READONLY").exists(key).execute()[1])


def add_one(ops: Any) -> Steps:
    total = int((yield "get", "s")) + 1
    ops.set("s", str(total))
    return total


@contextmanager
def cut_off(cluster: Cluster, primary: Node) -> Iterator[None]:
    """The replica of a primary answers, and is sent nothing more: it has a password that the primary does not know."""
    replica = cluster.replica_of(primary)
    replica.run("CONFIG SET", "masterauth", "wrong")
    try:
        primary.run("CLIENT KILL TYPE REPLICA")
        wait_until(lambda: replica.info()["master_link_status"] == "down", "the replica is cut off")
        yield
    finally:
        replica.run("CONFIG SET", "masterauth", "")
        cluster.wait_until_whole()


@pytest.mark.parametrize("options", [REPLICAS, {"read_from_replicas": True}], ids=["strategy", "read_from_replicas"])
@pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning")
def test_single_reads_go_to_replicas(
    replicated: Cluster, flavour: Flavour, prefix: str, options: dict[str, Any]
) -> None:
    """All of them, or, as redis-py takes turns between the servers of a slot by default, some."""
    all_ns = filled(replicated, flavour, prefix, **options)
    for ns in all_ns:
        for read in READS.values():
            assert read(ns)
    at_replicas, at_primaries = served(replicas(replicated)), served(replicated.primaries())
    assert {name: at_replicas[name] + at_primaries[name] for name in READS} == dict.fromkeys(READS, len(NAMES))
    assert sum(at_replicas[name] for name in READS) >= len(NAMES)
    if options is REPLICAS:
        assert not READS.keys() & at_primaries.keys()


def test_scripts_go_to_primaries(replicated: Cluster, flavour: Flavour, prefix: str) -> None:
    """Replicas are sent no call that writes, no commit, and no load: they would refuse them, or show two moments."""
    for ns in filled(replicated, flavour, prefix, **REPLICAS):
        assert ns.set("s", "2")
        assert ns.incr("id") == 1
        assert ns.cas("s", add_one) == 3
        assert ns.load("s", "h") == {"s": "3", "h": {"f": "2"}}
    at_primaries = served(replicated.primaries())
    assert at_primaries["EVALSHA"] + at_primaries["EVAL"] >= 5 * len(NAMES)
    assert not {"EVALSHA", "EVAL", "WATCH"} & served(replicas(replicated)).keys()
    assert "MOVED" not in replicated.refusals()


def test_a_replica_that_is_behind_is_behind_for_reads_only(replicated: Cluster, flavour: Flavour, prefix: str) -> None:
    """A commit sees what was acknowledged, and a purge is final, whatever the replica lists."""
    ns = filled(replicated, flavour, prefix, **REPLICAS)[0]
    primary = replicated.primary_of(ns.key("s"))
    with cut_off(replicated, primary):
        ns.set("s", "2")
        ns.set("late", "1")
        assert [ns.get("s"), ns.get("late"), ns.slots()] == ["1", None, ["h", "s"]]
        assert ns.cas(["s", "late"], add_one) == 3
        assert ns.load() == {"s": "3", "h": {"f": "2"}, "late": "1"}
        assert ns.purge(fence=1) == 3
        assert primary.run("EXISTS", ns.key("s"), ns.key("h"), ns.key("late")) == 0


def test_a_client_as_it_comes_reads_from_primaries(replicated: Cluster, flavour: Flavour, prefix: str) -> None:
    for ns in filled(replicated, flavour, prefix):
        for read in READS.values():
            assert read(ns)
    assert not READS.keys() & served(replicas(replicated)).keys()
