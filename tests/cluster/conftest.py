"""The deployments that the tests here share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cluster.flavours import Flavour
from support.deployments import Cluster
from support.sentinel import SentinelDeployment

# redis-py 6.2 warns of a default of its own. Before 8 it drops nodes without closing their connections, each time that
# it reads the topology anew.
_WARNINGS = ["ignore:Call to '__init__' function with deprecated usage:DeprecationWarning"]
if int(redis.__version__.split(".")[0]) < 8:
    _WARNINGS += ["ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.long)
            for warning in _WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three primaries."""
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def replicated() -> Iterator[Cluster]:
    """Three primaries with a replica each. A test that kills one starts it again."""
    cluster = Cluster(replicas=1)
    yield cluster
    cluster.stop()


@pytest.fixture
def deployment() -> Iterator[SentinelDeployment]:
    """A master with two replicas, and Sentinels."""
    deployment = SentinelDeployment()
    yield deployment
    deployment.stop()


@pytest.fixture(params=["sync", "async"])
def flavour(request: pytest.FixtureRequest) -> Iterator[Flavour]:
    with Flavour(request.param) as flavour:
        yield flavour


@pytest.fixture
def seed() -> int:
    """What the writers' choices follow from. When they write is up to the machine."""
    return 1
