"""Which servers the contract runs on, and which it lacks: one test a version, instead of a skip a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from support import versions
from support.servers import Server


@pytest.mark.parametrize("version", versions.SUPPORTED, ids=lambda version: version.replace(" ", "-"))
def test_a_supported_version_is_what_it_says(version: str, servers: Callable[[str], Server]) -> None:
    """Skipped where there is none: then no other test runs on that version either."""
    if version not in versions.tested():
        pytest.skip(versions.missing(version))
    name, number = version.split()
    with redis.Redis(port=servers(version).port) as client:
        info = client.info("server")
    assert info.get("server_name", "redis") == name
    assert info[f"{name}_version"].startswith(f"{number}.")
