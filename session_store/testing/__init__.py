"""What tests need: a client in memory, an explorer of interleavings, Hypothesis parts, a conformance suite.

Its parts come with the extra `session-store[testing]`. Fixtures for pytest are in `session_store.testing.plugin`, which
pytest loads by itself.
"""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily

if TYPE_CHECKING:
    from session_store.testing._async.conformance import AsyncClientConformance
    from session_store.testing._sync.conformance import ClientConformance
    from session_store.testing.calls import Call, Outcome, operations
    from session_store.testing.interleavings.errors import (
        InterleavingError,
        NotDeterministicError,
        StuckTaskError,
        UnseenTaskError,
    )
    from session_store.testing.interleavings.explorer import explore
    from session_store.testing.interleavings.result import Interleavings
    from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient
    from session_store.testing.model import check_against_model
    from session_store.testing.strategies import fields, json_values, namespaces, slots, text_values, ttls

# Each name is loaded when it is first used: a test of handlers needs no Hypothesis, and pytest's start none of it.
_HOMES = {
    "_async.conformance": ("AsyncClientConformance",),
    "_sync.conformance": ("ClientConformance",),
    "calls": ("Call", "Outcome", "operations"),
    "interleavings.errors": ("InterleavingError", "NotDeterministicError", "StuckTaskError", "UnseenTaskError"),
    "interleavings.explorer": ("explore",),
    "interleavings.result": ("Interleavings",),
    "memory": ("AsyncInMemoryClient", "InMemoryClient"),
    "model": ("check_against_model",),
    "strategies": ("fields", "json_values", "namespaces", "slots", "text_values", "ttls"),
}

__all__ = [
    "AsyncClientConformance",
    "AsyncInMemoryClient",
    "Call",
    "ClientConformance",
    "InMemoryClient",
    "InterleavingError",
    "Interleavings",
    "NotDeterministicError",
    "Outcome",
    "StuckTaskError",
    "UnseenTaskError",
    "check_against_model",
    "explore",
    "fields",
    "json_values",
    "namespaces",
    "operations",
    "slots",
    "text_values",
    "ttls",
]

__getattr__, __dir__ = lazily(globals(), _HOMES, extra="testing")
