"""How checkpoints are deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from session_store import AsyncCasSnapshot, AsyncNamespace, CasOps
from session_store.integrations._langgraph._async.reading import AsyncReading
from session_store.integrations._langgraph._core.records import Key, Record
from session_store.integrations._langgraph._core.slots import CHECKPOINTS, THREAD, Found, tip_of
from session_store.integrations._langgraph._core.writes import Walk, delta_channels

Records = Mapping[Key, Record]
_RETRIES = 16  # a graph that is running makes attempts lose


class AsyncPruning(AsyncReading):
    """Deletions, each thread's in one step."""

    async def delete(self, thread_ids: Sequence[str]) -> None:
        await self._store.purge_many([self._thread(str(thread_id)).name for thread_id in thread_ids])

    async def prune(self, thread_ids: Sequence[str], strategy: str) -> None:
        """Keeps the tips, and the ancestors that values of theirs are rebuilt from; or nothing."""
        if strategy == "delete":
            await self.delete(thread_ids)
        elif strategy == "keep_latest":
            for thread_id in thread_ids:
                await self._keep(self._thread(str(thread_id)), self._latest)
        else:
            raise ValueError(f"strategy must be 'keep_latest' or 'delete', got {strategy!r}")

    def _latest(self, records: Records, tips: Records) -> set[Key]:
        keys = tips.keys() & records.keys()
        for tip in tips.values():
            walk = Walk(tip, delta_channels(self._serde, tip))
            while walk.next and walk.next in records:
                walk.step(records[walk.next])
            keys |= walk.passed
        return keys

    async def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Of all threads, which it finds by a scan of the database."""
        runs = set(run_ids)

        def kept(records: Records, tips: Records) -> set[Key]:
            return {key for key, record in records.items() if record.metadata(self._serde).get("run_id") not in runs}

        if runs:
            async for _, thread in self._threads(None):
                await self._keep(thread, kept)

    async def _keep(self, thread: AsyncNamespace[bytes], choose: Callable[[Records, Records], set[Key]]) -> None:
        """Deletes the checkpoints that are not chosen, in one step, and only while no other one comes."""

        async def change(snap: AsyncCasSnapshot[bytes], ops: CasOps[bytes]) -> None:
            fields = await snap.hgetall(CHECKPOINTS)
            records = {(record := Record.read(data)).key: record for field, data in fields.items() if field != THREAD}
            if not records:
                return
            found: Found = await thread.load(*{tip_of(key.checkpoint_ns) for key in records})
            tips = {(record := Record.read(data)).key: record for data in found.values()}
            kept = choose(records, tips)
            gone = [record for key, record in records.items() if key not in kept]
            needed = {slot for key in kept for slot in records[key].slots}
            for slot in {slot for record in gone for slot in record.slots} - needed:
                ops.delete(slot)
            if gone:
                ops.hdel(CHECKPOINTS, *(record.key.field for record in gone), keepttl=True)
            for tip in tips.keys() - kept:
                latest = max((key for key in kept if key.checkpoint_ns == tip.checkpoint_ns), default=None)
                if latest is None:
                    ops.delete(tip_of(tip.checkpoint_ns))
                else:
                    ops.set(tip_of(tip.checkpoint_ns), records[latest].data, keepttl=True)
            if not kept:
                ops.delete(CHECKPOINTS)

        await thread.with_cas(CHECKPOINTS, change, max_retries=_RETRIES)
