"""Sessions of browsers on a cluster: an owner's list lies on another node than the sessions."""

from __future__ import annotations

from typing import Any

import pytest
from cluster.flavours import Flavour
from support.deployments import Cluster

from session_store import AsyncSessionStore, JsonCodec, NamespacePurgedError, SessionStore
from session_store.web import AsyncSessions, SessionPolicy, Sessions


def test_a_visit(cluster: Cluster, flavour: Flavour, prefix: str) -> None:
    """Two devices, two tabs, slots of the application, and a logout everywhere: nothing is CROSSSLOT."""
    wait = flavour.wait
    kinds: Any = (AsyncSessionStore, AsyncSessions) if flavour.is_async else (SessionStore, Sessions)
    store = kinds[0](flavour.cluster(cluster.port), prefix=prefix, default_ttl=600, codec=JsonCodec())
    sessions = kinds[1](store, policy=SessionPolicy(idle=600, lifetime=6_000))

    def finish(session: Any) -> list[bytes]:
        headers = dict(wait(session.finish(200)))
        return [headers["Set-Cookie"].partition(";")[0].encode()]

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
