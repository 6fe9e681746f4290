"""Single calls whose reply is lost, and which redis-py sends again: they happen once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import redis
from support.proxy import PATIENCE, Proxy
from support.servers import Server

from session_store import Namespace, SessionStore
from session_store._core import tokens

WRITERS, CALLS = 4, 50  # of others, between a call and its repetition


def nothing(ns: Namespace[str]) -> None:
    """What happens where a case says nothing."""


def value(ns: Namespace[str]) -> str | None:
    return ns.get("x")


class Case(NamedTuple):
    """A call, and what shows that it happened once although others wrote to the slot before it came again."""

    name: str
    call: Callable[[Any], object]
    answer: object
    left: object  # in the end, what `after` shows
    before: Callable[[Any], object] = nothing
    between: Callable[[Namespace[str]], object] = nothing
    after: Callable[[Namespace[str]], object] = value

    def __repr__(self) -> str:
        return self.name


CASES = (
    Case(
        "incr",
        before=lambda ns: ns.incr("x", 4),
        call=lambda ns: ns.incr("x"),
        answer=5,
        between=lambda ns: ns.incr("x"),
        left="6",
    ),
    Case(
        "hincrby",
        before=lambda ns: ns.hset("x", "f", "4"),
        call=lambda ns: ns.hincrby("x", "f", -3),
        answer=1,
        between=lambda ns: ns.hincrby("x", "f", 10),
        after=lambda ns: ns.hgetall("x"),
        left={"f": "11"},
    ),
    Case(
        "set",
        call=lambda ns: ns.set("x", "mine"),
        answer=True,
        between=lambda ns: ns.set("x", "theirs"),
        left="theirs",
    ),
    Case(
        "set nx",
        call=lambda ns: ns.set("x", "mine", nx=True),
        answer=True,
        between=lambda ns: ns.delete("x"),
        left=None,
    ),
    Case(
        "set xx",
        before=lambda ns: ns.set("x", "old"),
        call=lambda ns: ns.set("x", "mine", xx=True),
        answer=True,
        between=lambda ns: ns.delete("x"),
        left=None,
    ),
    Case(
        "hset",
        before=lambda ns: ns.hset("x", "f", "old"),
        call=lambda ns: ns.hset("x", mapping={"f": "mine", "g": "mine"}),
        answer=1,
        between=lambda ns: ns.hset("x", "g", "theirs"),
        after=lambda ns: ns.hgetall("x"),
        left={"f": "mine", "g": "theirs"},
    ),
    Case(
        "hdel",
        before=lambda ns: ns.hset("x", mapping={"f": "old", "g": "old"}),
        call=lambda ns: ns.hdel("x", "f", "g", "h"),
        answer=2,
        between=lambda ns: ns.hset("x", "f", "theirs"),
        after=lambda ns: ns.hgetall("x"),
        left={"f": "theirs"},
    ),
    Case(
        "delete",
        before=lambda ns: ns.set("x", "old"),
        call=lambda ns: ns.delete("x"),
        answer=True,
        between=lambda ns: ns.set("x", "theirs"),
        left="theirs",
    ),
)
# The same for calls that find nothing to do, but would if they came again.
IDLE_CASES = (
    Case(
        "set nx",
        before=lambda ns: ns.set("x", "old"),
        call=lambda ns: ns.set("x", "mine", nx=True),
        answer=False,
        between=lambda ns: ns.delete("x"),
        left=None,
    ),
    Case(
        "set xx",
        call=lambda ns: ns.set("x", "mine", xx=True),
        answer=False,
        between=lambda ns: ns.set("x", "theirs"),
        left="theirs",
    ),
    Case(
        "hdel",
        call=lambda ns: ns.hdel("x", "f"),
        answer=0,
        between=lambda ns: ns.hset("x", "f", "theirs"),
        after=lambda ns: ns.hgetall("x"),
        left={"f": "theirs"},
    ),
    Case(
        "delete",
        call=lambda ns: ns.delete("x"),
        answer=False,
        between=lambda ns: ns.set("x", "theirs"),
        left="theirs",
    ),
)
every_case = pytest.mark.parametrize("case", CASES, ids=repr)
every_idle_case = pytest.mark.parametrize("case", IDLE_CASES, ids=repr)


def write_a_lot(port: int, prefix: str) -> None:
    """200 commits of others in the same namespace: by threads with clients and stores of their own."""

    def work(number: int) -> None:
        with redis.Redis(port=port, socket_timeout=10) as client:
            ns = SessionStore(client, prefix=prefix, default_ttl=60).namespace("session")
            for _ in range(CALLS // 2):
                ns.incr("ids")
                ns.with_cas(f"slot-{number}", lambda snap, ops: ops.set(f"slot-{number}", "x"))

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(work, range(WRITERS), timeout=PATIENCE))


@every_case
def test_reply_is_lost(connect, proxy: Proxy, other: Namespace[str], case: Case) -> None:
    """With redis-py's defaults, the call happens once and gives its first answer; what came after it stays."""
    ns = connect(proxy.port, retries=None)
    case.before(ns)
    other.set("known", "the server knows the script")
    proxy.lose_reply("EVALSHA", then=lambda: case.between(other))
    assert case.call(ns) == case.answer
    assert case.after(other) == case.left


@every_case
def test_reply_is_lost_among_200_commits_of_others(
    connect, proxy: Proxy, server: Server, prefix: str, other: Namespace[str], case: Case
) -> None:
    """The same when 200 commits of others reach the namespace before the call comes again."""

    def others_write() -> None:
        write_a_lot(server.port, prefix)
        case.between(other)

    ns = connect(proxy.port)
    case.before(ns)
    other.set("known", "the server knows the script")
    proxy.lose_reply("EVALSHA", then=others_write)
    assert case.call(ns) == case.answer
    assert case.after(other) == case.left
    assert other.get("ids") == str(WRITERS * CALLS // 2)


@every_case
def test_call_is_lost(connect, proxy: Proxy, other: Namespace[str], case: Case) -> None:
    """A call that never reached the server is made by its repetition."""
    ns = connect(proxy.port)
    case.before(ns)
    other.set("known", "the server knows the script")
    proxy.drop("EVALSHA")
    assert case.call(ns) == case.answer
    case.between(other)
    assert case.after(other) == case.left


def arrive_late(
    ns: Any, proxy: Proxy, other: Namespace[str], case: Case, *, then: Callable[[], object] = bool, cut: bool = True
) -> None:
    """A call is held back, repeated and answered; then others write; and only then it arrives."""
    case.before(ns)
    other.set("known", "the server knows the script")
    late = proxy.hold("EVALSHA", cut=cut)
    assert case.call(ns) == case.answer
    then()
    case.between(other)
    late.release()
    assert case.after(other) == case.left


@pytest.fixture
def other_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """A function after which calls come from another process: that has writers of its own."""
    return lambda: monkeypatch.setattr(tokens, "_identity", tokens._Identity())


@every_case
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "timeout"])
def test_call_is_late(
    connect, proxy: Proxy, other: Namespace[str], other_process: Callable[[], object], case: Case, *, cut: bool
) -> None:
    """A call that arrives after its repetition was answered does nothing."""
    arrive_late(connect(proxy.port, socket_timeout=10 if cut else 0.5), proxy, other, case, then=other_process, cut=cut)


@every_case
def test_call_is_late_and_its_process_has_gone_on(connect, proxy: Proxy, other: Namespace[str], case: Case) -> None:
    """The same when the next call in the namespace comes from the process that made the late one."""
    arrive_late(connect(proxy.port), proxy, other, case)


@every_idle_case
def test_idle_call_is_late(
    connect, proxy: Proxy, other: Namespace[str], other_process: Callable[[], object], case: Case
) -> None:
    """A call that was answered with having done nothing does nothing when it arrives later."""
    arrive_late(connect(proxy.port), proxy, other, case, then=other_process)


@every_idle_case
def test_reply_of_an_idle_call_is_lost(connect, proxy: Proxy, other: Namespace[str], case: Case) -> None:
    """Nothing was done, so the repetition may do the same, and another's write comes after it."""
    ns = connect(proxy.port)
    case.before(ns)
    other.set("known", "the server knows the script")
    proxy.lose_reply("EVALSHA")
    assert case.call(ns) == case.answer
    case.between(other)
    assert case.after(other) == case.left


def test_reply_to_the_source_is_lost(connect, proxy: Proxy, rival: redis.Redis) -> None:
    """A call that also brings the script's source is covered like any other."""
    ns = connect(proxy.port)
    rival.script_flush()
    proxy.lose_reply("EVAL")
    assert ns.incr("x") == 1
    assert ns.get("x") == "1"


def test_several_replies_are_lost(connect, proxy: Proxy) -> None:
    """Each repetition is answered with the first answer."""
    ns = connect(proxy.port)
    ns.incr("x")
    for _ in range(3):
        proxy.lose_reply("EVALSHA")
    assert ns.incr("x") == 2
    assert ns.incr("x") == 3


def test_purge_and_touch_may_be_sent_twice(connect, proxy: Proxy, other: Namespace[str]) -> None:
    """They need no token: done twice is done once, but the second purge finds nothing left to count."""
    ns = connect(proxy.port)
    ns.set("x", "1")
    assert ns.touch() == 1
    proxy.lose_reply("EVALSHA")
    assert ns.touch(ttl=60) == 1
    assert 0 < other.ttl("x") <= 60
    assert ns.purge() == 1
    ns.set("x", "1")
    proxy.lose_reply("EVALSHA")
    assert ns.purge() == 0
    assert not other.exists("x")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it forks by way of the C library")
def test_reply_is_lost_in_a_process_that_was_forked_without_hooks(
    server: Server, prefix: str, rival: redis.Redis
) -> None:
    """Its child is another writer from its first call on, so that the parent's call is recognised all the same."""
    command = [sys.executable, "-m", "support.forks", str(server.port), prefix]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert told.stdout == "1\n"
    assert rival.hgetall(f"{prefix}:session:lines") == {"tea": "1"}
    assert rival.get(f"{prefix}:session:step") == "address"
