"""A cluster answers `with_cas` that a slot is elsewhere, split between two nodes, or not served: at any point of it.

The closure adds one to n, which holds 5. A commit in the wrong place, on top of another value, or made twice gives
another sum than the one that the test names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis
from cluster.flavours import Calls, Flavour, Increment
from support.closures import Steps
from support.deployments import Cluster, Migration
from support.nodes import wait_until

# Of a namespace that is split between two nodes: one names the other (before Redis 7), which says TRYAGAIN.
SPLIT = (redis.exceptions.TryAgainError, redis.exceptions.AskError)


@pytest.fixture
def ns(cluster: Cluster, flavour: Flavour, prefix: str) -> Calls:
    """A namespace whose server the client knows."""
    ns = flavour.namespace(flavour.cluster(cluster.port), prefix, "user")
    ns.set("n", "5")
    ns.set("other", "theirs")
    return ns


@pytest.fixture
def migration(cluster: Cluster, ns: Calls) -> Iterator[Migration]:
    """The namespace's hash slot on its way: no key has been moved. It arrives at the end."""
    with cluster.migration(ns.key("n")) as migration:
        yield migration


@contextmanager
def told(cluster: Cluster, *names: str) -> Iterator[None]:
    """What is done in the block meets these answers."""
    before = cluster.refusals()
    yield
    assert set(names) <= set(cluster.refusals() - before)


@contextmanager
def once_told(cluster: Cluster, name: str, then: Callable[[], object]) -> Iterator[None]:
    """Something happens when clients have been given this answer three times more."""
    enough = cluster.refusals()[name] + 3

    def react() -> None:
        wait_until(lambda: cluster.refusals()[name] >= enough, f"clients are told {name}")
        then()

    with ThreadPoolExecutor(1) as pool:
        reaction = pool.submit(react)
        yield
        reaction.result()


def rival_sets_n(cluster: Cluster, ns: Calls) -> None:
    """Another program, which goes to the right server."""
    cluster.primary_of(ns.key("n")).run("SET", ns.key("n"), "100", "PX", 60_000)


def test_slot_that_has_moved(cluster: Cluster, ns: Calls) -> None:
    cluster.migrate(ns.key("n"))
    with told(cluster, "MOVED"):
        assert ns.cas("n", Increment()) == (1, 6)
    assert ns.get("n") == "6"


def test_slot_that_moves_before_the_commit(cluster: Cluster, ns: Calls) -> None:
    """The commit follows it: what is watched is there what it was."""
    with told(cluster, "MOVED"):
        assert ns.cas("n", Increment(first=lambda: cluster.migrate(ns.key("n"))), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_slot_that_moves_and_is_changed(cluster: Cluster, ns: Calls) -> None:
    def first() -> None:
        cluster.migrate(ns.key("n"))
        rival_sets_n(cluster, ns)

    assert ns.cas("n", Increment(first=first)) == (2, 101)
    assert ns.get("n") == "101"


def test_slot_that_is_changed_elsewhere_and_comes_back(cluster: Cluster, ns: Calls) -> None:
    """At the commit the server is the right one, but what it watched is not what it has."""
    home = cluster.primary_of(ns.key("n"))

    def first() -> None:
        cluster.migrate(ns.key("n"))
        rival_sets_n(cluster, ns)
        cluster.migrate(ns.key("n"), target=home)

    assert ns.cas("n", Increment(first=first)) == (2, 101)
    assert ns.get("n") == "101"


def test_read_in_the_closure_after_the_slot_has_moved(cluster: Cluster, ns: Calls) -> None:
    increment = Increment(first=lambda: cluster.migrate(ns.key("n")), then_reads="other")
    assert ns.cas("n", increment, max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_keys_that_have_moved_ahead(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """ASK: the next node has the keys, but not yet the slot."""
    migration.move_all()
    with told(cluster, "ASK"):
        assert ns.cas("n", Increment()) == (1, 6)
    assert migration.target.asking("GET", ns.key("n")) == "6"
    assert ns.get("n") == "6"


def test_keys_that_move_ahead_before_the_commit(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    with told(cluster, "ASK"):
        assert ns.cas("n", Increment(first=migration.move_all), max_retries=0) == (1, 6)
    assert migration.target.asking("GET", ns.key("n")) == "6"


def test_keys_that_have_moved_ahead_and_are_changed(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """The next node compares as the first would have done."""
    migration.move_all()

    def first() -> None:
        migration.target.asking("SET", ns.key("n"), "100", "PX", 60_000)

    assert ns.cas("n", Increment(first=first)) == (2, 101)
    assert migration.target.asking("GET", ns.key("n")) == "101"


def test_slot_that_arrives_during_the_closure(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """The commit goes to the node that was named by ASK, which has become the owner."""
    migration.move_all()
    assert ns.cas("n", Increment(first=migration.finish), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_namespace_that_is_split_for_a_while(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """TRYAGAIN: one node has the index, the other one the slot."""
    migration.move(ns.index)
    with once_told(cluster, "TRYAGAIN", migration.move_all):
        assert ns.cas("n", Increment(), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_namespace_that_is_split_before_the_commit(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    with once_told(cluster, "TRYAGAIN", migration.move_all):
        assert ns.cas("n", Increment(first=lambda: migration.move(ns.index)), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_read_in_the_closure_of_a_slot_that_has_moved_ahead(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """It is read where it is; what is watched has stayed, and is committed there."""
    migration.move(ns.key("other"))
    with told(cluster, "ASK"):
        assert ns.cas("n", Increment(then_reads="other"), max_retries=0) == (1, 6)
    assert migration.source.run("GET", ns.key("n")) == "6"
    assert ns.get("n") == "6"


def test_read_of_a_large_slot_that_is_split_from_its_index(cluster: Cluster, ns: Calls) -> None:
    """What is watched is read with its mark, once all of it is in one place."""
    ns.set("large", "x" * 100_000)
    with cluster.migration(ns.key("n")) as migration:

        def closure(ops: Any) -> Steps:
            migration.move(ns.index)
            text = yield "get", "large"
            ops.set("n", str(len(text)))
            return len(text)

        with once_told(cluster, "TRYAGAIN", migration.move_all):
            assert ns.cas(["n", "large"], closure, max_retries=0) == 100_000
    assert ns.get("n") == "100000"


@pytest.mark.parametrize("slot", ["n", "new"])
def test_slots_that_come_into_being(
    cluster: Cluster, flavour: Flavour, ns: Calls, prefix: str, migration: Migration, slot: str
) -> None:
    """A key that is in no place may be in either, as Redis has it: the commit is made when the hash slot has arrived.

    Whether the namespace is there already or not.
    """
    if slot == "n":
        ns = flavour.namespace(flavour.cluster(cluster.port), f"{prefix}-more", "user")
    runs = []

    def closure(ops: Any) -> Steps:
        runs.append((yield "get", "n"))
        ops.set(slot, "6")
        return "written"

    with once_told(cluster, "TRYAGAIN", migration.finish):
        assert ns.cas("n", closure, max_retries=0) == "written"
    assert (ns.get(slot), runs) == ("6", [None if slot == "n" else "5"])


def test_namespace_that_stays_split(cluster: Cluster, ns: Calls, migration: Migration) -> None:
    """It is redis-py's error after a bounded number of tries, and nothing has been written."""
    migration.move(ns.index)
    increment = Increment()
    before = cluster.refusals()["TRYAGAIN"]
    with pytest.raises(SPLIT):
        ns.cas("n", increment)
    assert 0 < cluster.refusals()["TRYAGAIN"] - before < 50
    assert increment.runs == 0
    with pytest.raises(SPLIT):
        ns.incr("n")
    migration.finish()
    assert ns.get("n") == "5"
    assert ns.cas("n", Increment()) == (1, 6)


def test_cluster_that_is_down_for_a_while(cluster: Cluster, ns: Calls) -> None:
    with cluster.down(ns.key("n")) as up, once_told(cluster, "CLUSTERDOWN", up):
        assert ns.cas("n", Increment(), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_cluster_that_goes_down_before_the_commit(cluster: Cluster, ns: Calls) -> None:
    with ExitStack() as stack:

        def first() -> None:
            up = stack.enter_context(cluster.down(ns.key("n")))
            stack.enter_context(once_told(cluster, "CLUSTERDOWN", up))

        assert ns.cas("n", Increment(first=first), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_cluster_that_stays_down(cluster: Cluster, ns: Calls) -> None:
    increment = Increment()
    with cluster.down(ns.key("n")), pytest.raises(redis.exceptions.ClusterDownError):
        ns.cas("n", increment)
    assert increment.runs == 0
    assert ns.get("n") == "5"
    assert ns.cas("n", Increment()) == (1, 6)
