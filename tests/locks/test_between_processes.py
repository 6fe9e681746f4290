"""Writers of several processes, at the default settings."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from support.servers import Server

from session_store import SessionStore

pytestmark = pytest.mark.long

TESTS = Path(__file__).parents[1]
PROCESSES = 8
COMMITS = 300


@pytest.fixture
def start(server: Server, prefix: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts a writer; see `support.contenders`."""
    with ExitStack() as stack:

        def start(*arguments: object) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.contenders", str(server.port), prefix, *map(str, arguments)],
                cwd=TESTS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout.readline() == "ready\n"
            return process

        yield start


def go(*processes: subprocess.Popen[str]) -> None:
    """Lets them begin at the same moment."""
    begin = time.monotonic() + 0.1
    for process in processes:
        process.stdin.write(f"{begin}\n")
        process.stdin.flush()


@pytest.mark.parametrize("closure_ms", [0, 2])
def test_nobody_gives_up(start: Any, server: Server, prefix: str, closure_ms: int) -> None:
    """At 3 retries, and each commit is there once. How often closures run, and in what shares, the benchmarks measure."""
    processes = [start(COMMITS, closure_ms) for _ in range(PROCESSES)]
    go(*processes)
    assert [process.communicate(timeout=120)[0] for process in processes] == ["0\n"] * PROCESSES
    with redis.Redis(port=server.port) as client:
        assert int(client.get(f"{prefix}:session:n")) == PROCESSES * COMMITS
        assert all(client.pttl(key) > 0 for key in client.scan_iter(match=f"{prefix}:*"))
        assert not [field for field in client.hkeys(f"{prefix}:session:~index") if field.startswith(b"~lock")]


def test_holder_that_was_killed_is_not_waited_for_for_ever(start: Any, server: Server, prefix: str) -> None:
    """Its lock runs out."""
    victim = start(1, "holds")
    go(victim)
    assert victim.stdout.readline() == "holding\n"
    with redis.Redis(port=server.port) as client:
        store = SessionStore(client, prefix=prefix, default_ttl=600)
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)
        index, lock = f"{prefix}:session:~index", "~lock:n"
        ends_ms, seconds = int(client.hget(index, lock).split(b":")[0]), client.time()[0]
        assert ends_ms / 1000 <= seconds + 2
        assert store.namespace("session").with_cas("n", lambda snap, ops: snap.get("n"), max_retries=0) == "0"
        assert not client.hexists(index, lock)
