"""The checkpointer for graphs that are run with `ainvoke` and the like."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from session_store import AsyncSessionStore
from session_store.integrations._langgraph._async.checking import check_store
from session_store.integrations._langgraph._async.threads import AsyncThreads
from session_store.integrations._langgraph._core.renewals import Renewals
from session_store.integrations._langgraph.shared import Versions, missing


class AsyncCheckpointer(Versions):
    """A LangGraph checkpointer on an `AsyncSessionStore` whose codec carries bytes. Make one per process.

    - `store`: its `default_ttl` is how long a thread lives after its last put, at least.
    - `serde`: how LangGraph's values become bytes; its own when None.

    Raises `TypeError` for a store that does not fit. Making one does no I/O.
    """

    def __init__(self, store: AsyncSessionStore[bytes], *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        check_store(store)
        self._store = store
        self._renewals = Renewals(store.default_ttl)

    @property
    def _threads(self) -> AsyncThreads:
        return AsyncThreads(self._store, self.serde, self._renewals)  # another serde after `with_allowlist`

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that is named, or the one to go on from. 2 round trips: GET or HGET, then one script call."""
        return await self._threads.get_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and its values, in one step. 2 round trips, of `with_cas`.

        It is what the thread goes on from, unless it comes too late: unless it neither follows what that was nor is newer.
        Raises `NamespacePurgedError` where its parent is gone: the thread was deleted, or has expired, during the run.
        """
        return await self._threads.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task has written; a second time changes nothing. 1 round trip."""
        await self._threads.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all of a thread, in one step. A run that is under way cannot go on with it. 2 round trips."""
        await self._threads.delete([thread_id])

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints with these `run_id`s in their metadata. Scans the database."""
        await self._threads.delete_for_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread, as it is at one moment, in one step. 3 round trips."""
        await self._threads.copy(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete the checkpoints of threads but the latest of each checkpoint namespace, or with "delete" all.

        Ancestors that the value of a `DeltaChannel` is rebuilt from stay. 3 round trips for each thread.
        """
        await self._threads.prune(thread_ids, strategy)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the values of `DeltaChannel`s are rebuilt from. 4 round trips, 1 more for each 64 ancestors after the first."""
        return await self._threads.history(config, channels)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Go through checkpoints, the latest first. 1 round trip, and 2 for each 64 of them. Without `config` it scans."""
        async for each in self._threads.list(config, filter=filter, before=before, limit=limit):
            yield each

    get_tuple = missing("get_tuple")
    put = missing("put")
    put_writes = missing("put_writes")
    delete_thread = missing("delete_thread")
    delete_for_runs = missing("delete_for_runs")
    copy_thread = missing("copy_thread")
    prune = missing("prune")
    get_delta_channel_history = missing("get_delta_channel_history")
    list = missing("list")
