"""A network in between: a TCP proxy, in a process of its own, that delays what passes through.

Each direction of a connection is a thread that reads, sleeps and sends. So what is sent while something is held waits
longer, which no single caller notices: it sends nothing while it waits for an answer.
"""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

START_S = 20  # seconds that it may take to start
_CHUNK = 65_536


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """The port by which a server is reached with so much delay each way."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, port, seconds), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(START_S):
            raise TimeoutError("the proxy did not start")
        yield here.recv()
    finally:
        process.kill()
        process.join()
        here.close()


def _serve(pipe: Connection[Any, Any], port: int, seconds: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pass, args=(source, target, seconds), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with suppress(OSError):  # the other direction has ended
        while data := source.recv(_CHUNK):
            time.sleep(seconds)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
