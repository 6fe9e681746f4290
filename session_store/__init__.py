"""Session data on Redis that survives two tabs: namespaced slots, counters, and commits that lose no update.

PYTEST_DONT_REWRITE: pytest knows this package for its plugin, and would warn when it was imported before.
"""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily

if TYPE_CHECKING:
    from session_store._async.directory import AsyncDirectory
    from session_store._async.namespace import AsyncNamespace
    from session_store._async.snapshot import AsyncCasSnapshot
    from session_store._async.store import AsyncSessionStore
    from session_store._core.commits import CasOps
    from session_store._core.directories import Entry, Page
    from session_store._core.policy import CasPolicy
    from session_store._sync.directory import Directory
    from session_store._sync.namespace import Namespace
    from session_store._sync.snapshot import CasSnapshot
    from session_store._sync.store import SessionStore
    from session_store.codecs import BytesCodec, JsonCodec, TextCodec
    from session_store.encryption import EncryptedCodec
    from session_store.errors import (
        CasContentionError,
        CodecError,
        CommitUnknownError,
        InvalidNameError,
        NamespacePurgedError,
        NestedCasError,
        ReplicationError,
        RevisionConflictError,
        SessionStoreError,
        WrongTypeError,
    )
    from session_store.fingerprints import fingerprint
    from session_store.testing import AsyncInMemoryClient, InMemoryClient

# Each name is loaded when it is first used: an application has one flavour, and only its tests have fakeredis.
_HOMES = {
    "_async.directory": ("AsyncDirectory",),
    "_async.namespace": ("AsyncNamespace",),
    "_async.snapshot": ("AsyncCasSnapshot",),
    "_async.store": ("AsyncSessionStore",),
    "_core.commits": ("CasOps",),
    "_core.directories": ("Entry", "Page"),
    "_core.policy": ("CasPolicy",),
    "_sync.directory": ("Directory",),
    "_sync.namespace": ("Namespace",),
    "_sync.snapshot": ("CasSnapshot",),
    "_sync.store": ("SessionStore",),
    "codecs": ("BytesCodec", "JsonCodec", "TextCodec"),
    "encryption": ("EncryptedCodec",),
    "errors": (
        *("CasContentionError", "CodecError", "CommitUnknownError", "InvalidNameError", "NamespacePurgedError"),
        *("NestedCasError", "ReplicationError", "RevisionConflictError", "SessionStoreError", "WrongTypeError"),
    ),
    "fingerprints": ("fingerprint",),
    "testing": ("AsyncInMemoryClient", "InMemoryClient"),
}

__all__ = [
    "AsyncCasSnapshot",
    "AsyncDirectory",
    "AsyncInMemoryClient",
    "AsyncNamespace",
    "AsyncSessionStore",
    "BytesCodec",
    "CasContentionError",
    "CasOps",
    "CasPolicy",
    "CasSnapshot",
    "CodecError",
    "CommitUnknownError",
    "Directory",
    "EncryptedCodec",
    "Entry",
    "InMemoryClient",
    "InvalidNameError",
    "JsonCodec",
    "Namespace",
    "NamespacePurgedError",
    "NestedCasError",
    "Page",
    "ReplicationError",
    "RevisionConflictError",
    "SessionStore",
    "SessionStoreError",
    "TextCodec",
    "WrongTypeError",
    "fingerprint",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
