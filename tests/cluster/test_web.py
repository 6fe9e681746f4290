"""Sessions of browsers on a cluster: an owner's list lies on another node than the sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from cluster.flavours import Flavour
from cluster.test_replica_reads import REPLICAS, fresh, has, knows_replicas, replicas, served
from support.deployments import Cluster
from support.nodes import wait_until
from support.sentinel import SentinelDeployment

from session_store import AsyncSessionStore, JsonCodec, NamespacePurgedError, SessionStore
from session_store.web import AsyncSessions, SessionPolicy, Sessions


@pytest.fixture
def site(flavour: Flavour, prefix: str) -> Callable[..., Any]:
    """Makes the sessions of a client."""

    def site(client: Any, **settings: Any) -> Any:
        kinds: Any = (AsyncSessionStore, AsyncSessions) if flavour.is_async else (SessionStore, Sessions)
        store = kinds[0](client, prefix=prefix, default_ttl=600, codec=JsonCodec(), **settings)
        return kinds[1](store, policy=SessionPolicy(idle=600, lifetime=6_000))

    return site


@pytest.fixture
def finish(flavour: Flavour) -> Callable[[Any], list[bytes]]:
    """Begins the response to a request; the cookie that it sets."""

    def finish(session: Any) -> list[bytes]:
        headers = dict(flavour.wait(session.finish(200)))
        return [headers["Set-Cookie"].partition(";")[0].encode()] if "Set-Cookie" in headers else []

    return finish


def test_a_visit(cluster: Cluster, flavour: Flavour, site: Any, finish: Any) -> None:
    """[37] Two devices, two tabs, slots of the application, and a logout everywhere: nothing is CROSSSLOT."""
    wait, sessions = flavour.wait, site(flavour.cluster(cluster.port))

    cookies = []
    for device in range(3):
        session = wait(sessions.load([]))
        session["basket"] = device
        wait(session.login("ann", label=device))
        cookies.append(finish(session))
    tabs = [wait(sessions.load(cookies[0])) for _ in range(2)]
    tabs[0]["a"], tabs[1]["b"] = 1, 2
    for tab in tabs:
        wait(tab.finish(200))
    session = wait(sessions.load(cookies[0]))
    assert (session, session.owner) == ({"basket": 0, "a": 1, "b": 2}, "ann")
    basket = wait(session.namespace())
    wait(basket.hset("basket", "tea", 1))
    assert wait(session.transaction(lambda data: data.pop("a"))) == 1
    assert [info.label for info in wait(sessions.of("ann"))] == [2, 1, 0]
    assert wait(sessions.end_all("ann", session.id)) == 2
    assert [wait(sessions.load(cookie)).owner for cookie in cookies] == ["ann", None, None]
    wait(session.logout())
    assert wait(basket.slots()) == wait(sessions.of("ann")) == []
    with pytest.raises(NamespacePurgedError):
        wait(basket.set("late", 1))


def test_page_views_are_served_by_replicas(replicated: Cluster, flavour: Flavour, site: Any, finish: Any) -> None:
    """[39] And by them alone, where the client reads from replicas; what a request writes goes to the primary."""
    wait_until(lambda: knows_replicas(replicated), "clients are told of replicas")
    sessions = site(flavour.cluster(replicated.port, **REPLICAS))
    session = flavour.wait(sessions.load([]))
    session["n"] = 1
    cookie = finish(session)
    key = sessions.store.namespace(session.id).key("session")
    wait_until(lambda: has(replicated, key), "the replica has it")
    fresh(replicated)
    session = flavour.wait(sessions.load(cookie))
    assert (session, finish(session)) == ({"n": 1}, [])
    at_replicas, at_primaries = served(replicas(replicated)), served(replicated.primaries())
    assert (at_replicas["HGETALL"], at_primaries["HGETALL"], at_primaries["EVALSHA"]) == (1, 0, 0)
    session["n"] = 2
    assert flavour.wait(session.save()) is None
    assert served(replicated.primaries())["EVALSHA"] == 1


def test_a_failover_brings_no_old_token_back(
    deployment: SentinelDeployment, flavour: Flavour, site: Any, finish: Any
) -> None:
    """Where logins and logouts wait for replicas: the master dies just after them."""
    wait = flavour.wait
    sessions = site(flavour.master(deployment.addresses, deployment.NAME), min_replicas=2)

    def visitor() -> list[bytes]:
        session = wait(sessions.load([]))
        session["n"] = 1
        cookie: list[bytes] = finish(session)
        return cookie

    def owner(cookie: list[bytes]) -> str | None:
        """As soon as the new master answers."""
        deadline = time.monotonic() + 30
        while True:
            try:
                found: str | None = wait(sessions.load(cookie)).owner
            except redis.RedisError:
                assert time.monotonic() < deadline
            else:
                return found

    leaving, old = visitor(), visitor()
    leaver = wait(sessions.load(leaving))
    wait(leaver.login("bob"))
    left = finish(leaver)
    wait(wait(sessions.load(left)).logout())
    session = wait(sessions.load(old))
    wait(session.login("ann"))
    new = finish(session)
    deployment.kill_master()
    deployment.restore()
    assert [owner(cookie) for cookie in (new, old, left, leaving)] == ["ann", None, None, None]
