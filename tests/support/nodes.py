"""A server of a deployment, as an operator sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis

from support.servers import Server

PATIENCE = 30  # seconds; only a test that fails waits for so long
# A replica that comes is in sync as soon as it can be.
SYNC = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Returns when the condition holds; a server that cannot say is not there yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if condition():
                return
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {PATIENCE} seconds: {what}")
        time.sleep(0.02)


class Node:
    """A server, and a client of it for the commands of an operator."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self.alive = True
        self._client = redis.Redis(port=server.port, protocol=2, decode_responses=True, socket_timeout=10)
        self._client.response_callbacks.clear()  # replies as they come: what redis-py makes of them changes
        self.id = ""

    def run(self, *command: Any) -> Any:
        return self._client.execute_command(*command)

    def asking(self, *command: Any) -> Any:
        """On a node that is importing the hash slot."""
        with self._client.pipeline(transaction=False) as pipeline:
            return pipeline.execute_command("ASKING").execute_command(*command).execute()[1]

    def info(self, *command: str) -> dict[str, str]:
        """A reply made of lines `name:value`."""
        lines = str(self.run(*(command or ("INFO", "replication")))).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def follows(self, port: int) -> bool:
        """Whether it is a replica of that server, and in sync."""
        info = self.info()
        return info["role"] == "slave" and info["master_port"] == str(port) and info["master_link_status"] == "up"

    def kill(self) -> None:
        self.alive = False
        self.server.kill()

    def start(self) -> None:
        self.server.start()
        self.alive = True

    def stop(self) -> None:
        self._client.close()
        self.server.stop()
