"""Fixtures that every folder of tests shares."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from support import examples
from support.servers import Server

examples.load_profiles()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real server, one per test process. Tests keep to a prefix of their own on it."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"t-{uuid4().hex[:12]}"
