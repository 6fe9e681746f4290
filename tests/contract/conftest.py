"""The contract runs on every supported version of a server that the machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from support import versions
from support.backends import VERSIONS, as_params
from support.servers import Server


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Server]]:
    """A function that gives the server of a version, which starts when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def servers(version: str) -> Server:
            server = Server(executable=versions.found()[version])
            stack.callback(server.stop)
            return server

        yield servers


@pytest.fixture(params=as_params(VERSIONS), ids=lambda version: version.replace(" ", "-"))
def server(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Server:
    """For tests that need no other back end: a server of each version in turn."""
    return servers(request.param)
