"""`doctor`: what the server, its settings and its user lack is named, and nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from cli.conftest import Done, Run
from support.nodes import SYNC, wait_until
from support.rights import DIRECTORY_RIGHTS, PASSWORD, RIGHTS, USER, rule
from support.servers import Server

from session_store import SessionStore

CHANNEL_RIGHTS = ["publish", "subscribe", "unsubscribe", "ping"]
OWN_RIGHTS = ["memory|usage", "info", "dbsize", "config|get", "script|exists"]
EVERY_RIGHT = [*RIGHTS, *DIRECTORY_RIGHTS, *CHANNEL_RIGHTS, *OWN_RIGHTS]
VITAL = set(RIGHTS) - {"dump", "object|encoding", "scan", "wait"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server of this module's own, whose users it changes."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def admin(guarded: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=guarded.port) as client:
        yield client


def check(run: Run, server: Server, admin: redis.Redis, rights: list[str], *more: str, prefix: str = "shop") -> Done:
    """What is said to a user who has these rights."""
    admin.execute_command(*rule(rights), *more)
    return run("doctor", "--json", url=f"redis://{USER}:{PASSWORD}@127.0.0.1:{server.port}", prefix=prefix)


def lacks(done: Done) -> set[str]:
    found = [each for each in done.data["checks"] if each["check"] == "rights" and "lacks " in each["text"]]
    return {word for each in found for word in each["text"].rpartition("lacks ")[2].split()}


def statuses(done: Done, check: str) -> list[str]:
    return [each["status"] for each in done.data["checks"] if each["check"] == check]


def test_the_documented_rights_are_enough(run: Run, guarded: Server, admin: redis.Redis) -> None:
    """No right of the list is missed by a user who has it, and none is asked for beside those that the pages name."""
    done = check(run, guarded, admin, EVERY_RIGHT, "&*:shop:*")
    assert (done.status, lacks(done), statuses(done, "rights")) == (0, set(), ["ok"])
    assert check(run, guarded, admin, RIGHTS).status == 0
    SessionStore(admin, prefix="shop", default_ttl=60).namespace("a").set("step", "x")
    url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{guarded.port}"
    for words in (("show", "a"), ("stats",)):
        done = run(*words, url=url, prefix="shop")
        assert done.status == 0 and "may not do MEMORY USAGE" in done.err


@pytest.mark.parametrize("right", EVERY_RIGHT)
def test_what_lacks_is_named_exactly(run: Run, guarded: Server, admin: redis.Redis, right: str) -> None:
    """That right, and no other; without one that every store needs, the check fails."""
    done = check(run, guarded, admin, [each for each in EVERY_RIGHT if each != right], "&*:shop:*")
    assert lacks(done) == {f"+{right}"}
    assert done.status == (1 if right in VITAL else 0)


@pytest.mark.parametrize(
    "command", ["list", "count", "stats", "show a", "follow a --for 100ms", "touch a --ttl 60", "end a"]
)
def test_what_a_user_may_not_do(run: Run, guarded: Server, admin: redis.Redis, command: str) -> None:
    """Whatever right is missing: it is done without, or a line says which one, and who tells more."""
    url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{guarded.port}"
    refused = 0
    for right in RIGHTS:
        SessionStore(admin, prefix="shop", default_ttl=60).namespace("a").set("step", "x")
        admin.execute_command(*rule([each for each in RIGHTS if each != right]))
        done = run(*command.split(), "--fence=0" if command == "end a" else "--json", url=url, prefix="shop")
        assert done.status == 0 or (done.status == 2 and "session-store doctor" in done.err), (right, done)
        refused += done.status
    assert 2 <= refused <= 16


def test_keys_and_channels_of_another_prefix(run: Run, guarded: Server, admin: redis.Redis) -> None:
    done = check(run, guarded, admin, EVERY_RIGHT, "&*:shop:*", prefix="other")
    assert (done.status, lacks(done)) == (1, {"~other:*", "&*:other:*"})


def test_without_a_prefix(run: Run, guarded: Server, admin: redis.Redis) -> None:
    """Keys and channels are not looked at; commands are."""
    admin.execute_command(*rule([right for right in EVERY_RIGHT if right != "zadd"]), "&*:shop:*")
    done = run("doctor", "--json", url=f"redis://{USER}:{PASSWORD}@127.0.0.1:{guarded.port}", prefix=None)
    assert (done.status, lacks(done), statuses(done, "rights")) == (0, {"+zadd"}, ["note", "warn"])


def test_nothing_is_changed_by_it(run: Run, guarded: Server, admin: redis.Redis) -> None:
    """The rights are tried by calls that do nothing."""
    admin.set("shop:x:step", "1", ex=60)
    admin.config_resetstat()
    before = admin.info("persistence")["rdb_changes_since_last_save"], admin.dbsize()
    check(run, guarded, admin, EVERY_RIGHT, "&*")
    run("doctor", url=guarded.url, prefix="shop")
    assert (admin.info("persistence")["rdb_changes_since_last_save"], admin.dbsize()) == before


def test_a_server_as_it_should_be(run: Run, guarded: Server) -> None:
    done = run("doctor", "--json", url=guarded.url, prefix="shop")
    assert done.status == 0 and done.data["is_healthy"]
    checks: dict[str, Any] = {each["check"]: each for each in done.data["checks"]}
    assert {name for name, each in checks.items() if each["status"] != "ok"} == {"timeouts"}
    assert checks["maxmemory-policy"]["text"] == "noeviction"
    info = run("doctor", url=f"{guarded.url}?socket_timeout=2&socket_connect_timeout=2", prefix="shop").out
    assert "socket_timeout 2 s, socket_connect_timeout 2 s" in info
    assert "0 checks failed, 0 warnings" in info


def test_settings_that_lose_sessions(run: Run, guarded: Server, admin: redis.Redis) -> None:
    """Eviction, seen and to come; memory that is soon full; connections that are cut."""
    admin.config_set("maxmemory-policy", "allkeys-lru")
    admin.config_set("timeout", 30)
    # Much more than what connections and replicas may take and leave meanwhile: nothing of that can be evicted.
    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]) + 4_000_000)
    try:
        for number in range(6_000):
            admin.set(f"other:{number}", "x" * 1_000)
        done = run("doctor", "--json", url=guarded.url, prefix="shop")
    finally:
        for name, value in (("maxmemory", "0"), ("maxmemory-policy", "noeviction"), ("timeout", "0")):
            admin.config_set(name, value)
        admin.flushdb()  # of this module's own server
        admin.config_resetstat()
    assert done.status == 0  # it works, and may lose something
    for name in ("maxmemory-policy", "memory", "evicted", "idle"):
        assert statuses(done, name) == ["warn"], name


def test_replicas_for_min_replicas(run: Run, guarded: Server, admin: redis.Redis) -> None:
    """As many as are wanted; a replica itself is no place for a store."""
    assert run("doctor", "--min-replicas", "1", url=guarded.url).status == 1
    replica = Server("--replicaof", "127.0.0.1", str(guarded.port), *SYNC)
    try:
        wait_until(lambda: admin.info("replication").get("slave0", {}).get("state") == "online", "the replica is there")
        done = run("doctor", "--min-replicas", "1", "--json", url=guarded.url)
        assert (done.status, statuses(done, "replicas")) == (0, ["ok"])
        assert run("doctor", "--min-replicas", "2", url=guarded.url).status == 1
        assert statuses(run("doctor", "--json", url=replica.url), "role") == ["fail"]
    finally:
        replica.stop()
