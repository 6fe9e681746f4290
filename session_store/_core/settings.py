"""What a store was made with, checked once, and shared by its handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from session_store._core.arguments import has_methods, shorten
from session_store._core.audit import Audit
from session_store._core.names import KeySpace
from session_store._core.operations import Operations
from session_store._core.policy import CasPolicy
from session_store.codecs import Codec, V


@dataclass(frozen=True)
class Settings(Generic[V]):
    """The settings of one store."""

    keyspace: KeySpace
    default_ttl_ms: int
    codec: Codec[V]
    cas_policy: CasPolicy
    audit: Audit

    def __post_init__(self) -> None:
        if not has_methods(self.codec, "encode", "decode") or isinstance(self.codec, type):
            raise TypeError(f"codec must be an object with encode and decode, got {shorten(self.codec)}")
        if not isinstance(self.cas_policy, CasPolicy):
            raise TypeError(f"cas_policy must be a CasPolicy, got {shorten(self.cas_policy)}")

    def operations(self, namespace: str) -> Operations[V]:
        """Makes the operations of a namespace; checks its name."""
        return Operations(namespace, self.keyspace.base(namespace), self.codec, self.default_ttl_ms)
