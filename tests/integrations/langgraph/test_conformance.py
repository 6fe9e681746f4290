"""LangGraph's own suite for checkpointers, base and extended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.conformance", reason="LangGraph is not installed here: make integrations")

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES
from support.backends import VERSIONS

PLACES = [*((place, "bytes") for place in ("memory", *VERSIONS)), (VERSIONS[0], "encrypted")]


@pytest.mark.parametrize(("place", "codec"), PLACES)
async def test_conformance(saver: Any) -> None:
    @checkpointer_test(name="ours")
    async def registered() -> AsyncIterator[Any]:
        yield saver()

    report = await validate(registered)
    assert {name: each.failures for name, each in report.results.items()} == {
        capability.value: [] for capability in ALL_CAPABILITIES
    }
    assert all(each.tests_passed for each in report.results.values())
