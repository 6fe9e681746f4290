"""Session data on Redis that survives two tabs: namespaced slots, counters, and commits that lose no update."""

from typing import TYPE_CHECKING, Any

from session_store._async.cas import AsyncCasSnapshot
from session_store._async.namespace import AsyncNamespace
from session_store._async.store import AsyncSessionStore
from session_store._core.commits import CasOps
from session_store._core.policy import CasPolicy
from session_store._sync.cas import CasSnapshot
from session_store._sync.namespace import Namespace
from session_store._sync.store import SessionStore
from session_store.codecs import JsonCodec, TextCodec
from session_store.errors import (
    CasContentionError,
    CodecError,
    CommitUnknownError,
    InvalidNameError,
    NamespacePurgedError,
    NestedCasError,
    SessionStoreError,
    WrongTypeError,
)

if TYPE_CHECKING:
    from session_store.testing import AsyncInMemoryClient, InMemoryClient

__all__ = [
    "AsyncCasSnapshot",
    "AsyncInMemoryClient",
    "AsyncNamespace",
    "AsyncSessionStore",
    "CasContentionError",
    "CasOps",
    "CasPolicy",
    "CasSnapshot",
    "CodecError",
    "CommitUnknownError",
    "InMemoryClient",
    "InvalidNameError",
    "JsonCodec",
    "Namespace",
    "NamespacePurgedError",
    "NestedCasError",
    "SessionStore",
    "SessionStoreError",
    "TextCodec",
    "WrongTypeError",
]


def __getattr__(name: str) -> Any:
    if name in ("AsyncInMemoryClient", "InMemoryClient"):  # they load fakeredis, which only tests need
        from session_store import testing

        return getattr(testing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
