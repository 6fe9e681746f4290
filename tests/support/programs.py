"""Web servers and workers, started as an operator would, and asked over HTTP."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.servers import Server, free_port

ROOT = Path(__file__).parents[2]
SECONDS = 60  # that starting, and all that is to be done, may take
PORT = "8000"  # what is replaced by a free one


class Answer(NamedTuple):
    """`cookie`: the one that is set, as it is sent; empty where there is none."""

    status: int
    body: bytes
    cookie: str


@contextmanager
def started(
    program: str, arguments: Sequence[str], folder: Path, server: Server, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Runs a program of the environment in a folder. Gives its port, and has it end in an orderly way."""
    port = free_port()
    inherited = {
        **os.environ,
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": f"redis://127.0.0.1:{server.port}",
        **(environment or {}),
    }
    command = [Path(sys.executable).with_name(program), *(each.replace(PORT, str(port)) for each in arguments)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=inherited, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    written = (folder / "log").read_text()
    assert status in (0, -signal.SIGTERM), written
    assert "MonkeyPatchWarning" not in written, written  # gevent's, where it came too late


def until(holds: Callable[[], bool], folder: Path) -> None:
    """Waits until something holds that other processes have to do."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)


def ask(port: int, method: str, path: str, cookie: str = "") -> Answer:
    """One request, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, headers={"Content-Length": "0", "Cookie": cookie})
        response = connection.getresponse()
        return Answer(response.status, response.read(), response.headers.get("Set-Cookie", "").partition(";")[0])
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Whether the program answers."""
    try:
        return ask(port, "POST", "/nothing").status == 404
    except OSError:
        return False
