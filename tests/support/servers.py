"""Real Redis servers, started on free loopback ports and ended by their pid."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from tempfile import TemporaryDirectory

import redis

from support import versions

START_SECONDS = 20


def program() -> str:
    """The server program to use when a test names none; see `versions.default`."""
    return versions.default()


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
