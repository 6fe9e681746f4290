"""A process that is forked by somebody who runs none of Python's hooks: `python -m support.forks <port> <prefix>`.

Parent and child write to one namespace, the child while a reply to the parent is lost. Prints what the parent was answered.
"""

from __future__ import annotations

import ctypes
import os
import sys

import redis

from session_store import SessionStore
from support.proxy import PATIENCE, proxied


def main(port: int, prefix: str) -> None:
    def namespace(port: int, name: str = "session") -> SessionStore[str]:
        client = redis.Redis(port=port, socket_timeout=PATIENCE)
        return SessionStore(client, prefix=prefix, default_ttl=60).namespace(name)

    namespace(port, "warm").incr("ids")  # as an application does that is loaded before its workers are forked
    namespace(port).set("step", "basket")
    begin, begins = os.pipe()
    end, ends = os.pipe()
    if ctypes.PyDLL(None).fork() == 0:  # as uWSGI does
        os.read(begin, 1)
        for _ in range(3):
            namespace(port, "other").incr("ids")
        namespace(port).set("step", "address")
        os.write(ends, b"x")
        os._exit(0)

    def let_child_write() -> None:
        os.write(begins, b"x")
        os.read(end, 1)

    with proxied(port) as proxy:
        ns = namespace(proxy.port)
        ns.get("step")
        proxy.lose_reply("SINGLE", then=let_child_write)
        print(ns.hincrby("lines", "tea"))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
