"""Hash slots move between primaries while writers write to them."""

from __future__ import annotations

from cluster.flavours import Flavour
from cluster.writers import Session, Writers, total_verdict
from support.deployments import Cluster

NAMES = [f"user-{number}" for number in range(4)]
MOVES = 15  # of each namespace's slot


def test_nothing_is_lost_or_doubled(replicated: Cluster, flavour: Flavour, prefix: str, seed: int) -> None:
    """Key by key, so that each move goes through ASK and TRYAGAIN; the next one begins when the last has ended."""
    client = flavour.cluster(replicated.port)
    sessions = [Session(flavour.namespace(client, prefix, name)) for name in NAMES]
    before = replicated.refusals()
    with Writers(sessions, seed=seed) as writers:
        writers.wait_for_progress()
        for _ in range(MOVES):
            for session in sessions:
                replicated.migrate(session.calls.key("total"), batch=1, pause=0.01)
        writers.wait_for_progress()
    met = replicated.refusals() - before
    assert {"MOVED", "ASK", "TRYAGAIN"} <= set(met)
    verdict = total_verdict(sessions, replicated.primary_of)
    assert verdict.wrong() == {}, verdict
    assert verdict.lost_fields == 0
    assert verdict.commits > 100
