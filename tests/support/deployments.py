"""Real clusters, whose slots move and whose primaries die. `sentinel.py` has the other deployment of several servers.

Everything is done by commands, as an operator's tool would: nothing here knows the library.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import redis
from redis.crc import key_slot

from support.nodes import SYNC, Node, wait_until
from support.servers import Server

SLOTS = 16_384
NODE_TIMEOUT_MS = 1_500  # a node that is silent for so long has failed


class Migration:
    """A hash slot on its way to another primary, which the test takes step by step.

    `begin`: the source answers ASK for the keys that it has not, TRYAGAIN where it has some of several. `move` takes
    keys over; `finish` takes what is left, and tells everyone.
    """

    def __init__(self, cluster: Cluster, slot: int, target: Node | None = None) -> None:
        self._cluster = cluster
        self.slot = slot
        self.source = cluster.primary_of_slot(slot)
        self.target = target or next(node for node in cluster.primaries() if node is not self.source)

    def begin(self) -> None:
        self.target.run("CLUSTER SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.run("CLUSTER SETSLOT", self.slot, "MIGRATING", self.target.id)

    def keys(self, most: int = 1000) -> list[str]:
        """What the source still has."""
        keys: list[str] = self.source.run("CLUSTER GETKEYSINSLOT", self.slot, most)
        return keys

    def move(self, *keys: str) -> None:
        self.source.run("MIGRATE", "127.0.0.1", self.target.port, "", 0, 10_000, "KEYS", *keys)

    def move_all(self, *, batch: int = 10, pause: float = 0) -> None:
        while keys := self.keys(batch):
            self.move(*keys)
            time.sleep(pause)

    def finish(self) -> None:
        """Tells the target first, so that the slot always has an owner; and the source only once it is empty."""
        self.move_all()
        for node in dict.fromkeys((self.target, self.source, *self._cluster.primaries())):
            node.run("CLUSTER SETSLOT", self.slot, "NODE", self.target.id)
        self._cluster.wait_until_served(self.slot, self.target)


class Cluster:
    """Three primaries that share the hash slots between them, each with so many replicas."""

    def __init__(self, *, replicas: int = 0) -> None:
        self.nodes: list[Node] = []
        self._replicas = replicas
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
        # A replica takes over however long its link was down: no slot must end without an owner on a busy machine.
        options += ("--cluster-replica-validity-factor", "0", *SYNC)
        try:
            for _ in range(3 + 3 * replicas):
                self.nodes.append(Node(Server(*options)))
            self._join()
        except BaseException:
            self.stop()
            raise

    @property
    def port(self) -> int:
        return self.living()[0].port

    @property
    def version(self) -> tuple[int, ...]:
        """As commands and replies go: Valkey 8 says 7.2."""
        return tuple(map(int, self.living()[0].info("INFO", "server")["redis_version"].split(".")))

    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.alive]

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _join(self) -> None:
        for number, node in enumerate(self.nodes):
            node.id = node.run("CLUSTER MYID")
            node.run("CLUSTER SET-CONFIG-EPOCH", number + 1)
        share = SLOTS // 3 + 1
        for number, node in enumerate(self.nodes[:3]):
            node.run("CLUSTER ADDSLOTS", *range(number * share, min((number + 1) * share, SLOTS)))
        for node in self.nodes[1:]:
            self.nodes[0].run("CLUSTER MEET", "127.0.0.1", node.port)
        ids = {node.id for node in self.nodes}
        wait_until(lambda: all(ids == set(self._roles(node)) for node in self.nodes), "all nodes know each other")
        for number, node in enumerate(self.nodes[3:]):
            node.run("CLUSTER REPLICATE", self.nodes[number % 3].id)
        self.wait_until_whole()

    def _roles(self, node: Node) -> dict[str, set[str]]:
        """What a node says of all nodes: their flags, by id."""
        lines = map(str.split, node.run("CLUSTER NODES").splitlines())
        return {words[0]: set(words[2].split(",")) for words in lines}

    def primaries(self) -> list[Node]:
        """Those that have slots, as the first living node sees it."""
        ids = dict.fromkeys(owner for _, _, owner in self._owners(self.living()[0]))
        return [node for owner in ids for node in self.nodes if node.id == owner]

    def _owners(self, node: Node) -> Iterable[tuple[int, int, str]]:
        for first, last, primary, *_ in node.run("CLUSTER SLOTS"):
            yield first, last, primary[2]

    def primary_of_slot(self, slot: int) -> Node:
        return self._seen_from(self.living()[0], slot)

    def primary_of(self, key: str) -> Node:
        """The node that serves a key."""
        return self.primary_of_slot(key_slot(key.encode()))

    def replica_of(self, primary: Node) -> Node:
        return next(node for node in self.living() if node.info().get("master_port") == str(primary.port))

    def _seen_from(self, node: Node, slot: int) -> Node:
        for first, last, owner in self._owners(node):
            if first <= slot <= last:
                return next(each for each in self.nodes if each.id == owner)
        raise redis.ClusterDownError(f"slot {slot} has no owner")

    def wait_until_served(self, slot: int, by: Node) -> None:
        """Every living node says so, and serves.

        And has heard it from that node itself, by whose epoch it was taken over: else, if the slot moved again at once,
        what is still on its way could give it back, and the nodes would not agree any more.
        """
        wait_until(
            lambda: (
                all(self._seen_from(node, slot) is by and self._is_up(node) for node in self.living())
                and len({self._epoch(by, node) for node in self.living()}) == 1
            ),
            f"slot {slot} is served by port {by.port}",
        )

    def _epoch(self, of: Node, seen_from: Node) -> str:
        lines = map(str.split, seen_from.run("CLUSTER NODES").splitlines())
        return next(str(words[6]) for words in lines if words[0] == of.id)

    def _is_up(self, node: Node) -> bool:
        return node.info("CLUSTER INFO")["cluster_state"] == "ok"

    def wait_until_whole(self) -> None:
        """Every node serves and sees nothing amiss, and every primary has its replicas in sync."""
        wait_until(self._is_whole, "the cluster is whole")

    def _is_whole(self) -> bool:
        primaries = self.primaries()
        followers = [node for node in self.living() if node not in primaries]
        return (
            len(followers) == 3 * self._replicas
            and all(any(node.follows(primary.port) for primary in primaries) for node in followers)
            and all(int(node.info()["connected_slaves"]) == self._replicas for node in primaries)
            and all(self._is_up(node) and self._sees_all(node, followers) for node in self.living())
        )

    def _sees_all(self, node: Node, followers: list[Node]) -> bool:
        roles = self._roles(node)
        replicas = {name for name, flags in roles.items() if "slave" in flags}
        amiss = {flag for flags in roles.values() for flag in flags} & {"fail", "fail?", "handshake", "noaddr"}
        return replicas == {each.id for each in followers} and not amiss

    def refusals(self) -> Counter[str]:
        """How often clients were told MOVED, ASK, TRYAGAIN or another error since the nodes have been running."""
        counts: Counter[str] = Counter()
        for node in self.living():
            for name, value in node.info("INFO", "errorstats").items():  # errorstat_MOVED:count=3
                counts[name.removeprefix("errorstat_")] += int(value.removeprefix("count="))
        return counts

    def take_refusals(self) -> Counter[str]:
        """The same, since it was asked last."""
        counts = self.refusals()
        for node in self.living():
            node.run("CONFIG RESETSTAT")
        return counts

    @contextmanager
    def migration(self, key: str, target: Node | None = None) -> Iterator[Migration]:
        """The hash slot of a key on its way: begun, and finished at the end."""
        migration = Migration(self, key_slot(key.encode()), target)
        migration.begin()
        try:
            yield migration
        finally:
            migration.finish()

    def migrate(self, key: str, *, target: Node | None = None, batch: int = 10, pause: float = 0) -> None:
        """Takes the hash slot of a key to another primary: so many keys at a time, and so many seconds between."""
        with self.migration(key, target) as migration:
            migration.move_all(batch=batch, pause=pause)

    @contextmanager
    def down(self, key: str) -> Iterator[Callable[[], None]]:
        """The server of a key says that the cluster is down: it misses a hash slot. Yields what ends it early."""
        node, slot = self.primary_of(key), key_slot(key.encode())
        missed = next(number for number in range(SLOTS) if number != slot and self._seen_from(node, number) is node)
        node.run("CLUSTER DELSLOTS", missed)
        wait_until(lambda: not self._is_up(node), "the cluster is down")

        def up() -> None:
            if not self._is_up(node):
                node.run("CLUSTER ADDSLOTS", missed)
                wait_until(lambda: self._is_up(node), "the cluster is up")

        try:
            yield up
        finally:
            up()

    @contextmanager
    def announced(self, ports: dict[Node, int]) -> Iterator[None]:
        """All nodes tell clients other ports of these nodes, such as those of proxies."""
        self._announce(ports)
        try:
            yield
        finally:
            self._announce(dict.fromkeys(ports, 0))

    def _announce(self, ports: dict[Node, int]) -> None:
        for node, port in ports.items():
            node.run("CONFIG SET cluster-announce-port", port)
        told = {node.id: port or node.port for node, port in ports.items()}
        wait_until(
            lambda: all(self._ports(node).items() >= told.items() for node in self.living()), "the ports are told"
        )

    def _ports(self, node: Node) -> dict[str, int]:
        """The ports of the primaries that a node tells clients, by id."""
        return {primary[2]: primary[1] for _, _, primary, *_ in node.run("CLUSTER SLOTS")}

    def kill_primary_of(self, key: str, *, cut_off: Callable[[], object] | None = None) -> Node:
        """Kills it as a crash would, and returns it once its replica serves its slots everywhere.

        `cut_off` is called shortly before, while nothing reaches the replica: what is written by then only, it never
        gets. It must take less than a second, or the replica is taken for dead.
        """
        killed = self.primary_of(key)
        heir = self.replica_of(killed)
        try:
            if cut_off is not None:
                heir.server.pause()
                killed.run("CLIENT KILL TYPE REPLICA")  # which cannot come back
                cut_off()
            killed.kill()
        finally:
            heir.server.resume()
        self.wait_until_served(key_slot(key.encode()), heir)
        return killed

    def restore(self) -> None:
        """Starts the killed nodes again: they come back as replicas. Returns when all is in sync."""
        for node in self.nodes:
            if not node.alive:
                node.start()
        self.wait_until_whole()
