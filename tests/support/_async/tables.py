"""Fixtures for tests on DynamoDB: a client, and a table of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from support._async._flavour import connect
from support.watched import Watched


@pytest.fixture
async def watched(dynamodb_url: str) -> AsyncIterator[Watched]:
    """A client that notes its calls, and fails by script."""
    async with connect(dynamodb_url) as client:
        yield Watched(client)


@pytest.fixture
async def table(dynamodb_url: str) -> AsyncIterator[str]:
    """The name of a table that no other test uses, and that is deleted afterwards if there is one by then."""
    name = f"test-{uuid4().hex[:16]}"
    yield name
    async with connect(dynamodb_url) as client:  # not the test's, which may fail
        try:
            await client.delete_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            pass  # the test made none
