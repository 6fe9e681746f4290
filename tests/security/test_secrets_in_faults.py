"""What servers and networks do wrong shows no secret either: what they refuse, what they lose, and what times out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from security import calls
from security.calls import HASH, Call
from security.faces import facing
from security.marks import SLOT
from security.witness import Witness
from support.proxy import Proxy, proxied
from support.servers import Server, free_port

from session_store import errors

LOST = [  # a command whose reply is lost, and a call that sends it
    ("GET", Call("get", (SLOT,))),
    ("HGETALL", Call("hgetall", (HASH,))),
    ("EVALSHA", calls.OPS[0]),
    ("EVALSHA", Call("incr", (calls.ID,))),
    ("HKEYS", Call("slots")),
    ("EXISTS", Call("slots")),
    ("EVALSHA", Call("touch")),
    ("EVALSHA", Call("purge", (), {"fence": 60})),
    ("SCAN", Call("purge", (), {"scan": True})),
]


def commit(ops: Any) -> Any:
    """A closure."""
    for call in calls.SNAP:
        yield call.method, *call.args
    for call in calls.OPS:
        call.on(ops)


@pytest.fixture
def watch(
    flavour: str, rival: redis.Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[..., Witness]]:
    """Makes a witness on a port. At the end, none may have seen anything. `rival` removes the keys."""
    with ExitStack() as stack:
        made: list[Witness] = []

        def watch(port: int, **options: Any) -> Witness:
            face = stack.enter_context(facing(flavour, port, **options))
            made.append(Witness(face, prefix, caplog))
            return made[-1]

        yield watch
        for witness in made:
            witness.close()
        assert [found for witness in made for found in witness.found] == []


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as proxy:
        yield proxy


def fill(witness: Witness) -> None:
    for call in calls.OPS:
        call.on(witness.namespaces[0])


@pytest.mark.parametrize(("command", "call"), LOST, ids=lambda value: value if isinstance(value, str) else value.method)
def test_a_lost_reply_shows_nothing(watch: Any, server: Server, proxy: Proxy, command: str, call: Call) -> None:
    fill(watch(server.port))
    proxy.lose_reply(command)
    witness = watch(proxy.port)
    assert isinstance(witness.call(call.method, lambda: call.on(witness.namespaces[0])), redis.ConnectionError)


@pytest.mark.parametrize("command", ["BEGIN", "GET", "COMMIT"])
def test_a_commit_whose_replies_are_lost_shows_nothing(watch: Any, server: Server, proxy: Proxy, command: str) -> None:
    fill(watch(server.port))
    proxy.lose_reply(command)
    witness = watch(proxy.port)
    error = witness.call("commit", lambda: witness.namespaces[1].cas(f"{SLOT}:other", commit))
    assert (error is None) == (command == "COMMIT")
    assert witness.close() == (1 if command == "COMMIT" else 0)


def test_a_commit_that_stays_unknown_shows_nothing(watch: Any, proxy: Proxy) -> None:
    proxy.lose_reply("COMMIT", then=proxy.refuse)
    witness = watch(proxy.port)
    error = witness.call("commit", lambda: witness.namespaces[1].cas(SLOT, commit, max_retries=1))
    assert isinstance(error, errors.CommitUnknownError)
    assert witness.close() == 1


def every_call(witness: Witness) -> list[BaseException | None]:
    """What each method raises, and a commit and `namespaces`."""
    ns = witness.namespaces[2]
    some = [witness.call(call.method, lambda call=call: call.on(ns)) for call in calls.NAMESPACE]
    store = witness.face.store(witness.prefix)
    return [
        *some,
        witness.call("commit", lambda: ns.cas([SLOT, HASH], commit)),
        witness.call("namespaces", lambda: witness.face.wait(store.namespaces())),
    ]


def test_a_server_that_does_not_answer_shows_nothing(watch: Any) -> None:
    server = Server()
    try:
        witness = watch(server.port, socket_timeout=0.1)
        server.pause()
        raised = every_call(witness)
        server.resume()
    finally:
        server.stop()
    assert {type(error) for error in raised if error} == {redis.TimeoutError}
    raised = every_call(watch(free_port()))
    assert {type(error) for error in raised if error} == {redis.ConnectionError}


# What the user of a client may do. What is missing makes some call fail: a command, one inside a script, or all keys.
RIGHTS = {
    "no dump": ["~*", "+@all", "-dump"],  # which can be done without
    **{f"no {command}": ["~*", "+@all", f"-{command}"] for command in ("get", "exists", "hkeys", "evalsha", "hset")},
    **{f"no {command}": ["~*", "+@all", f"-{command}"] for command in ("hmget", "pexpire", "scan", "set", "unlink")},
    "no key": ["~others:*", "+@all"],
}


@pytest.mark.parametrize("rights", RIGHTS.values(), ids=RIGHTS)
def test_what_a_user_may_not_do_shows_nothing(
    watch: Any, rival: redis.Redis, server: Server, rights: list[str]
) -> None:
    fill(watch(server.port))
    rival.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">password", *rights)
    try:
        raised = every_call(watch(server.port, username="limited", password="password"))
    finally:
        rival.execute_command("ACL", "DELUSER", "limited")
    assert any(isinstance(error, redis.ResponseError) for error in raised) == ("-dump" not in rights)


def test_a_full_memory_shows_nothing(watch: Any, rival: redis.Redis, server: Server) -> None:
    witness = watch(server.port)
    fill(witness)
    rival.config_set("maxmemory", "1")
    try:
        raised = every_call(witness)
    finally:
        rival.config_set("maxmemory", "0")
    assert any(isinstance(error, redis.OutOfMemoryError) for error in raised)


def test_a_server_that_has_forgotten_the_scripts_shows_nothing(watch: Any, rival: redis.Redis, server: Server) -> None:
    witness = watch(server.port)
    for call in calls.NAMESPACE:
        rival.script_flush()
        assert witness.call(call.method, lambda call=call: call.on(witness.namespaces[0])) is None


def test_a_replica_that_does_not_write_shows_nothing(watch: Any) -> None:
    server = Server()
    try:
        with redis.Redis(port=server.port) as admin:
            admin.replicaof("127.0.0.1", free_port())
        raised = every_call(watch(server.port))
    finally:
        server.stop()
    assert any(isinstance(error, redis.ReadOnlyError) for error in raised)
