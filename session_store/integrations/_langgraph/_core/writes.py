"""What tasks have written, and the way back to what a channel was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langgraph.checkpoint.base import WRITES_IDX_MAP, DeltaChannelHistory, PendingWrite, writes_sort_key
from langgraph.checkpoint.serde.base import SerializerProtocol

from session_store.integrations._langgraph._core.records import Key, Record
from session_store.integrations._langgraph._core.slots import STORED, Found, packed, unpacked


def written(
    serde: SerializerProtocol, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
) -> dict[str, bytes]:
    """One call of `put_writes`, as a field of its own: none overwrites what another one has written."""
    numbered = [[WRITES_IDX_MAP.get(channel, number), channel, value] for number, (channel, value) in enumerate(writes)]
    stamp = f"{time.time_ns():020d}-{os.urandom(4).hex()}"
    return {f"{task_id}\0{stamp}": packed(serde, [task_path, numbered])}


def pending_writes(serde: SerializerProtocol, fields: Mapping[str, bytes]) -> list[PendingWrite]:
    """The writes of a checkpoint, in the order in which a run applies them.

    Of a task's regular writes the first one counts: a run that was slower does not change what another one has gone on
    from. Of errors, interrupts and the like it is the last one.
    """
    kept: dict[tuple[str, int], tuple[tuple[str, str, int], PendingWrite]] = {}
    for field in sorted(fields.keys() - {STORED}, key=lambda field: field.rpartition("\0")[2]):  # by the time
        task_id = field.rpartition("\0")[0]
        task_path, numbered = unpacked(serde, fields[field])
        for number, channel, value in numbered:
            if number < 0 or (task_id, number) not in kept:
                place = writes_sort_key(task_path, task_id, number)
                kept[task_id, number] = place, (task_id, channel, value)
    return [write for _, write in sorted(kept.values(), key=lambda each: each[0])]


class Walk:
    """From a checkpoint through its ancestors, for each channel up to the nearest one that has a value of it."""

    def __init__(self, start: Record, channels: Iterable[str]) -> None:
        self._missing = frozenset(channels)
        self._path: list[tuple[Record, frozenset[str]]] = []  # and what each is asked for
        self._seeds: dict[str, str] = {}
        self.passed: set[Key] = set()
        self.next = self._after(start)

    def _after(self, record: Record) -> Key | None:
        key = Key(record.key.checkpoint_ns, record.parent or "")
        return key if self._missing and record.parent and key not in self.passed else None

    def step(self, record: Record) -> None:
        """Takes the next one."""
        self._path.append((record, self._missing))
        self.passed.add(record.key)
        self._seeds.update({channel: record.blob(channel) for channel in self._missing & record.held.keys()})
        self._missing -= record.held.keys()
        self.next = self._after(record)

    @property
    def slots(self) -> list[str]:
        """Those to be read for the history."""
        return [*(record.key.writes for record, _ in self._path), *self._seeds.values()]

    def complete(self, found: Found) -> bool:
        """Whether all of them were there when their slots were read."""
        return found.keys() >= set(self._seeds.values()) and all(
            STORED in found.get(record.key.writes, {}) for record, _ in self._path
        )

    def history(
        self, serde: SerializerProtocol, channels: Sequence[str], found: Found
    ) -> dict[str, DeltaChannelHistory]:
        """The writes of each channel, the oldest first, and the value that they come after."""
        result: dict[str, DeltaChannelHistory] = {channel: {"writes": []} for channel in channels}
        for channel, slot in self._seeds.items():
            result[channel]["seed"] = unpacked(serde, found[slot])
        for record, asked in reversed(self._path):
            for write in pending_writes(serde, found[record.key.writes]):
                if write[1] in asked:
                    result[write[1]]["writes"].append(write)
        return result


def delta_channels(serde: SerializerProtocol, record: Record) -> set[str]:
    """The channels whose value is in the writes of ancestors."""
    return set(record.metadata(serde).get("counters_since_delta_snapshot", {})) - record.held.keys()
