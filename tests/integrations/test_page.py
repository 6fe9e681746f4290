"""What docs/integrations.md shows is what happens."""

from __future__ import annotations

import pytest
from docs.pages import DOCS, clean
from support.servers import Server

for framework in ("agents", "claude_agent_sdk", "langgraph", "mcp"):
    pytest.importorskip(framework, reason="the frameworks are not installed here: make integrations")


def test_the_code_of_the_page_runs(server: Server) -> None:
    """From its first block to its last; whatever is stored has a TTL."""
    names = DOCS["integrations"].run(server)
    if "client" in names:
        names["client"].close()
    clean(server)
