"""What a store was made with, checked once, and shared by its handles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from session_store._core.arguments import check_count, has_methods, kind_of
from session_store._core.audit import Audit
from session_store._core.names import KeySpace
from session_store._core.operations import Operations
from session_store._core.policy import CasPolicy
from session_store._core.queue import Queues
from session_store.codecs import Codec, PlacedCodec, V


@dataclass(frozen=True)
class Settings(Generic[V]):
    """The settings of one store."""

    keyspace: KeySpace
    default_ttl_ms: int
    codec: Codec[V] | PlacedCodec[V]
    cas_policy: CasPolicy
    audit: Audit
    min_replicas: int
    queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.codec, type) or not (
            has_methods(self.codec, "at") or has_methods(self.codec, "encode", "decode")
        ):
            raise TypeError(f"codec must be an object with encode and decode, or with at, got {kind_of(self.codec)}")
        check_count(self.min_replicas, "min_replicas")
        if not isinstance(self.cas_policy, CasPolicy):
            raise TypeError(f"cas_policy must be a CasPolicy, got {kind_of(self.cas_policy)}")
        object.__setattr__(self, "queues", Queues(self.cas_policy.lock_ttl))

    def operations(self, namespace: str, default_ttl_ms: int | None = None, *, existing: bool = False) -> Operations[V]:
        """Makes the operations of a namespace, with another default TTL perhaps; checks its name."""
        return Operations(
            self.keyspace, namespace, self.codec, default_ttl_ms or self.default_ttl_ms, existing=existing
        )
