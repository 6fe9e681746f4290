"""The shop of each test, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from web.on_flask.shop import Shop, shop

from session_store import InMemoryClient, JsonCodec, SessionStore
from session_store.web import (
    SessionPolicy,
    Sessions,
)


@pytest.fixture
def client() -> Iterator[Any]:
    with InMemoryClient() as client:
        yield client


@pytest.fixture
def site(client: Any) -> Callable[..., Sessions]:
    """Makes the sessions of a site, with these settings of its policy."""

    def site(client: Any = client, prefix: str = "shop", **policy: Any) -> Sessions:
        store = SessionStore(client, prefix=prefix, default_ttl=600, codec=JsonCodec())
        return Sessions(store, policy=SessionPolicy(**{"idle": 600, "lifetime": 6_000, **policy}))

    return site


@pytest.fixture
def app(site: Any) -> Shop:
    return shop(site())
