"""In a cluster, too, a commit whose reply is lost is settled, wherever its namespace is by then."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from cluster.flavours import Calls, Flavour, Increment
from support.deployments import Cluster
from support.nodes import Node, wait_until
from support.proxy import Proxy


@pytest.fixture(scope="module")
def proxies(cluster: Cluster) -> Iterator[dict[Node, Proxy]]:
    """One before every node, as the whole cluster tells its clients."""
    if cluster.version < (7,):
        pytest.skip("Redis 6.2 announces another port of itself only after a restart")
    proxies = {node: Proxy(node.port) for node in cluster.nodes}
    try:
        with cluster.announced({node: proxy.port for node, proxy in proxies.items()}):
            yield proxies
    finally:
        for proxy in proxies.values():
            proxy.close()


@pytest.fixture
def proxy(cluster: Cluster, proxies: dict[Node, Proxy], prefix: str) -> Iterator[Proxy]:
    """The one before the server of the namespace. Every fault that a test asks for must have happened at its end."""
    proxy = proxies[cluster.primary_of(f"{prefix}:{{user}}:n")]
    yield proxy
    assert proxy.unused() == []


@pytest.fixture
def ns(cluster: Cluster, proxy: Proxy, flavour: Flavour, prefix: str) -> Calls:
    """Its server knows the scripts: what is lost is the commit, and not that it has to be sent again."""
    ns = flavour.namespace(flavour.cluster(proxy.port), prefix, "user")
    ns.set("n", "4")
    assert ns.cas("n", Increment()) == (1, 5)
    return ns


def test_lost_reply(ns: Calls, proxy: Proxy) -> None:
    increment = Increment()
    proxy.lose_reply("COMMIT")
    assert ns.cas("n", increment, max_retries=1) == (1, 6)
    assert ns.get("n") == "6"
    assert increment.runs == 1


def test_lost_reply_of_the_only_attempt(ns: Calls, proxy: Proxy) -> None:
    proxy.lose_reply("COMMIT")
    assert ns.cas("n", Increment(), max_retries=0) == (1, 6)
    assert ns.get("n") == "6"


def test_lost_commit_that_is_sent_again_compares_anew(cluster: Cluster, ns: Calls, proxy: Proxy) -> None:
    """Somebody else writes while the connection is cut: the commit that is made in the end has seen it."""

    def rival() -> None:
        cluster.primary_of(ns.key("n")).run("SET", ns.key("n"), "100", "PX", 60_000)

    proxy.drop("COMMIT", then=rival)
    assert ns.cas("n", Increment(), max_retries=1) == (2, 101)
    assert ns.get("n") == "101"


@pytest.mark.parametrize("max_retries", [0, 3])
def test_lost_reply_of_a_slot_that_moves(cluster: Cluster, ns: Calls, proxy: Proxy, max_retries: int) -> None:
    """The commit was made on one node, and is found on the other."""
    increment = Increment()
    proxy.lose_reply("COMMIT", then=lambda: cluster.migrate(ns.key("n")))
    assert ns.cas("n", increment, max_retries=max_retries) == (1, 6)
    assert ns.get("n") == "6"
    assert increment.runs == 1


def test_lost_reply_of_a_slot_that_moves_and_is_changed(cluster: Cluster, ns: Calls, proxy: Proxy) -> None:
    """What others wrote on top of it at its new place stays, and it is not made again."""
    increment = Increment()

    def move_and_change() -> None:
        cluster.migrate(ns.key("n"))
        cluster.primary_of(ns.key("n")).run("INCRBY", ns.key("n"), 10)

    proxy.lose_reply("COMMIT", then=move_and_change)
    assert ns.cas("n", increment) == (1, 6)
    assert (ns.get("n"), increment.runs) == ("16", 1)


@pytest.mark.parametrize("max_retries", [0, 3])
def test_lost_reply_of_keys_that_move_ahead(cluster: Cluster, ns: Calls, proxy: Proxy, max_retries: int) -> None:
    with ExitStack() as stack:

        def move() -> None:
            stack.enter_context(cluster.migration(ns.key("n"))).move_all()

        proxy.lose_reply("COMMIT", then=move)
        assert ns.cas("n", Increment(), max_retries=max_retries) == (1, 6)
    assert ns.get("n") == "6"


@pytest.mark.parametrize("max_retries", [0, 3])
def test_lost_reply_of_a_namespace_that_is_split_for_a_while(
    cluster: Cluster, ns: Calls, proxy: Proxy, max_retries: int
) -> None:
    """It is found when its record and its slot are in one place again."""
    increment = Increment()
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:

        def split() -> None:
            migration = stack.enter_context(cluster.migration(ns.key("n")))
            migration.move(ns.index)
            enough = cluster.refusals()["TRYAGAIN"] + 3
            pool.submit(
                lambda: (
                    wait_until(lambda: cluster.refusals()["TRYAGAIN"] >= enough, "it is split"),
                    migration.move_all(),
                )
            )

        proxy.lose_reply("COMMIT", then=split)
        assert ns.cas("n", increment, max_retries=max_retries) == (1, 6)
    assert (ns.get("n"), increment.runs) == ("6", 1)


def test_late_commit_after_the_slot_has_come_back(cluster: Cluster, ns: Calls, proxy: Proxy) -> None:
    """It has been sent again meanwhile, and been made; now it does nothing."""
    home = cluster.primary_of(ns.key("n"))
    late = proxy.hold("COMMIT")
    assert ns.cas("n", Increment()) == (1, 6)
    cluster.migrate(ns.key("n"))
    cluster.migrate(ns.key("n"), target=home)
    home.run("INCR", ns.key("n"))
    late.release()
    assert ns.get("n") == "7"


def test_id_whose_reply_is_lost_while_the_slot_moves(cluster: Cluster, ns: Calls, proxy: Proxy) -> None:
    assert ns.incr("id") == 1
    proxy.lose_reply("SINGLE", then=lambda: cluster.migrate(ns.key("n")))
    assert [ns.incr("id"), ns.incr("id")] == [2, 3]
