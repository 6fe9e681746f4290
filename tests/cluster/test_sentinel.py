"""The master of a Sentinel deployment is killed with -9 while writers write to it."""

from __future__ import annotations

from cluster.flavours import Flavour
from cluster.writers import Session, Writers, total_verdict
from support.sentinel import SentinelDeployment


def test_everything_goes_on_after_a_failover(
    deployment: SentinelDeployment, flavour: Flavour, prefix: str, seed: int
) -> None:
    """On the same client. A store that waits for both replicas loses nothing: Sentinel may promote either."""
    client = flavour.master(deployment.addresses, deployment.NAME)
    safe = Session(flavour.namespace(client, prefix, "user", min_replicas=2))
    fast = Session(flavour.namespace(client, f"{prefix}-fast", "user"))
    with Writers([safe, fast], seed=seed) as writers:
        writers.wait_for_progress()
        deployment.kill_master()
        deployment.restore()
        writers.wait_for_progress()
    verdict = total_verdict([safe], lambda _: deployment.master())
    assert verdict.wrong() == {}, verdict
    assert verdict.errors
    verdict = total_verdict([fast], lambda _: deployment.master())
    assert verdict.wrong(replication_may_lose=True) == {}, verdict
