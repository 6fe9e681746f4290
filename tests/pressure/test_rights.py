"""A user of the server who has the rights that the documentation lists, and no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import redis
from redis.exceptions import NoPermissionError, ResponseError
from support.callers import READS, WRITES, Caller, contents, fill
from support.rights import DIRECTORY_RIGHTS, PASSWORD, PREFIX, REDIS_PY_ASKS, RIGHTS, USER, names, rule
from support.servers import Server

from session_store import AsyncSessionStore, ReplicationError, SessionStore
from session_store.conversations import AsyncRedisConversations, NewMessage, RedisConversations


def watch_large(ns: Any) -> object:
    """A hash that the server does not keep packed is measured before it is sent along."""
    return ns.cas("large", lambda value, ops: value)


def give_up(ns: Any) -> object:
    """A closure that raises: it gives its lock back."""
    with suppress(ZeroDivisionError):
        ns.cas("n", lambda value, ops: 1 / 0)


CALLS = {
    **READS,
    **WRITES,
    "with_cas that watches a large hash": watch_large,
    "with_cas whose closure raises": give_up,
}


@pytest.fixture
def become(connect, own_server: Server, rival: redis.Redis) -> Callable[..., Caller]:
    """Connects as a user that has just been given these rights, to a server that knows no script and holds a session."""

    def become(rights: list[str], **options: Any) -> Caller:
        rival.execute_command(*rule(rights))
        return connect(own_server.port, retries=0, username=USER, password=PASSWORD, **options)

    yield become
    rival.execute_command("ACL", "DELUSER", USER)


@pytest.fixture
def prefix() -> str:
    """The prefix that the rule names."""
    return PREFIX


@pytest.fixture
def refill(connect, own_server: Server, rival: redis.Redis, empty: Callable[[], None]) -> Callable[[], None]:
    """Sets the namespace up, as the administrator: with an index so large that it is tidied in steps."""
    admin = connect(own_server.port)
    index = admin.key("n").removesuffix("n") + "~index"

    def refill() -> None:
        empty()
        fill(admin)
        admin.hset("large", "f", "x" * 1_000)
        admin.cas("n", lambda value, ops: [ops.set(f"slot-{number}", "1") for number in range(70)])
        rival.hdel(index, *(field for field in rival.hkeys(index) if field.startswith("~")))  # whoever is new tidies up
        rival.script_flush()
        rival.acl_log_reset()

    return refill


def denied(rival: redis.Redis) -> set[str]:
    """The commands that the server has refused."""
    return {entry["object"] for entry in rival.acl_log()} - REDIS_PY_ASKS


@pytest.mark.parametrize("call", CALLS)
def test_all_calls_with_the_rights(become, refill, rival: redis.Redis, call: str) -> None:
    """Every method works, and no command on its way is refused, not even one that can be done without."""
    refill()
    CALLS[call](become(RIGHTS))
    assert denied(rival) == set()


@pytest.mark.parametrize("right", [right for right in RIGHTS if right != "wait"])
def test_each_right_is_needed(become, refill, rival: redis.Redis, right: str) -> None:
    """Without it some method is refused that very command."""
    ns = become([each for each in RIGHTS if each != right])
    refill()
    for name, call in CALLS.items():
        with suppress(ResponseError):
            call(ns)
        if denied(rival):
            break
        if name in WRITES:
            refill()
    assert denied(rival) & names(right)


def test_right_to_wait_for_replicas(become, refill, rival: redis.Redis) -> None:
    """It is needed for `min_replicas`; without it the write is done, and the error says why it cannot be vouched for."""
    refill()
    options = {"settings": {"min_replicas": 1}, "socket_timeout": 1}
    with pytest.raises(ReplicationError) as caught:  # there are none
        become(RIGHTS, **options).incr("ids")
    assert caught.value.__cause__ is None
    with pytest.raises(ReplicationError) as caught:
        become([right for right in RIGHTS if right != "wait"], **options).incr("ids")
    assert isinstance(caught.value.__cause__, NoPermissionError)
    assert denied(rival) == {"wait"}


def converse(caller: Caller) -> None:
    """All that is done with conversations."""
    kinds: Any = (AsyncSessionStore, AsyncRedisConversations) if caller.is_async else (SessionStore, RedisConversations)
    wait, store = caller.wait, kinds[0](caller.client, prefix=PREFIX, default_ttl=600)
    chats = kinds[1](store, max_lifetime=6_000)

    def listed(found: Any) -> list[Any]:
        async def all_of() -> list[Any]:
            return [each async for each in found]

        return wait(all_of()) if caller.is_async else list(found)

    for name in ("a", "b"):
        wait(chats.create(name, user="ann", agent="planner", title="T", tags=["x"]))
    chat = chats.conversation("a")
    wait(chat.append_many([NewMessage("user", at, key=f"k{at}") for at in range(6)]))
    assert wait(chat.append("user", 0, key="k0", max_tokens=1)).seq == 1
    wait(chat.edit(2, "x"))
    wait(chat.set_summary("s", upto=2))
    wait(chat.delete(2))
    wait(chat.replace([NewMessage("system", "short")], after=3, expected_revision=wait(chat.info()).revision))
    at = wait(chat.latest(1, roles=["system"], max_tokens=1)).items[0].created_at
    assert [message.seq for message in wait(chat.messages(order="desc", before=7)).items] == [3, 1]
    assert [message.seq for message in listed(chat.iter(after=1))] == [3, 7]
    assert wait(chat.messages(after=at)).items == ()
    wait(chat.update(user="bob", title=None))
    assert [info.id for info in wait(chats.list(user="bob", order="active")).items] == ["a"]
    assert list(wait(chats.infos(["a"]))) == ["a"] and len(listed(chats.scan())) == 2
    assert wait(chats.prune(agent="planner")) == 2
    assert wait(chat.touch()) and wait(chats.ping())
    assert wait(chat.clear()) == 3
    wait(store.namespace("b").purge())
    assert wait(chats.prune(user="ann")) == 0
    assert wait(chat.delete_all())


def test_conversations_with_the_rights(become, empty: Callable[[], None], rival: redis.Redis) -> None:
    """Keys of the prefix are all that they need."""
    empty()
    rival.acl_log_reset()
    converse(become([*RIGHTS, *DIRECTORY_RIGHTS]))
    assert denied(rival) == set()


@pytest.mark.parametrize("right", DIRECTORY_RIGHTS)
def test_each_right_for_directories_is_needed(
    become, empty: Callable[[], None], rival: redis.Redis, right: str
) -> None:
    empty()
    rival.acl_log_reset()
    with pytest.raises(ResponseError):
        converse(become([each for each in (*RIGHTS, *DIRECTORY_RIGHTS) if each != right]))
    assert denied(rival) == {right}


def test_nothing_else(become, refill, rival: redis.Redis) -> None:
    """The user can neither look at what is not theirs, nor change it, nor the server; in a script just as little.

    What is tried is tried on a server that this module has started: one that were let through would harm nobody.
    """
    refill()
    rival.set("foreign", "theirs")
    before = contents(rival, "")
    ns = become(RIGHTS)
    for command in (
        *(("GET", "foreign"), ("SET", "foreign", "1"), ("UNLINK", "shop"), ("DUMP", "shopping:n"), ("KEYS", "*")),
        *(("EVAL", "return redis.call('GET', KEYS[1])", 1, "foreign"), ("PERSIST", ns.key("n")), ("PUBLISH", "c", "m")),
        *(("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("SCRIPT", "FLUSH"), ("CLIENT", "LIST"), ("INFO",)),
        *(("ACL", "LIST"), ("SHUTDOWN",), ("MONITOR",)),
    ):
        with pytest.raises(NoPermissionError):
            ns.wait(ns.client.execute_command(*command))
    rival.acl_log_reset()
    for command in ("redis.call('FLUSHALL')", "redis.call('GET', 'foreign')"):
        with pytest.raises(ResponseError):  # of a class that depends on the server's version
            ns.wait(ns.client.execute_command("EVAL", f"return {command}", 0))
    assert {entry["object"] for entry in rival.acl_log() if entry["context"] == "lua"} == {"flushall", "foreign"}
    assert contents(rival, "") == before


OTHER_TYPES = {
    "list": ("lrange", "RPUSH"),
    "set": ("smembers", "SADD"),
    "sorted set": ("zrange", "ZADD", "1"),
    "stream": ("xrange", "XADD", "*", "f"),
}


@pytest.mark.parametrize("kind", ["string", "hash", *OTHER_TYPES])
def test_with_cas_of_a_user_who_may_not_dump(become, refill, rival: redis.Redis, kind: str) -> None:
    """It works, and notices what another program changes; for types that are not ours it takes one more right."""
    refill()
    needed, command, *args = OTHER_TYPES.get(kind, ("get", "HSET", "f"))
    ns = become([*(right for right in RIGHTS if right != "dump"), needed])
    slot = "n" if kind == "string" else "h" if kind == "hash" else "other"

    def change() -> object:
        return (
            rival.incr(ns.key("n"))
            if kind == "string"
            else rival.execute_command(command, ns.key(slot), *args, uuid4().hex)
        )

    if slot == "other":
        change()
    runs = []
    ns.cas(slot, lambda value, ops: (runs.append(value), len(runs) == 1 and change(), ops.set("new", "1")))
    assert len(runs) == 2
    ns.cas(slot, lambda value, ops: ops.set("new", "2"), max_retries=0)
    assert denied(rival) == {"dump"}
