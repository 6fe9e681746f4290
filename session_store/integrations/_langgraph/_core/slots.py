"""The slots of a thread, and how values lie in them.

A thread is a namespace with these slots; where names of others are part of a slot's name, they are digested:

- `checkpoints`      hash: `[checkpoint ns, checkpoint id]` -> record; "" -> the thread's id
- `tip.<ns>`         string: the record of the checkpoint that a graph goes on from
- `writes.<ns, id>`  hash: "" once the checkpoint is stored; `<task id> NUL <stamp>` -> what one call of `put_writes` had
- `blob.<ns, channel, version>`  string: the value of a channel
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2s
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

CHECKPOINTS = "checkpoints"
THREAD = ""  # the field of `checkpoints` with the thread's id
STORED = ""  # the field of `writes` that says that the checkpoint is there
Found = Mapping[str, Any]  # what a load of slots has found: bytes, or a dict of fields


def slot_of(kind: str, *names: Any) -> str:
    """The slot for names of others, which may be anything: no two share one."""
    return f"{kind}.{blake2s(json.dumps(names).encode(), digest_size=16).hexdigest()}"


def tip_of(checkpoint_ns: str) -> str:
    """The slot of what a graph goes on from."""
    return slot_of("tip", checkpoint_ns)


def packed(serde: SerializerProtocol, value: Any) -> bytes:
    """A value as the serde writes it, its kind in front."""
    kind, data = serde.dumps_typed(value)
    return kind.encode() + b"\0" + data


def unpacked(serde: SerializerProtocol, data: bytes) -> Any:
    """The value."""
    kind, _, value = data.partition(b"\0")
    return serde.loads_typed((kind.decode(), value))
