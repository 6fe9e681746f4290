"""A checkpoint as it is stored.

A line of JSON, of what has to be known to find the rest, and behind it metadata and checkpoint as the serde writes them.
Its values lie in slots of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from session_store.integrations._langgraph._core.slots import STORED, THREAD, Found, packed, slot_of, unpacked


class Key(NamedTuple):
    """Which checkpoint of a thread."""

    checkpoint_ns: str
    id: str

    @property
    def field(self) -> str:
        """Its field in `checkpoints`."""
        return json.dumps(self)

    @property
    def writes(self) -> str:
        """The slot of its writes."""
        return slot_of("writes", *self)


def keys_of(fields: Iterable[str]) -> list[Key]:
    """Those of all fields of `checkpoints`, the latest first."""
    keys = [Key(*json.loads(field)) for field in fields if field != THREAD]
    return sorted(keys, key=lambda key: key.id, reverse=True)


class Record(NamedTuple):
    """A checkpoint without its values. `held`: the version of each channel that has one."""

    key: Key
    parent: str | None
    held: ChannelVersions
    body: bytes

    @classmethod
    def of(
        cls, serde: SerializerProtocol, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> Record:
        """That of a call of `put`."""
        place, versions = config["configurable"], checkpoint["channel_versions"]
        rest = {name: part for name, part in checkpoint.items() if name != "channel_values"}
        return cls(
            Key(place.get("checkpoint_ns", ""), checkpoint["id"]),
            place.get("checkpoint_id"),
            {name: versions[name] for name in checkpoint["channel_values"] if name in versions},
            packed(serde, [get_checkpoint_metadata(config, metadata), rest]),
        )

    @classmethod
    def read(cls, data: bytes) -> Record:
        """What `data` has written."""
        head, _, body = data.partition(b"\n")
        key, parent, held = json.loads(head)
        return cls(Key(*key), parent, held, body)

    @property
    def data(self) -> bytes:
        """As it is stored."""
        return json.dumps([self.key, self.parent, self.held]).encode() + b"\n" + self.body

    def blob(self, channel: str) -> str:
        """The slot of a channel that has a value."""
        return slot_of("blob", self.key.checkpoint_ns, channel, self.held[channel])

    @property
    def blobs(self) -> dict[str, str]:
        """The slot of each channel that has a value."""
        return {channel: self.blob(channel) for channel in self.held}

    @property
    def slots(self) -> list[str]:
        """Those to be read for a tuple."""
        return [self.key.writes, *self.blobs.values()]

    def complete(self, found: Found) -> bool:
        """Whether the checkpoint was there when its slots were read, and all of them."""
        return STORED in found.get(self.key.writes, {}) and all(slot in found for slot in self.slots)

    def metadata(self, serde: SerializerProtocol) -> CheckpointMetadata:
        """What was said of it."""
        metadata: CheckpointMetadata = unpacked(serde, self.body)[0]
        return metadata

    def matches(self, serde: SerializerProtocol, wanted: Mapping[str, Any] | None) -> bool:
        """Whether its metadata has all that is asked for."""
        metadata: Mapping[str, Any] = self.metadata(serde) if wanted else {}
        return not wanted or all(metadata.get(name) == value for name, value in wanted.items())


def config_of(thread_id: str, key: Key) -> RunnableConfig:
    """How LangGraph names a checkpoint."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": key.checkpoint_ns, "checkpoint_id": key.id}}


def tuple_of(
    serde: SerializerProtocol, thread_id: str, record: Record, found: Found, writes: list[PendingWrite]
) -> CheckpointTuple:
    """What LangGraph wants of a checkpoint whose slots have been read."""
    rest: Checkpoint
    metadata, rest = unpacked(serde, record.body)
    rest["channel_values"] = {name: unpacked(serde, found[slot]) for name, slot in record.blobs.items()}
    key, parent = record.key, record.parent
    return CheckpointTuple(
        config=config_of(thread_id, key),
        checkpoint=rest,
        metadata=metadata,
        parent_config=config_of(thread_id, Key(key.checkpoint_ns, parent)) if parent else None,
        pending_writes=writes,
    )
