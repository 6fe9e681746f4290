"""`check_against_model` finds what is wrong with a client, passes what is right, and keeps to its own keys."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import Phase, settings
from support.deployments import Cluster
from support.servers import Server

from session_store import InMemoryClient
from session_store._core.scripts import BEGIN, COMMIT, PURGE, READ, RELEASE, SINGLE, TOUCH
from session_store.testing.calls import Call
from session_store.testing.model import _machine, check_against_model
from session_store.testing.model._calls import Commit, Deed
from session_store.testing.model._check import clients_of
from session_store.testing.model._machine import Machine
from session_store.testing.model._reference import OUTSIDER

pytestmark = pytest.mark.long

DATABASE = 8
# A defect is to be found, not made simple; and by the same examples every time.
QUICK = settings(phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False)
SOURCES = {script.digest: script.source for script in (BEGIN, COMMIT, PURGE, READ, RELEASE, SINGLE, TOUCH)}


class DropsPexpire(redis.Redis):
    """A proxy that does not let PEXPIRE through: not in scripts either."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA":
            args = ("EVAL", SOURCES[args[1]].replace(b"'PEXPIRE'", b"'EXISTS'"), *args[2:])
        return super().execute_command(*args, **options)


class SaysThatAllExists(redis.Redis):
    """EXISTS is always 1."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        return 1 if args[0] == "EXISTS" else reply


class SendsTwice(redis.Redis):
    """Every script is sent again, as after a lost reply, the purge too: that counts what the last one found."""

    again = frozenset(SOURCES)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        return super().execute_command(*args, **options) if args[0] == "EVALSHA" and args[1] in self.again else reply


class SendsWritesTwice(SendsTwice):
    """Only what the library promises to recognise."""

    again = frozenset([COMMIT.digest, SINGLE.digest])


class ReadsFromItsCache(redis.Redis):
    """GET is answered by what it was answered the first time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cache: dict[Any, Any] = {}

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] != "GET":
            return super().execute_command(*args, **options)
        if args[1] not in self.cache:
            self.cache[args[1]] = super().execute_command(*args, **options)
        return self.cache[args[1]]


class ForgetsTheEmptyField(redis.Redis):
    """HGETALL leaves out a field without a name."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        return {field: value for field, value in reply.items() if field} if args[0] == "HGETALL" else reply


class KeepsARecord(redis.Redis):
    """Each write is noted in a key beside it."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        if args[0] == "EVALSHA":
            super().execute_command("SET", args[3] + b"-log", "1", "EX", 1_000)
        return reply


class TouchesNothing(redis.Redis):
    """The script that renews slots is answered without a call."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA" and args[1] == TOUCH.digest:
            return 0
        return super().execute_command(*args, **options)


class NeverCompares(redis.Redis):
    """Commits overwrite what others did meanwhile."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA" and args[1] == COMMIT.digest:
            args = ("EVAL", COMMIT.source.replace(b"if is_lost then", b"if false then"), *args[2:])
        return super().execute_command(*args, **options)


class OneTooMany(InMemoryClient):
    """HLEN counts one more: a defect on a server in memory."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        return reply + 1 if args[0] == "HLEN" else reply


@pytest.fixture
def others(server: Server) -> Iterator[redis.Redis]:
    """A database in which others have keys, whose contents and lack of a TTL the test may not change."""
    kept = {"u:a": "1", "model-": "1", "model-x:u:a": "1", "x:u:~index": "1", "a": "1"}
    with redis.Redis(port=server.port, db=DATABASE, decode_responses=True) as client:
        client.mset(kept)
        # The defects are in EVALSHA. A server that knows no script is sent EVAL instead, once: the first example would
        # pass and fail when it is run again, which Hypothesis reports as flaky and not as the defect that it is.
        for source in SOURCES.values():
            client.script_load(source)
        yield client
        assert {key: client.get(key) for key in client.keys("*")} == kept
        assert {client.ttl(key) for key in kept} == {-1}
        client.delete(*kept)


def failure(client: redis.Redis, **options: Any) -> str:
    """What the check says of a defective client, notes included."""
    with client, pytest.raises(AssertionError) as caught:
        check_against_model(lambda: client, **{"examples": 300, "settings": QUICK, **options})
    return "".join(traceback.format_exception_only(caught.type, caught.value))


@pytest.mark.parametrize(
    ("defective", "told"),
    [
        (DropsPexpire, "keys without a TTL|TTL of the index"),
        (SaysThatAllExists, r"exists\("),
        (SendsTwice, r"purge\("),
        (ReadsFromItsCache, r"get\("),
        (ForgetsTheEmptyField, r"hgetall\("),
        (KeepsARecord, "-log"),
        (TouchesNothing, "touch|TTL of the index|only in the index|keys at the client"),
        (NeverCompares, r"with_cas\("),
    ],
)
def test_a_defect_is_found(server: Server, others: redis.Redis, defective: type[redis.Redis], told: str) -> None:
    """And told by the call or the key that shows it, what was expected, and what was seen; nothing is left behind."""
    message = failure(defective(port=server.port, db=DATABASE))
    assert re.search(told, re.split("Failing test case|Falsifying example", message)[0])
    assert "model:" in message


def test_a_failing_example_reads_like_the_code(server: Server, others: redis.Redis) -> None:
    """Its steps are calls of `store_0`, `store_1` and `other_program`, made simple."""
    client = SaysThatAllExists(port=server.port, db=DATABASE)
    message = failure(client, steps=3, settings=settings(QUICK, phases=[Phase.generate, Phase.shrink]))
    assert re.search(r"AssertionError: store_[01]\.namespace\('u+\*?'\)\.exists\('", message)
    assert re.search(r"state\.\w+\(deed=store_[01]\.namespace\('u+\*?'\)\.\w+\(", message)
    assert "returned False" in message
    assert "returned True" in message


def test_a_commit_in_a_failing_example_reads_like_the_code() -> None:
    """So does what its closure does, and who is in its way."""
    commit = Commit(
        slots=["a", "b:*"],
        before=[Call("get", ("a",))],
        others=[Deed(OUTSIDER, None, Call("delete", ("a",)))],
        at_every_attempt=False,
        after=[Call("hlen", ("b:*",))],
        ops=[Call("set", ("a", "x"), {"ttl": 100})],
        fails=True,
        max_retries=2,
    )
    assert repr(Deed(0, "u", commit)) == (
        "store_0.namespace('u').with_cas(['a', 'b:*'], closure(snap.get('a'), once(other_program('u').delete('a')), "
        "snap.hlen('b:*'), ops.set('a', 'x', ttl=100), fail()), max_retries=2)"
    )


def test_writes_that_are_sent_again_are_no_defect(server: Server, others: redis.Redis) -> None:
    """They are recognised, so a client may do that."""
    with SendsWritesTwice(port=server.port, db=DATABASE) as client:
        check_against_model(lambda: client, examples=20, settings=QUICK)


def test_clients_may_be_new_ones_and_of_several_kinds(server: Server, others: redis.Redis) -> None:
    """A factory is called at most three times; the database of others stays as it is."""
    made = [[], []]

    def factory(number: int) -> redis.Redis:
        made[number].append(redis.Redis(port=server.port, db=DATABASE, decode_responses=bool(number)))
        return made[number][-1]

    check_against_model(lambda: factory(0), lambda: factory(1), examples=20, steps=10, settings=QUICK)
    assert len(made[0]) == 3
    assert 1 <= len(made[1]) <= 2
    for client in (*made[0], *made[1]):
        client.close()


def test_a_client_in_memory_is_checked_as_well() -> None:
    """Time passes by its own `advance`; what is wrong with it is found."""
    with InMemoryClient() as client:
        check_against_model(lambda: client, examples=10, settings=QUICK)
        assert client.keys() == []
    assert "hlen(" in failure(OneTooMany())


def test_an_example_that_took_too_long_is_told_apart(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its TTLs cannot be compared, so what looks like a defect may be none."""
    monkeypatch.setattr(_machine, "MOST_SECONDS", 0)
    with SaysThatAllExists(port=server.port, db=DATABASE) as client, pytest.raises(RuntimeError, match="fewer steps"):
        check_against_model(lambda: client, examples=300, settings=QUICK)


# What chance may take long to find, written out.
STORIES = {
    "a counter whose slot was a hash in between": [
        Deed(0, "u", Call("incr", ("a", 50))),
        Deed(OUTSIDER, "u", Call("delete", ("a",))),
        Deed(1, "u", Call("hset", ("a", "f", "x"))),
        Deed(0, "u", Call("hdel", ("a", "f"))),
        Deed(1, "u", Call("incr", ("a",))),
    ],
    "bytes that are no text": [
        Deed(OUTSIDER, "u", Call("write", ("a", "string", "\udcff", 60))),
        Deed(0, "u", Call("get", ("a",))),
        Deed(0, "u", Call("exists", ("a",))),
        Deed(0, "u", Call("set", ("a", "x"))),
    ],
    "a refused call in an index without a record": [
        Deed(OUTSIDER, "u", Call("write", ("a", "string", "x", 300))),
        Deed(0, "u", Call("touch", (), {"scan": True})),
        Deed(1, "u", Call("incr", ("a",))),
    ],
    "a commit that changes nothing in an index without a record": [
        Deed(OUTSIDER, "u", Call("write", ("a", "hash", {"f": "x"}, 300))),
        Deed(0, "u", Call("touch", (), {"scan": True})),
        Deed(1, "u", Commit("a", [], [], False, [], [Call("hdel", ("a", "g"))], False, 0)),
        Deed(0, "u", Call("set", ("b:*", "x"), {"xx": True})),  # there is a record now
    ],
    "a write that asks for less in an index without a record": [
        Deed(OUTSIDER, "u", Call("write", ("a", "string", "x", 300))),
        Deed(0, "u", Call("touch", (), {"scan": True})),
        Deed(1, "u", Call("set", ("a", "y"), {"ttl": 100})),
        Deed(0, "u", Call("hset", ("a", "f", "x"))),
    ],
    "a purge takes the record along": [
        Deed(0, "u", Call("set", ("a", "x"))),
        Deed(1, "u", Call("purge")),
        Deed(OUTSIDER, "u", Call("write", ("a", "string", "x", 300))),
        Deed(0, "u", Call("touch", (), {"scan": True})),
        Deed(1, "u", Call("incr", ("a",))),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_model_and_clients_agree_on_rare_stories(server: Server, others: redis.Redis, story: list[Deed]) -> None:
    """By the machine's own steps, one after the other."""
    with redis.Redis(port=server.port, db=DATABASE) as one, redis.Redis(port=server.port, db=DATABASE) as other:
        machine = Machine(clients_of((iter((one, other, one)).__next__,)))
        machine.begin((0, 0), ((2, False), (2, False)))
        try:
            for deed in story:
                machine.by(deed)
                machine.all_hold_the_same_and_keep_the_promises()
        finally:
            machine.teardown()


@pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning")
def test_a_cluster_is_checked_as_well() -> None:
    """Its keys have hash tags, and are found on every primary. redis-py 6.2 warns of a default of its own."""
    cluster = Cluster()
    try:
        with redis.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
            check_against_model(lambda: client, examples=10, settings=QUICK)
            assert client.keys(target_nodes=redis.RedisCluster.PRIMARIES) == []
            with InMemoryClient() as other, pytest.raises(TypeError, match="or none of them"):
                check_against_model(lambda: client, lambda: other)
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    ("factories", "options", "error", "rule"),
    [
        ((), {}, TypeError, "client_factories must"),
        ((InMemoryClient(),), {}, TypeError, "client_factories must"),
        ((redis.asyncio.Redis,), {}, TypeError, "client must be a redis.Redis"),
        ((InMemoryClient,), {"examples": 0}, ValueError, "examples must be at least 1"),
        ((InMemoryClient,), {"steps": 0}, ValueError, "steps must be at least 1"),
        ((InMemoryClient,), {"steps": "40"}, TypeError, "steps must be an int"),
    ],
)
def test_bad_arguments_are_refused(factories: Any, options: Any, error: type[Exception], rule: str) -> None:
    """Before anything is sent."""
    with pytest.raises(error, match=rule):
        check_against_model(*factories, **options)
