"""How checkpoints are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.base import SerializerProtocol

from session_store import AsyncCasSnapshot, AsyncNamespace, AsyncSessionStore, CasOps, NamespacePurgedError
from session_store.integrations._langgraph._async.pruning import AsyncPruning
from session_store.integrations._langgraph._core.records import Key, Record, config_of
from session_store.integrations._langgraph._core.renewals import Renewals
from session_store.integrations._langgraph._core.slots import CHECKPOINTS, STORED, THREAD, packed, tip_of
from session_store.integrations._langgraph._core.writes import written


class AsyncThreads(AsyncPruning):
    """The threads of one store."""

    def __init__(self, store: AsyncSessionStore[bytes], serde: SerializerProtocol, renewals: Renewals) -> None:
        super().__init__(store, serde)
        self._renewals = renewals

    async def _renew(self, thread: AsyncNamespace[bytes]) -> None:
        """Renews all of a thread, if that is due: before something is written that points to it."""
        now = self._renewals.now()
        if self._renewals.due(thread.name):
            await thread.touch(ttl=self._renewals.long_ttl)
            self._renewals.done(thread.name, now)

    async def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        thread_id = config["configurable"]["thread_id"]
        thread, values = self._thread(str(thread_id)), checkpoint["channel_values"]
        record = Record.of(self._serde, config, checkpoint, metadata)
        key, tip_slot, long_ttl = record.key, tip_of(record.key.checkpoint_ns), self._renewals.long_ttl
        new = {channel: packed(self._serde, values[channel]) for channel in record.held if channel in new_versions}

        async def change(snap: AsyncCasSnapshot[bytes], ops: CasOps[bytes]) -> None:
            data = await snap.get(tip_slot)
            tip = None if data is None else Record.read(data)
            follows = tip is not None and tip.key.id == record.parent
            if record.parent and not follows:
                parent = Key(key.checkpoint_ns, record.parent)
                if tip is None or not await snap.hexists(CHECKPOINTS, parent.field):
                    raise NamespacePurgedError(thread.name)
            # What the tip holds is there. A branch from elsewhere brings all of its values: others may be pruned meanwhile.
            there = tip.held if tip is not None and follows else {}
            for channel, version in record.held.items():
                if channel in new or there.get(channel) != version:
                    blob = new[channel] if channel in new else packed(self._serde, values[channel])
                    ops.set(record.blob(channel), blob, ttl=long_ttl)
            ops.hset(key.writes, STORED, b"", ttl=long_ttl)
            ops.hset(CHECKPOINTS, mapping={THREAD: str(thread_id).encode(), key.field: record.data})
            if tip is None or follows or key.id >= tip.key.id:  # not where it comes late
                ops.set(tip_slot, record.data)

        await self._renew(thread)
        await thread.with_cas(tip_slot, change)
        return config_of(thread_id, key)

    async def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        place = config["configurable"]
        thread = self._thread(str(place["thread_id"]))
        slot = Key(place.get("checkpoint_ns", ""), place["checkpoint_id"]).writes
        fields = written(self._serde, writes, task_id, task_path)

        async def add(ops: CasOps[bytes]) -> None:
            ops.hset(slot, mapping=fields, ttl=self._renewals.long_ttl)

        if writes:
            await self._renew(thread)
            await thread.batch(add)

    async def copy(self, source_thread_id: str, target_thread_id: str) -> None:
        """In one step, of what the source is at one moment. What the target has stays, but for the tips."""
        slots = await self._thread(source_thread_id).load()
        target = self._thread(target_thread_id)

        async def write(ops: CasOps[bytes]) -> None:
            for slot, value in slots.items():
                ttl = self._renewals.ttl if slot.startswith(("tip.", CHECKPOINTS)) else self._renewals.long_ttl
                if isinstance(value, bytes):
                    ops.set(slot, value, ttl=ttl)
                else:
                    thread = {THREAD: target_thread_id.encode()} if slot == CHECKPOINTS else {}
                    ops.hset(slot, mapping={**value, **thread}, ttl=ttl)

        await self._renew(target)
        await target.batch(write)
