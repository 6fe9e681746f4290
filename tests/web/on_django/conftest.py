"""The shop of each test, in memory and on a server, under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import override_settings
from support.recorder import Recorder
from support.servers import Server
from web.on_django.shop import STORE, Visitor

from session_store import InMemoryClient


@pytest.fixture(params=["memory", "redis"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    client = InMemoryClient() if request.param == "memory" else redis.Redis(port=server.port)
    yield client
    client.close()


@pytest.fixture
def site(client: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """The settings of a site's sessions, which are in force."""
    store = {**STORE, "client": lambda: client, "prefix": prefix}
    with override_settings(SESSION_STORE=store):
        yield store


@pytest.fixture(params=["wsgi", "asgi"])
def visitor(request: pytest.FixtureRequest, site: Any) -> Visitor:
    return Visitor(request.param)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def keys_of(client: Any, prefix: str) -> list[bytes]:
    return list(client.scan_iter(match=f"{prefix}:*"))
