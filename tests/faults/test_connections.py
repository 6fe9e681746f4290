"""Pools of one connection, sync: whatever a closure raises and wherever it is interrupted, the pool stays whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
import redis
from support.proxy import PATIENCE
from support.servers import Server

from session_store import CasContentionError, Namespace, SessionStore, WrongTypeError

SLOTS = ("a", "b", "c")
TIMES = 20


class Interruption(BaseException):
    """What a signal handler raises, as Ctrl-C does: no Exception."""


class InterruptibleConnection(redis.Connection):
    """Raises once, just before or after the step that a countdown chooses; a step is a write or the reading of a reply.

    Connecting has none: what happens there is redis-py's affair.
    """

    countdown: int | None = None
    late = False
    connecting = False

    def connect_check_health(self, *args: Any, **kwargs: Any) -> Any:
        self.connecting = True
        try:
            return super().connect_check_health(*args, **kwargs)
        finally:
            self.connecting = False

    def _step(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        due = False
        if not self.connecting and type(self).countdown is not None:
            due = type(self).countdown == 0
            type(self).countdown -= 1
        if due and not self.late:
            raise Interruption
        result = step(*args, **kwargs)
        if due:
            raise Interruption
        return result

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        self._step(super().send_packed_command, *args, **kwargs)

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        return self._step(super().read_response, *args, **kwargs)


class InterruptedLate(InterruptibleConnection):
    late = True


POOLS = {
    "plain": redis.ConnectionPool,
    "blocking": lambda **options: redis.BlockingConnectionPool(timeout=1, **options),
}


@pytest.fixture(params=POOLS)
def make_client(request: pytest.FixtureRequest, server: Server) -> Iterator[Callable[..., redis.Redis]]:
    """Makes a client with one connection; it may be of a class of its own."""
    clients = []

    def make_client(**options: Any) -> redis.Redis:
        pool = POOLS[request.param](port=server.port, max_connections=1, socket_timeout=10, **options)
        clients.append(redis.Redis(connection_pool=pool))
        return clients[-1]

    yield make_client
    for client in clients:
        client.connection_pool.disconnect()


@pytest.fixture
def client(make_client: Callable[..., redis.Redis]) -> redis.Redis:
    return make_client()


@pytest.fixture
def ns(client: redis.Redis, prefix: str) -> Namespace[str]:
    return fill(client, prefix)


def fill(client: redis.Redis, prefix: str) -> Namespace[str]:
    """A namespace with values that tell their slots."""
    ns = SessionStore(client, prefix=prefix, default_ttl=600).namespace("session")
    for slot in SLOTS:
        ns.set(slot, f"the value of {slot}")
    return ns


def check_whole(ns: Namespace[str], client: redis.Redis, rival: redis.Redis) -> None:
    """The pool has its one connection back, every call gets its own reply, and nothing is half-written."""
    assert not getattr(client.connection_pool, "_in_use_connections", None)
    assert client.mget(map(ns.key, SLOTS)) == [f"the value of {slot}".encode() for slot in SLOTS]
    for slot in SLOTS:
        assert ns.get(slot) == f"the value of {slot}"
        seen = ns.with_cas(slot, lambda snap, ops: [snap.get(each) for each in SLOTS], max_retries=0)
        assert seen == [f"the value of {each}" for each in SLOTS]
    assert ns.get("left") == ns.get("right")
    assert all(rival.pttl(key) > 0 for key in rival.scan_iter(ns.key("*")))


ERRORS = (ValueError, redis.ConnectionError, redis.ResponseError, Interruption, KeyboardInterrupt, GeneratorExit)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_closures_that_raise(
    ns: Namespace[str], client: redis.Redis, rival: redis.Redis, error: type[BaseException]
) -> None:
    """What a closure raises passes through, nothing is written, and the connection serves the next call."""

    def closure(snap: Any, ops: Any) -> None:
        assert snap.get("b") == "the value of b"  # it is not watched: a round trip
        ops.set("left", "1")
        raise error

    for _ in range(TIMES):
        with pytest.raises(error):
            ns.with_cas("a", closure)
        check_whole(ns, client, rival)
    assert not ns.exists("left")


def test_reads_that_are_refused(ns: Namespace[str], client: redis.Redis, rival: redis.Redis) -> None:
    """An error reply in the middle of a closure is that read's, and no other's."""
    for slot in SLOTS * TIMES:
        with pytest.raises(WrongTypeError):
            ns.with_cas("a", lambda snap, ops: snap.hgetall(slot))
        check_whole(ns, client, rival)


def test_commits_that_are_refused(ns: Namespace[str], client: redis.Redis, rival: redis.Redis) -> None:
    """The same for a commit that the script refuses, and one that other writers spoil."""
    for _ in range(TIMES):
        with pytest.raises(WrongTypeError):
            ns.with_cas("a", lambda snap, ops: (ops.set("left", "1"), ops.hset("a", "f", "v")))
        with pytest.raises(CasContentionError):
            ns.with_cas("spoilt", lambda snap, ops: rival.set(ns.key("spoilt"), uuid4().hex, ex=60), max_retries=1)
        check_whole(ns, client, rival)
    assert not ns.exists("left")


@pytest.mark.parametrize("connection_class", [InterruptibleConnection, InterruptedLate], ids=["before", "after"])
def test_interruption_at_every_step(
    make_client: Callable[..., redis.Redis],
    prefix: str,
    rival: redis.Redis,
    connection_class: type[InterruptibleConnection],
) -> None:
    """An interruption between any two bytes leaves no reply on its way to the next call, and no commit in halves."""
    client = make_client(connection_class=connection_class)
    ns = fill(client, prefix)

    def closure(snap: Any, ops: Any) -> str:
        assert snap.get("b") == "the value of b"
        for slot in ("left", "right"):
            ops.set(slot, str(step))
        return f"result {step}"

    for step in range(TIMES):
        connection_class.countdown = step
        try:
            result = ns.with_cas(["a", "left"], closure)
        except Interruption:
            result = None
        left, connection_class.countdown = connection_class.countdown, None
        check_whole(ns, client, rival)
        if left >= 0:  # it ended before its countdown did: every step has had its turn
            break
        assert result is None
    assert result == f"result {step}"
    assert step >= 6  # three writes and three replies have been interrupted


@pytest.mark.parametrize("connection_class", [InterruptibleConnection, InterruptedLate], ids=["before", "after"])
@pytest.mark.parametrize(
    ("call", "outcome", "steps"),
    [
        (lambda ns: ns.get("a"), "the value of a", 2),
        (lambda ns: ns.set("a", "the value of a"), True, 2),
        (lambda ns: ns.hset("hash", mapping={"f": "1", "g": "2"}), 0, 2),
        (lambda ns: ns.touch(ttl=900), 4, 4),
    ],
    ids=["get", "set", "hset", "touch"],
)
def test_interruption_of_single_calls(
    make_client: Callable[..., redis.Redis],
    prefix: str,
    rival: redis.Redis,
    call: Callable[[Namespace[str]], object],
    outcome: object,
    steps: int,
    connection_class: type[InterruptibleConnection],
) -> None:
    """The same for calls that make no attempts: what was on its way is never the answer to another call."""
    client = make_client(connection_class=connection_class)
    ns = fill(client, prefix)
    ns.hset("hash", mapping={"f": "1", "g": "2"})
    ns.touch()
    for step in range(steps):
        connection_class.countdown = step
        with pytest.raises(Interruption):
            call(ns)
        connection_class.countdown = None
        check_whole(ns, client, rival)
    assert call(ns) == outcome


@pytest.mark.parametrize("error", [None, ValueError, Interruption], ids=["commits", "raises", "interrupted"])
def test_threads_that_a_closure_leaves_behind(
    ns: Namespace[str], client: redis.Redis, rival: redis.Redis, error: type[BaseException] | None
) -> None:
    """They read their own replies from `snap` while the closure lasts, and are told when that has ended."""
    seen: set[str | None] = set()
    ends: list[BaseException] = []

    def read_on(snap: Any, started: threading.Event) -> None:
        try:
            while not given_up.is_set():
                seen.add(snap.get("b"))
                started.set()
                given_up.wait(0.001)  # there is one connection for all of them
        except BaseException as end:
            ends.append(end)

    def closure(snap: Any, ops: Any) -> str:
        for _ in range(2):
            started = threading.Event()
            threads.append(threading.Thread(target=read_on, args=(snap, started)))
            threads[-1].start()
            assert started.wait(PATIENCE)
        ops.set("left", "1")
        ops.set("right", "1")
        if error is not None:
            raise error
        return snap.get("c")

    threads: list[threading.Thread] = []
    given_up = threading.Event()
    try:
        for _ in range(TIMES):
            with pytest.raises(error) if error else nullcontext():
                assert ns.with_cas("a", closure) == "the value of c"
            for thread in threads[-2:]:
                thread.join(PATIENCE)
                assert not thread.is_alive()
            check_whole(ns, client, rival)
    finally:
        given_up.set()
    assert seen == {"the value of b"}
    assert len(ends) == len(threads)
    assert {type(end) for end in ends} == {RuntimeError}
