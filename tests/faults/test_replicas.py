"""`min_replicas`: what is acknowledged has reached replicas, and what has not is a `ReplicationError`.

A replica that is stopped in its tracks stands for one that is slow, or gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from support.deployments import wait_until
from support.proxy import Proxy, proxied
from support.servers import Server

from session_store import AsyncSessionStore, ReplicationError, SessionStore
from session_store._core.scripts import NAME

TTL = 600
TIMEOUT = 2  # seconds; so that half of it is what a WAIT takes


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    primary = Server("--repl-diskless-sync-delay", "0")
    yield primary
    primary.stop()


@pytest.fixture(scope="module")
def replica_server(primary: Server) -> Iterator[Server]:
    replica = Server("--replicaof", "127.0.0.1", str(primary.port))
    yield replica
    replica.stop()


@pytest.fixture
def replica(primary: Server, replica_server: Server) -> Iterator[Server]:
    """A replica that has everything when the test begins."""
    with redis.Redis(port=primary.port) as client:
        wait_until(lambda: client.set("in-sync", "1") and client.wait(1, 1000), "the replica is in sync")
    yield replica_server
    replica_server.resume()


@pytest.fixture
def proxy(primary: Server) -> Iterator[Proxy]:
    with proxied(primary.port) as proxy:
        yield proxy


@pytest.fixture
def ns(connect: Callable[..., Any], primary: Server) -> Any:
    return connect(primary.port, settings={"min_replicas": 1}, socket_timeout=TIMEOUT)


@pytest.fixture
def through_proxy(connect: Callable[..., Any], proxy: Proxy) -> Callable[..., Any]:
    def through_proxy(**options: Any) -> Any:
        ns = connect(proxy.port, settings={"min_replicas": 1}, socket_timeout=TIMEOUT, **options)
        ns.cas("n", lambda value, ops: value)  # the server knows the scripts
        return ns

    return through_proxy


every_way = pytest.mark.parametrize(
    "options",
    [{"retries": 3}, {"retries": 0}, {"retries": 0, "max_retries": 0}],
    ids=["sent again", "found by the next attempt", "settled at the end"],
)


def add_one(value: str | None, ops: Any) -> int:
    total = int(value or 0) + 1
    ops.set("n", str(total))
    return total


def facts(refused: pytest.ExceptionInfo[ReplicationError]) -> tuple[str, int, int]:
    error = refused.value
    return error.key.rpartition(":")[2], error.replicas, error.min_replicas


def test_what_a_replica_has_is_acknowledged(ns: Any, replica: Server) -> None:
    """By the time the call returns, the replica has it."""
    with redis.Redis(port=replica.port, decode_responses=True) as reader:
        assert ns.incr("id") == 1
        assert reader.get(ns.key("id")) == "1"
        assert ns.cas("n", add_one) == 1
        assert reader.get(ns.key("n")) == "1"
        assert ns.purge(fence=60) == 2
        assert reader.hexists(ns.key("x")[:-1] + "~index", "~fence")


def test_what_no_replica_has_is_an_error_that_says_so(ns: Any, replica: Server) -> None:
    """The write is done: an id is used up, a commit is there, a fence stands."""
    replica.pause()
    with pytest.raises(ReplicationError) as refused:
        ns.incr("id")
    assert facts(refused) == ("id", 0, 1)
    assert ns.get("id") == "1"
    with pytest.raises(ReplicationError) as refused:
        ns.cas("n", add_one)
    assert facts(refused) == ("n", 0, 1)
    assert ns.get("n") == "1"
    with pytest.raises(ReplicationError) as refused:
        ns.purge(fence=60)
    assert facts(refused) == ("~index", 0, 1)
    assert ns.slots() == []
    replica.resume()
    assert ns.purge() == 0


def test_other_writes_wait_for_nobody(ns: Any, replica: Server) -> None:
    replica.pause()
    assert ns.set("a", "1") is True
    assert ns.hset("h", "f", "1") == 1
    assert ns.hincrby("h", "g", 2) == 2
    assert ns.delete("a") is True
    assert ns.touch() == 1
    assert ns.cas("a", lambda value, ops: value) is None  # which records nothing
    assert ns.purge() == 1


def test_more_replicas_than_there_are(connect: Callable[..., Any], primary: Server, replica: Server) -> None:
    ns = connect(primary.port, settings={"min_replicas": 2}, socket_timeout=TIMEOUT)
    with pytest.raises(ReplicationError) as refused:
        ns.incr("id")
    assert facts(refused) == ("id", 1, 2)


def test_a_lost_reply_is_no_way_around_it(through_proxy: Any, proxy: Proxy, replica: Server) -> None:
    """The call is recognised when it is sent again, on a connection that has written nothing else: still the replica
    must have what the first one wrote."""
    ns = through_proxy()
    proxy.lose_reply("EVALSHA", then=replica.pause)
    with pytest.raises(ReplicationError) as refused:
        ns.incr("id")
    assert facts(refused) == ("id", 0, 1)
    replica.resume()
    assert ns.get("id") == "1"
    assert ns.incr("id") == 2


@every_way
def test_a_lost_commit_is_no_way_around_it_either(
    through_proxy: Any, proxy: Proxy, replica: Server, options: dict[str, Any]
) -> None:
    ns = through_proxy(retries=options["retries"])
    ns.cas("n", add_one)
    proxy.lose_reply("COMMIT", then=replica.pause)
    with pytest.raises(ReplicationError) as refused:
        ns.cas("n", add_one, max_retries=options.get("max_retries", 3))
    assert facts(refused) == ("n", 0, 1)
    replica.resume()
    assert ns.get("n") == "2"


@every_way
def test_a_lost_commit_that_has_arrived_is_acknowledged(
    through_proxy: Any, proxy: Proxy, replica: Server, options: dict[str, Any]
) -> None:
    ns = through_proxy(retries=options["retries"])
    proxy.lose_reply("COMMIT")
    assert ns.cas("n", add_one, max_retries=options.get("max_retries", 3)) == 1
    assert ns.get("n") == "1"


CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "incr": ("id", lambda ns: ns.incr("id")),
    "with_cas": ("n", lambda ns: ns.cas("n", add_one)),
    "purge": ("~index", lambda ns: ns.purge(fence=60)),
}
TENANT = b"t1:"


class CalledForEach:
    """Makes clients that are called for every command, and remember its name; `before` is told of each.

    - subclass: a class that overrides `execute_command`;
    - instance: one client whose `execute_command` somebody has put something around;
    - rewriting: a class that prefixes every key.
    """

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.names: list[str] = []
        self.before: Callable[[tuple[Any, ...]], object] = bool

    def key(self, key: str) -> str:
        """What the server calls it."""
        return TENANT.decode() + key if self.manner == "rewriting" else key

    def __call__(self, kind: type, **options: Any) -> Any:
        if self.manner == "instance":
            client = kind(**options)
            client.execute_command = self._around(client.execute_command)
            return client
        around = self._around

        class Called(kind):  # type: ignore[misc]  # of redis-py, either flavour
            def execute_command(self, *args: Any, **options: Any) -> Any:
                return around(super().execute_command)(*args, **options)

        return Called(**options)

    def _around(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def execute_command(*args: Any, **options: Any) -> Any:
            self.names.append(args[0])
            self.before(args)
            return execute(*self._rewritten(args), **options)

        return execute_command

    def _rewritten(self, args: tuple[Any, ...]) -> list[Any]:
        words = list(args)
        if self.manner == "rewriting":
            for at in range(3, 3 + words[2]) if words[0] in ("EVAL", "EVALSHA") else (1,):
                words[at] = TENANT + words[at]
        return words


@pytest.fixture(params=["subclass", "instance", "rewriting"])
def called(request: pytest.FixtureRequest) -> CalledForEach:
    return CalledForEach(request.param)


@pytest.fixture
def through_client(connect: Callable[..., Any], primary: Server, called: CalledForEach) -> Any:
    """A namespace whose client is called for every command."""
    return connect(primary.port, settings={"min_replicas": 1}, socket_timeout=TIMEOUT, make=called)


def test_clients_that_are_called_for_every_command(through_client: Any, replica: Server, called: CalledForEach) -> None:
    """They are called for these as well, and what a call has acknowledged the replica has, by the name they give it."""
    ns = through_client
    with redis.Redis(port=replica.port, decode_responses=True) as reader:
        assert ns.incr("id") == 1
        assert "EVALSHA" in called.names
        assert reader.get(called.key(ns.key("id"))) == "1"
        called.names.clear()
        assert ns.cas("n", add_one) == 1
        assert called.names.count("EVALSHA") >= 2  # begin and commit
        assert reader.get(called.key(ns.key("n"))) == "1"
        called.names.clear()
        assert ns.purge(fence=60) == 2
        assert "EVALSHA" in called.names
        assert reader.hexists(called.key(ns.key("x")[:-1] + "~index"), "~fence")


@pytest.mark.parametrize(("slot", "call"), CALLS.values(), ids=CALLS)
def test_replica_that_is_missed_by_clients_called_for_every_command(
    through_client: Any,
    replica: Server,
    monkeypatch: pytest.MonkeyPatch,
    slot: str,
    call: Callable[[Any], object],
) -> None:
    monkeypatch.setattr("session_store._core.replication._MOST_WAIT_MS", 100)
    replica.pause()
    with pytest.raises(ReplicationError) as refused:
        call(through_client)
    assert facts(refused) == (slot, 0, 1)


@pytest.mark.parametrize(("slot", "call"), CALLS.values(), ids=CALLS)
def test_write_that_is_lost_behind_clients_called_for_every_command(
    through_client: Any,
    primary: Server,
    replica: Server,
    called: CalledForEach,
    slot: str,
    call: Callable[[Any], object],
) -> None:
    """As by a failover between its answer and the wait for replicas, of which one has all that there is."""
    through_client.set("beside", "1")

    def lose(command: tuple[Any, ...]) -> None:
        if command[0] in ("EVAL", "EVALSHA") and command[1] in (NAME.digest, NAME.source):
            for key in client.keys(called.key(through_client.key("x")[:-1] + "*")):
                client.delete(key)

    called.before = lose
    with redis.Redis(port=primary.port) as client, pytest.raises(ReplicationError) as refused:
        call(through_client)
    assert facts(refused) == (slot, 0, 1)


def test_a_refused_write_waits_for_nobody(ns: Any, replica: Server) -> None:
    """Its own error tells more."""
    ns.hset("h", "f", "1")
    replica.pause()
    with pytest.raises(Exception, match="holds no integer"):
        ns.incr("h")
    with pytest.raises(Exception, match="holds another type"):
        ns.cas("h", lambda _, ops: ops.set("h", "1"))


def test_a_server_that_has_forgotten_its_scripts(ns: Any, primary: Server, replica: Server) -> None:
    with redis.Redis(port=primary.port) as client:
        for call in (lambda: ns.incr("id"), lambda: ns.cas("n", add_one), lambda: ns.purge(fence=0.001)):
            client.script_flush()
            call()


@pytest.mark.parametrize("store", [SessionStore, AsyncSessionStore])
@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError), ("1", TypeError)])
def test_it_is_a_whole_number(store: Any, value: Any, error: type[Exception]) -> None:
    client = redis.Redis() if store is SessionStore else redis.asyncio.Redis()
    with pytest.raises(error, match="min_replicas must"):
        store(client, prefix="p", default_ttl=TTL, min_replicas=value)
