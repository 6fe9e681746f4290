"""Writers that run in processes of their own: `python -m support.workers <port> <prefix> <calls> <max_retries>`."""

from __future__ import annotations

import json
import sys
from typing import Any

import redis

from session_store import SessionStore


def increment(port: int, prefix: str, calls: int, max_retries: int) -> list[int]:
    """Adds one to slot n so many times. The sums, each as the closure returned it.

    The first closure says that it runs, and waits for a line: all writers then commit on top of the same value.
    """
    waited = False

    def closure(snap: Any, ops: Any) -> int:
        nonlocal waited
        total = int(snap.get("n") or 0) + 1
        if not waited:
            waited = True
            print("running", flush=True)
            sys.stdin.readline()
        ops.set("n", str(total))
        return total

    with redis.Redis(port=port, socket_timeout=10) as client:
        ns = SessionStore(client, prefix=prefix, default_ttl=600).namespace("session")
        return [ns.with_cas("n", closure, max_retries=max_retries) for _ in range(calls)]


if __name__ == "__main__":
    print(json.dumps(increment(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
