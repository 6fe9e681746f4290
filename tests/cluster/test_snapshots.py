"""Snapshots on a cluster: an owner's list lies on another node than the snapshots."""

from __future__ import annotations

from typing import Any

from cluster.flavours import Flavour
from support.deployments import Cluster

from session_store import AsyncSessionStore, SessionStore
from session_store.snapshots import AsyncSnapshots, Snapshots


def test_snapshots(cluster: Cluster, flavour: Flavour, prefix: str) -> None:
    """All that is done with some of one owner, large ones too: nothing is CROSSSLOT."""
    wait = flavour.wait
    kinds: Any = (AsyncSessionStore, AsyncSnapshots) if flavour.is_async else (SessionStore, Snapshots)
    snapshots = kinds[1](kinds[0](flavour.cluster(cluster.port), prefix=prefix, default_ttl=600))
    names = [f"agent-{number}" for number in range(12)]
    for name in names:
        wait(snapshots.save(name, name * 50_000, tick=1, owner="ann"))
    for name in names:
        assert wait(snapshots.load(name, touch=True)).value == name * 50_000
    page = wait(snapshots.list(owner="ann", limit=5))
    rest = wait(snapshots.list(owner="ann", cursor=page.cursor))
    assert sorted(info.id for info in (*page, *rest)) == sorted(names)
    assert wait(snapshots.delete(names[0]))
    assert wait(snapshots.save(names[0], "anew", owner="ann", after_delete=True))
    assert wait(snapshots.prune(owner="ann", keep=2)) == 10
    assert len(wait(snapshots.list(owner="ann"))) == 2
