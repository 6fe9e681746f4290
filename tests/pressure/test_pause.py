"""A server that stands still for 5 seconds, and then goes on with whatever has reached it meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.exceptions import TimeoutError
from support.callers import Caller
from support.proxy import PATIENCE
from support.servers import Server

from session_store import CommitUnknownError

PAUSE = 5
SOCKET_TIMEOUT = 0.5
SHORT = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": SOCKET_TIMEOUT}
GIVES_UP: dict[str, Any] = {"retries": 0, **SHORT}
GOES_ON: dict[str, Any] = {"retries": 1_000, "backoff": 0.01, **SHORT}  # for longer than the pause lasts
WAITS: dict[str, Any] = {"socket_timeout": None}


def add(value: str | None, ops: Any) -> int:
    total = int(value or 0) + 1
    ops.set("n", str(total))
    return total


CALLS: dict[str, Callable[[Caller], object]] = {
    "incr": lambda ns: ns.incr("ids"),
    "hincrby": lambda ns: ns.hincrby("h", "f"),
    "with_cas": lambda ns: ns.cas("n", add, max_retries=1_000),
    "touch": lambda ns: ns.touch(),
    "get": lambda ns: ns.get("ids"),
}
ANSWERS = {"incr": 2, "hincrby": 2, "with_cas": 2, "touch": 3, "get": "1"}


class Standstill:
    """A server, and callers in threads of their own, each in a namespace of its own where everything is 1."""

    def __init__(
        self, server: Server, connect: Callable[..., Caller], prefix: str, threads: ThreadPoolExecutor
    ) -> None:
        self._server = server
        self._connect = connect
        self._prefix = prefix
        self._threads = threads
        self._inside: list[threading.Event] = []
        self._paused = threading.Event()
        self.callers: list[Caller] = []

    def caller(self, **options: Any) -> Caller:
        name = f"{self._prefix}-{len(self.callers)}"
        ns = self._connect(self._server.port, settings={"prefix": name}, **options)
        assert (ns.incr("ids"), ns.hincrby("h", "f"), ns.cas("n", add)) == (1, 1, 1)
        self.callers.append(ns)
        return ns

    def call(self, ns: Caller, name: str) -> Future[Any]:
        """A call that is made when the server stands still."""

        def wait_and_call() -> object:
            assert self._paused.wait(PATIENCE)
            return CALLS[name](ns)

        return self._threads.submit(wait_and_call)

    def commit(self, ns: Caller, max_retries: int) -> Future[Any]:
        """A commit that is sent when the server stands still; its closure has begun before."""
        inside = threading.Event()
        self._inside.append(inside)

        def closure(value: str | None, ops: Any) -> int:
            inside.set()
            assert self._paused.wait(PATIENCE)
            return add(value, ops)

        return self._threads.submit(lambda: ns.cas("n", closure, max_retries=max_retries))

    def pause(self, until_then: list[Future[Any]]) -> dict[Future[Any], BaseException | None]:
        """Stops the server for PAUSE seconds. What has become of some calls by then."""
        assert all(event.wait(PATIENCE) for event in self._inside)
        self._server.pause()
        end = time.monotonic() + PAUSE
        try:
            self._paused.set()
            outcomes = {future: future.exception(end - time.monotonic()) for future in until_then}
            time.sleep(end - time.monotonic())
        finally:
            self._server.resume()
        return outcomes

    def settle(self) -> None:
        """Hangs up, and waits until the server has done all that clients have sent and left behind."""
        for ns in self.callers:
            ns.wait(ns.client.connection_pool.disconnect())
        deadline = time.monotonic() + PATIENCE
        with redis.Redis(port=self._server.port, socket_timeout=10) as client:
            while client.info("clients")["connected_clients"] > 1:
                assert time.monotonic() < deadline


@pytest.fixture
def standstill(connect, make_server: Callable[..., Server], prefix: str) -> Iterator[Standstill]:
    with ThreadPoolExecutor(32) as threads:
        yield Standstill(make_server(), connect, prefix, threads)


def state(ns: Caller) -> tuple[str, str, str]:
    return ns.get("ids"), ns.hget("h", "f"), ns.get("n")


def test_pause(standstill: Standstill) -> None:
    """Who gives up is told so in time, who goes on or waits is served once, and nothing is ever done twice."""
    gives_up = {name: standstill.caller(**GIVES_UP) for name in CALLS}
    unknown = standstill.caller(**GIVES_UP)
    served = [(name, standstill.caller(**options)) for name in CALLS for options in (GOES_ON, WAITS)]
    commits = [standstill.caller(**options) for options in (GOES_ON, WAITS)]

    timeouts = [standstill.call(ns, name) for name, ns in gives_up.items()]
    commit = standstill.commit(unknown, max_retries=1)
    answers = [(name, standstill.call(ns, name)) for name, ns in served]
    sums = [standstill.commit(ns, max_retries=1_000) for ns in commits]
    outcomes = standstill.pause([*timeouts, commit])

    assert [type(outcomes[future]) for future in timeouts] == [TimeoutError] * len(CALLS)
    assert type(outcomes[commit]) is CommitUnknownError
    assert [(name, future.result(PATIENCE)) for name, future in answers] == [
        (name, ANSWERS[name]) for name, _ in answers
    ]
    assert [future.result(PATIENCE) for future in sums] == [2, 2]

    standstill.settle()
    for name, ns in served:
        assert state(ns) == tuple("2" if name == each else "1" for each in ("incr", "hincrby", "with_cas"))
    assert [state(ns) for ns in commits] == [("1", "1", "2")] * 2
    for ns in (*gives_up.values(), unknown):
        before = [int(each) for each in state(ns)]
        assert sum(before) in (3, 4)
        assert [ns.incr("ids"), ns.hincrby("h", "f"), ns.cas("n", add)] == [each + 1 for each in before]
