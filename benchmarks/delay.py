"""A network in between: a TCP proxy, in a process of its own, that delays what passes through, or loses replies.

Each direction of a connection is a thread that reads, sleeps and sends. So what is sent while something is held waits
longer, which no single caller notices: it sends nothing while it waits for an answer.
"""

from __future__ import annotations

import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

START_S = 20  # seconds that it may take to start
_CHUNK = 65_536


@contextmanager
def delayed(port: int, seconds: float, *, lost: float = 0) -> Iterator[int]:
    """The port by which a server is reached with so much delay each way.

    `lost`: the share of replies in whose place the connection is cut, though the server has done what it was asked.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, port, seconds, lost), daemon=True)
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


class _Link:
    """What the two directions of a connection know of each other."""

    def __init__(self, lost: float, draw: random.Random) -> None:
        self._lost, self._draw = lost, draw
        self._asked = False  # since the last reply began: one of many chunks is not lost more often than one of one

    def request(self) -> bool:
        """Something comes from the client; it always passes."""
        self._asked = True
        return True

    def reply(self) -> bool:
        """Something comes from the server. Whether it passes."""
        begins, self._asked = self._asked, False
        return not begins or self._draw.random() >= self._lost


def _serve(pipe: Connection[Any, Any], port: int, seconds: float, lost: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    draw = random.Random(1)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        link = _Link(lost, draw)
        for source, target, passes in ((client, server, link.request), (server, client, link.reply)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pass, args=(source, target, seconds, passes), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, seconds: float, passes: Callable[[], bool]) -> None:
    with suppress(OSError):  # the other direction has ended
        while (data := source.recv(_CHUNK)) and passes():
            if seconds:
                time.sleep(seconds)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
