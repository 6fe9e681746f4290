"""Fixtures that every folder of tests shares."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from support import examples
from support.dynamodb import dynamodb
from support.servers import Server

examples.load_profiles()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real server, one per test process. Tests keep to a prefix of their own on it."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """The address of a DynamoDB, one per test process. Each test has a table of its own there."""
    with dynamodb() as url:
        yield url


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"t-{uuid4().hex[:12]}"
