"""How commands and replies are put into words, beside what the tables of other tests show."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from testing.interleavings import jobs

from session_store import (
    AsyncInMemoryClient,
    CasContentionError,
    CasPolicy,
    InMemoryClient,
    SessionStore,
    WrongTypeError,
)
from session_store.testing import InterleavingError, explore
from session_store.testing.interleavings.clients import AsyncGatedClient, GatedClient, StillServer
from session_store.testing.interleavings.report import table


def steps(job: Any, *, schedule: tuple[str, ...] = (), show_values: bool = True, **arguments: Any) -> list[str]:
    """What the table of a schedule says of a job: the check fails, so that there is one."""

    def fail(handle: Any, results: dict[str, Any]) -> None:
        raise AssertionError

    with pytest.raises(InterleavingError) as caught:
        explore({"job": job}, check=fail, schedule=schedule, show_values=show_values, **arguments)
    lines = str(caught.value).split("\n\n")[1].splitlines()[2:]
    return [line.split(maxsplit=1)[1] for line in lines]


def raw(client: Any) -> Any:
    return client


def test_plain_commands() -> None:
    """Counts are no values; what Redis calls nil is nil."""

    def job(client: Any) -> None:
        client.set("a", "x")
        client.get("b")
        client.hset("h", mapping={"f": "1"})
        client.hgetall("h")
        client.incr("n")
        client.exists("a", "b")
        client.rpush("l", "x", "y")
        client.lrange("l", 0, -1)
        client.ping()

    assert steps(job, handle=raw) == [
        "SET a 'x' -> OK",
        "GET b -> nil",
        "HSET h 'f' '1' -> 1",
        "HGETALL h -> {'f': '1'}",
        "INCRBY n '1' -> 1",
        "EXISTS a b -> 1",
        "RPUSH l 'x' 'y' -> 2",
        "LRANGE l '0' '-1' -> ['x', 'y']",
        "PING -> 'PONG'",
    ]
    hidden = steps(job, handle=raw, show_values=False)
    assert hidden[0] == "SET a -> OK"
    assert hidden[4] == "INCRBY n -> v1"


def test_scripts_of_others_and_errors() -> None:
    """A script is shown by its keys, an error by its type."""

    def job(client: Any) -> None:
        client.eval("return {1, KEYS[1]}", 1, "a", "secret")
        client.script_load("return 2")
        client.set("a", "x")
        with pytest.raises(Exception, match="WRONGTYPE"):
            client.hget("a", "f")

    assert steps(job, handle=raw) == [
        "EVAL a -> [1, 'a']",
        "SCRIPT -> '7f923f79fe76194c868d7e1d0820de36...",
        "SET a 'x' -> OK",
        "HGET a 'f' -> ResponseError",
    ]


def test_calls_of_the_library() -> None:
    """By the names of its methods, with what they answer; a refusal is named."""

    def job(ns: Any) -> None:
        ns.set("a", "x", nx=True)
        ns.incr("n")
        ns.hset("h", mapping={"f": "1", "g": "2"})
        ns.hincrby("h", "f", 4)
        with pytest.raises(WrongTypeError):
            ns.hset("a", "f", "1")
        ns.touch(ttl=5)
        ns.purge(fence=60)
        with pytest.raises(Exception, match="purged"):
            ns.set("a", "y")

    assert steps(job, setup=lambda ns: ns.set("z", "1")) == [
        "set a 'x' 'nx' -> 1",
        "incr n '1' -> '1'",
        "hset h 'f' '1' 'g' '2' -> 2",
        "hincrby h 'f' '4' -> '5'",
        "hset a 'f' '1' -> wrong type",
        "HKEYS ~index -> ['z', 'a', 'n', 'h']",
        "touch -> 4",
        "HKEYS ~index -> ['z', 'a', 'n', 'h']",
        "purge -> 4",
        "set a 'y' -> fenced",
    ]


def test_attempts_of_with_cas() -> None:
    """What an attempt begins with, by kind of slot; and how it ends."""

    def job(ns: Any) -> None:
        ns.with_cas(["a", "h", "none"], lambda snap, ops: ops.set("a", "y"))
        ns.with_cas("a", lambda snap, ops: None)
        with pytest.raises(LookupError):
            ns.with_cas("a", lambda snap, ops: {}["none"])

    def setup(ns: Any) -> None:
        ns.set("a", "x")
        ns.hset("h", "f", "1")

    seen = steps(job, setup=setup, handle=jobs.sent_once, schedule=("job", "lost_reply of job", "job"))
    assert seen == [
        "begin a h none -> 'x', {'f': '1'}, nil",
        "commit set a 'y' -> reply lost",
        "begin a h none -> committed before",
        "begin a -> 'y'",
        "commit nothing -> committed",
        "begin a -> 'y'",
    ]
    hidden = steps(job, setup=setup, show_values=False)
    assert hidden[:2] == ["begin a h none -> v1, {f1: v2}, nil", "commit set a -> committed"]


def test_a_lost_attempt_and_slots_that_are_not_sent_along() -> None:
    """The reply holds what the next attempt begins with; what is too large is read by itself."""

    def job(ns: Any) -> None:
        def change(snap: Any, ops: Any) -> None:
            if not snap.hexists("many", "mine"):
                ns.hset("many", "mine", "1")
            ops.hset("many", mapping={"f": "1", "g": "2"})

        ns.with_cas(["many", "line"], change)

    def setup(ns: Any) -> None:
        ns.hset("many", mapping={f"{number}": "x" * 100 for number in range(700)})
        ns._commands.client.rpush(ns.key("line"), "x")

    assert steps(job, setup=setup) == [
        "begin many line -> large, list",
        "read HEXISTS many -> 0",
        "hset many 'mine' '1' -> 1",
        "commit hset many 'f' '1' 'g' '2' -> lost, n...",
        "read HEXISTS many -> 1",
        "commit hset many 'f' '1' 'g' '2' -> committed",
    ]
    assert steps(job, setup=setup, show_values=False)[3] == "commit hset many -> lost, now large, list"


def test_a_large_slot_that_was_changed_before_it_was_read() -> None:
    """The read says so: the attempt is lost."""

    def job(ns: Any) -> None:
        ns.with_cas("large", lambda snap, ops: ops.set("large", snap.get("large")[:1]))

    with pytest.raises(InterleavingError) as caught:
        explore(
            {"job": job, "rival": lambda ns: ns.set("large", "y" * 70_000)},
            setup=lambda ns: ns.set("large", "x" * 70_000),
            check=lambda ns, results: 1 / 0,
            schedule=["job", "rival", "job"],
        )
    assert "read GET large -> v1, changed\n" in str(caught.value)


def test_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot whose lock another one holds, and a call that gives its locks back; as stores of one's own send it."""
    monkeypatch.setattr(StillServer, "locks", True)
    handle = functools.partial(jobs.with_policy, CasPolicy(backoff_base=0, lock_ttl=0.001, lock_timeout=1e-9))

    def job(ns: Any) -> None:
        def change(snap: Any, ops: Any) -> None:
            ns.incr("n")
            ops.set("n", "0")

        with pytest.raises(CasContentionError):
            ns.with_cas("n", change, max_retries=1)

    assert steps(job, handle=handle) == [
        "begin n -> nil",
        "incr n '1' -> '1'",
        "commit set n '0' -> lost, now '1'",
        "incr n '1' -> '2'",
        "commit set n '0' -> lost, now '2'",
        "release n",
    ]


def test_an_attempt_that_meets_a_fence() -> None:
    """Before it begins, and before it ends."""
    tasks = {"request": jobs.cas_draft, "logout": jobs.log_out_for_good}
    for schedule, told in (
        (["logout", "logout", "request"], "begin user -> fenced"),
        (["request", "logout", "logout", "request"], "commit set draft -> fenced"),
    ):
        with pytest.raises(InterleavingError) as caught:
            explore(tasks, setup=jobs.log_in, check=lambda ns, results: 1 / 0, schedule=schedule)
        assert told in str(caught.value)


def test_a_stale_list_of_slots() -> None:
    """A purge that was overtaken by a new slot."""
    tasks = {"logout": jobs.log_out, "request": lambda ns: ns.set("new", "1")}
    with pytest.raises(InterleavingError) as caught:
        explore(tasks, check=lambda ns, results: 1 / 0, schedule=["logout", "request", "logout"])
    assert "purge -> list is stale" in str(caught.value)


def test_a_transaction_that_lost_and_one_of_plain_commands() -> None:
    """An EXEC answers nil when a watched key was changed."""

    def job(client: Any) -> None:
        with client.pipeline() as pipe:
            pipe.watch("a")
            pipe.multi()
            pipe.get("a")
            pipe.set("b", "x")
            with pytest.raises(Exception, match="Watched"):
                pipe.execute()
        with client.pipeline() as pipe:
            pipe.get("a").set("b", "x").execute()

    def rival(client: Any) -> None:
        client.set("a", "x")

    with pytest.raises(InterleavingError) as caught:
        explore(
            {"job": job, "rival": rival},
            handle=raw,
            check=lambda client, results: 1 / 0,
            schedule=["job", "rival", "job", "job"],
        )
    assert "MULTI; GET a; SET b; EXEC -> lost" in str(caught.value)
    assert "MULTI; GET a; SET b; EXEC -> committed" in str(caught.value)


def test_a_call_that_settles_a_commit() -> None:
    """It has no operation: it looks whether there was one."""

    def job(ns: Any) -> None:
        ns.with_cas("a", lambda snap, ops: ops.set("a", "x"), max_retries=0)

    seen = steps(job, handle=jobs.sent_once, schedule=("job", "lost_reply of job"))
    assert seen[-1] == "look for the commit -> attempt 1"
    seen = steps(job, handle=jobs.sent_once, schedule=("job", "cut_before of job"))
    assert seen[-1] == "look for the commit -> none"


def test_a_table_is_aligned_and_one_line_a_row() -> None:
    """Numbers to the right; what cannot be printed, or is too wide, does not break it."""
    assert table([["step", "a"], ["1", "x\ny"], ["10", "w" * 50]], numbered=True) == (
        f"step  a\n----  ----------------------------------------------\n   1  x?y\n  10  {'w' * 43}..."
    )


def test_siblings_stop_at_the_same_gate() -> None:
    """A task's second client is a client of the task."""
    server = StillServer()
    for kind, plain in ((GatedClient, InMemoryClient), (AsyncGatedClient, AsyncInMemoryClient)):
        client = kind(server)
        assert isinstance(client.sibling(), plain)
        assert client.sibling().connection_pool.connection_class is client.connection_pool.connection_class
    assert SessionStore(GatedClient(server), prefix="p", default_ttl=1).namespace("n").set("a", "1")
