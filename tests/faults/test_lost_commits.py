"""`with_cas` when the reply to its commit is lost, or the commit is late: it has happened once, or not at all.

A client that sends again (`retries`) settles it by itself, as every call is settled; where it does not, or gives up, the
next attempt does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from support.closures import in_flavour, settled
from support.proxy import Proxy
from support.servers import Server, free_port

from session_store import CasContentionError, CommitUnknownError, Namespace, NamespacePurgedError

# What a closure that writes slot n has watched: with the slot itself, its mark alone stops a late commit once n has
# changed; with another one, only the token does.
watches_both_ways = pytest.mark.parametrize("watched", ["n", "gate"])


@pytest.fixture(autouse=True)
def known(other: Namespace[str]) -> None:
    """The server knows the scripts: what is lost or late is the commit itself, and no question for it."""
    other.with_cas("known", lambda _, ops: ops.set("known", "yes"))


class Stop(Exception):
    """What a closure raises."""


def stop() -> None:
    raise Stop


class Increment:
    """A closure that adds one to n and returns (run, sum). `during` says what else happens in which run."""

    def __init__(self, during: dict[int, Callable[[], object]] | None = None) -> None:
        self.runs = 0
        self._during = during or {}

    def __call__(self, value: str | None, ops: Any) -> tuple[int, int]:
        self.runs += 1
        total = int(value or 0) + 1
        ops.set("n", str(total))
        self._during.get(self.runs, bool)()
        return self.runs, total


@watches_both_ways
@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("max_retries", [0, 3])
def test_lost_reply(connect, proxy: Proxy, watched: str, retries: int, max_retries: int) -> None:
    """A commit whose reply is lost has added exactly one, and what its closure returned is returned."""
    ns = connect(proxy.port, retries=retries)
    ns.set("n", "5")
    increment = Increment()
    proxy.lose_reply("COMMIT")
    assert ns.cas(watched, increment, max_retries=max_retries) == (1, 6)
    assert ns.get("n") == "6"
    assert increment.runs == 1


@watches_both_ways
def test_lost_commit(connect, proxy: Proxy, watched: str) -> None:
    """A commit that never reached the server is made by the next attempt."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    proxy.drop("COMMIT")
    assert ns.cas(watched, Increment(), max_retries=1) == (2, 6)
    assert ns.get("n") == "6"


@watches_both_ways
@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_commit_that_the_client_sends_again(
    connect, proxy: Proxy, rival: redis.Redis, watched: str, fault: str
) -> None:
    """It happens once, for the one run of the closure, whatever another program has made of the slot meanwhile."""
    ns = connect(proxy.port)
    ns.set("n", "5")
    increment = Increment()
    spoil = (lambda: rival.incr(ns.key("n"))) if fault == "lose_reply" else bool
    getattr(proxy, fault)("COMMIT", then=spoil)
    assert ns.cas(watched, increment, max_retries=0) == (1, 6)
    assert ns.get("n") == ("7" if fault == "lose_reply" else "6")
    assert increment.runs == 1


@watches_both_ways
def test_late_commit_after_the_client_sent_it_again(connect, proxy: Proxy, rival: redis.Redis, watched: str) -> None:
    """The one that was held up does nothing when it arrives."""
    ns = connect(proxy.port)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")
    assert ns.cas(watched, Increment(), max_retries=0) == (1, 6)
    rival.set(ns.key("n"), "5", ex=60)  # what it was before: its mark would not stop the late one
    late.release()
    assert ns.get("n") == "5"


def test_lost_commit_of_the_last_attempt(connect, proxy: Proxy) -> None:
    """Without another attempt, what redis-py raised tells that the commit has not happened."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    proxy.drop("COMMIT")
    with pytest.raises(redis.ConnectionError):
        ns.cas("n", Increment(), max_retries=0)
    assert ns.get("n") == "5"


def test_two_faults_in_a_row(connect, proxy: Proxy) -> None:
    """The first commit never arrives, the reply of the second is lost: the second is what has happened."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    increment = Increment()
    proxy.drop("COMMIT")
    proxy.lose_reply("COMMIT")
    assert ns.cas("n", increment, max_retries=1) == (2, 6)
    assert ns.get("n") == "6"


@watches_both_ways
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "timeout"])
def test_late_commit_after_the_retry(connect, proxy: Proxy, rival: redis.Redis, watched: str, *, cut: bool) -> None:
    """A commit that arrives when the retry has committed does nothing: another program's +1 on top of it stands."""
    ns = connect(proxy.port, retries=0, socket_timeout=10 if cut else 0.2)
    ns.set("n", "5")
    late = proxy.hold("COMMIT", cut=cut)
    assert ns.cas(watched, Increment()) == (2, 6)
    rival.incr(ns.key("n"))
    late.release()
    assert ns.get("n") == "7"


@watches_both_ways
def test_late_commit_after_the_retry_and_other_calls(connect, proxy: Proxy, rival: redis.Redis, watched: str) -> None:
    """The same when the process that made the commit has gone on writing to the namespace."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")
    assert ns.cas(watched, Increment()) == (2, 6)
    for _ in range(3):
        ns.incr("ids")
        ns.cas("gate", lambda _, ops: ops.set("seen", "yes"))
    rival.incr(ns.key("n"))
    late.release()
    assert ns.get("n") == "7"


def test_late_commit_that_had_nothing_to_do(connect, proxy: Proxy, rival: redis.Redis) -> None:
    """The same for a commit that deletes what was not there, and is there when it arrives."""
    ns = connect(proxy.port)
    late = proxy.hold("COMMIT")
    assert ns.cas("gate", lambda _, ops: ops.delete("n")) is None
    rival.set(ns.key("n"), "theirs", ex=60)
    late.release()
    assert ns.get("n") == "theirs"


@watches_both_ways
@pytest.mark.parametrize("max_retries", [1, 3])
def test_late_commit_during_the_retry(connect, proxy: Proxy, watched: str, max_retries: int) -> None:
    """A commit that arrives while the closure runs again is the commit, and its run's result is returned."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")
    assert ns.cas(watched, Increment({2: late.release}), max_retries=max_retries) == (1, 6)
    assert ns.get("n") == "6"


@watches_both_ways
def test_late_commit_after_the_closure_raised(connect, proxy: Proxy, watched: str) -> None:
    """What the closure raised says that nothing was written; an EXEC that arrives later keeps to it."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")
    with pytest.raises(Stop):
        ns.cas(watched, Increment({2: stop}))
    late.release()
    assert ns.get("n") == "5"


def test_late_commit_before_the_closure_raised(connect, proxy: Proxy) -> None:
    """A commit that arrives before the closure raises is the commit: with_cas returns what it has done."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")

    def release_and_stop() -> None:
        late.release()
        stop()

    assert ns.cas("n", Increment({2: release_and_stop})) == (1, 6)
    assert ns.get("n") == "6"


def test_late_commit_after_contention(connect, proxy: Proxy, other: Namespace[str]) -> None:
    """CasContentionError says that nothing was written; an EXEC that arrives later keeps to it."""
    ns = connect(proxy.port, retries=0)
    late = proxy.hold("COMMIT")
    with pytest.raises(CasContentionError):
        ns.cas("gate", Increment({2: lambda: other.set("gate", "2")}), max_retries=1)
    late.release()
    assert not ns.exists("n")


@watches_both_ways
def test_late_commit_after_a_purge_with_a_fence(connect, proxy: Proxy, other: Namespace[str], watched: str) -> None:
    """A purge with a fence while the commit is on its way wins: nothing is written then or later."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    late = proxy.hold("COMMIT")
    with pytest.raises(NamespacePurgedError):
        ns.cas(watched, Increment({2: lambda: other.purge(fence=60)}))
    late.release()
    assert not ns.exists("n")


@pytest.mark.parametrize(("fault", "value"), [("lose_reply", "6"), ("drop", "5")])
def test_server_stays_away(connect, proxy: Proxy, rival: redis.Redis, fault: str, value: str) -> None:
    """A commit that may have happened, on a server that does not come back, is an error that says just that."""
    ns = connect(proxy.port, retries=0)
    ns.set("n", "5")
    getattr(proxy, fault)("COMMIT", then=proxy.refuse)
    with pytest.raises(CommitUnknownError) as caught:
        ns.cas(["n", "gate"], Increment(), max_retries=2)
    assert (caught.value.key, caught.value.attempts) == (ns.key("n"), 3)
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert rival.get(ns.key("n")) == value


def test_server_goes_away_while_the_closure_raises(connect, proxy: Proxy) -> None:
    """What the closure raised does not tell whether an earlier commit has happened: it becomes the cause."""
    ns = connect(proxy.port, retries=0)

    def refuse_and_stop() -> None:
        proxy.refuse()
        stop()

    proxy.drop("COMMIT")
    with pytest.raises(CommitUnknownError) as caught:
        ns.cas("n", Increment({2: refuse_and_stop}))
    assert caught.value.attempts == 2
    assert isinstance(caught.value.__cause__, Stop)


def test_dead_server(connect) -> None:
    """Nothing is at stake before a commit is sent: redis-py's error comes as it is, and the closure never runs."""
    ns = connect(free_port(), retries=0)
    increment = Increment()
    with pytest.raises(redis.ConnectionError) as caught:
        ns.cas("n", increment)
    assert type(caught.value) is redis.ConnectionError
    assert increment.runs == 0


def test_dead_server_after_a_closure_that_wrote_nothing(connect, proxy: Proxy) -> None:
    """Nothing is at stake when nothing was to be written."""
    ns = connect(proxy.port, retries=0)
    with pytest.raises(redis.ConnectionError):
        ns.cas("n", lambda _value, _ops: proxy.refuse(), max_retries=1)


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_lost_beginning(connect, proxy: Proxy, rival: redis.Redis, fault: str) -> None:
    """What an attempt begins with only reads: the client sends it again, and what changes from then on is noticed."""
    ns = connect(proxy.port)
    ns.set("n", "5")
    getattr(proxy, fault)("BEGIN")
    increment = Increment({1: lambda: rival.incr(ns.key("n"))})
    with pytest.raises(CasContentionError):
        ns.cas(["gate", "n"], increment, max_retries=0)
    assert increment.runs == 1
    assert ns.get("n") == "6"


def test_connections_that_die_between_begin_and_commit(connect, server: Server, rival: redis.Redis) -> None:
    """An attempt is not tied to a connection: a change is noticed on whichever one the commit travels."""
    ns = connect(server.port)
    ns.set("n", "5")

    def cut_and_change() -> None:
        rival.client_kill_filter(_type="normal", skipme=True)
        rival.incr(ns.key("n"))

    assert ns.cas("n", Increment({1: cut_and_change})) == (2, 7)
    cut = Increment({1: lambda: rival.client_kill_filter(_type="normal", skipme=True)})
    assert ns.cas("n", cut, max_retries=0) == (1, 8)


def test_pool_that_is_closed_between_begin_and_commit(connect, server: Server) -> None:
    """Closing a client's pool closes connections that redis-py opens again."""
    ns = connect(server.port)

    async def closure(snap: Any, ops: Any) -> None:
        await settled(ns.client.connection_pool.disconnect())
        ops.set("n", "5")

    ns.with_cas("n", in_flavour(closure, is_async=ns.is_async), max_retries=0)
    assert ns.get("n") == "5"


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_lost_settlement(connect, proxy: Proxy, fault: str) -> None:
    """The call that settles a commit may be sent twice as well."""
    ns = connect(proxy.port, retries=1)
    ns.set("n", "5")
    late = [proxy.hold("COMMIT") for _ in range(2)]  # the client sends it twice, and gives up

    def break_the_settlement() -> None:
        getattr(proxy, fault)("COMMIT")
        stop()

    with pytest.raises(Stop):
        ns.cas("gate", Increment({2: break_the_settlement}))
    for each in late:
        each.release()
    assert ns.get("n") == "5"


@pytest.mark.parametrize("runs", [1, 3])
def test_scripts_forgotten_before_the_commit(connect, server: Server, rival: redis.Redis, runs: int) -> None:
    """SCRIPT FLUSH between begin and commit is not an attempt, however often it happens."""
    ns = connect(server.port)
    ns.set("n", "5")
    assert ns.cas("n", Increment(dict.fromkeys(range(1, runs + 1), rival.script_flush)), max_retries=0)[1] == 6
    assert ns.get("n") == "6"


@pytest.mark.parametrize("fault", ["lose_reply", "drop"])
def test_scripts_forgotten_and_reply_lost(connect, proxy: Proxy, rival: redis.Redis, fault: str) -> None:
    """A commit that the server did not know, and whose reply is lost besides, brings its source when it is sent again."""
    ns = connect(proxy.port)
    ns.set("n", "5")
    getattr(proxy, fault)("COMMIT")
    getattr(proxy, fault)("EVAL")
    assert ns.cas("n", Increment({1: rival.script_flush}), max_retries=1) == (1, 6)
    assert ns.get("n") == "6"
