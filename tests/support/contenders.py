"""Writers that contend: `python -m support.contenders <port> <prefix> <commits> <milliseconds | "holds">`.

Says "ready", waits for a line, and for the time that stands in it (of the monotonic clock); adds one to slot n so many
times, and says how many of these calls gave up. One that "holds" loses its first attempt, says "holding" in its second one, and
stays there.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import redis

from session_store import CasContentionError, SessionStore


def main(port: int, prefix: str, commits: int, kind: str) -> None:
    client = redis.Redis(port=port, socket_timeout=10)
    ns = SessionStore(client, prefix=prefix, default_ttl=600).namespace("session")
    ns.exists("n")
    print("ready", flush=True)
    time.sleep(max(0.0, float(sys.stdin.readline()) - time.monotonic()))
    given_up = runs = 0

    def closure(snap: Any, ops: Any) -> None:
        nonlocal runs
        runs += 1
        if kind != "holds":
            time.sleep(int(kind) / 1000)
        elif runs == 1:
            client.set(ns.key("n"), "0", px=600_000)
        else:
            print("holding", flush=True)
            sys.stdin.readline()
        ops.set("n", str(int(snap.get("n") or 0) + 1))

    for _ in range(commits):
        try:
            ns.with_cas("n", closure)
        except CasContentionError:
            given_up += 1
    print(given_up)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
