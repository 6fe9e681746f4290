"""A real Sentinel deployment: a master with replicas, and Sentinels that name another master when it dies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis

from support.nodes import SYNC, Node, wait_until
from support.servers import Server


class _SentinelServer(Server):
    """A process that watches over a primary; its file is written by the process itself from then on."""

    def __init__(self, primary_port: int) -> None:
        self._primary_port = primary_port
        super().__init__()

    def _launch(self, port: int) -> None:
        self.port = port
        file = Path(self._folder.name) / f"sentinel-{port}.conf"
        if not file.exists():
            name = SentinelDeployment.NAME
            file.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {self._folder.name}\n"
                f"sentinel monitor {name} 127.0.0.1 {self._primary_port} 2\n"
                f"sentinel down-after-milliseconds {name} 1000\n"
                f"sentinel failover-timeout {name} 5000\n"
                f"sentinel parallel-syncs {name} 2\n"
            )
        command = (self._executable, str(file), "--sentinel")
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)


class SentinelDeployment:
    """A master with two replicas, and three Sentinels that watch over them."""

    NAME = "sessions"

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.sentinels: list[Node] = []
        try:
            for _ in range(3):
                self.nodes.append(Node(Server(*SYNC)))
            for node in self.nodes[1:]:
                node.run("REPLICAOF", "127.0.0.1", self.nodes[0].port)
            for _ in range(3):
                self.sentinels.append(Node(_SentinelServer(self.nodes[0].port)))
            wait_until(lambda: self._is_in_sync() and all(map(self._sees_all, self.sentinels)), "all are found")
        except BaseException:
            self.stop()
            raise

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Those of the Sentinels, as redis-py's `Sentinel` takes them."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.alive]

    def master(self) -> Node:
        """The one that all Sentinels name."""
        ports = {self._named_by(sentinel) for sentinel in self.sentinels}
        for node in self.nodes:
            if ports == {node.port}:
                return node
        raise redis.ConnectionError("the Sentinels do not agree")

    def _named_by(self, sentinel: Node) -> int:
        return int(sentinel.run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1])

    def kill_master(self) -> Node:
        """Kills it as a crash would, and returns it once another one is master for all Sentinels."""
        killed = self.master()
        killed.kill()
        wait_until(lambda: self.master() is not killed and self.master().info()["role"] == "master", "a new master")
        return killed

    def restore(self) -> None:
        """Starts the killed nodes again, as replicas of the master. Returns when they are in sync.

        The Sentinels need ten seconds and more until they see it: a test that wants another failover has one anew.
        """
        for node in self.nodes:
            if not node.alive:
                node.start()
                # A Sentinel would do this too, after it has looked on for ten seconds.
                node.run("REPLICAOF", "127.0.0.1", self.master().port)
        wait_until(self._is_in_sync, "the replicas are in sync")

    def _is_in_sync(self) -> bool:
        master = self.master()
        return all(node.follows(master.port) for node in self.nodes if node is not master)

    def _sees_all(self, sentinel: Node) -> bool:
        """A Sentinel that does not know the others and the replicas, and knows them well, could not act."""
        state = _pairs(sentinel.run("SENTINEL", "MASTER", self.NAME))
        replicas = map(_pairs, sentinel.run("SENTINEL", "REPLICAS", self.NAME))
        healthy = [each for each in replicas if each["flags"] == "slave" and each["master-link-status"] == "ok"]
        return state["flags"] == "master" and state["num-other-sentinels"] == "2" and len(healthy) == 2

    def stop(self) -> None:
        for node in (*self.sentinels, *self.nodes):
            node.stop()


def _pairs(reply: list[str]) -> dict[str, str]:
    return dict(zip(reply[::2], reply[1::2], strict=True))
