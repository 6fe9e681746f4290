"""How checkpoints are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory, get_checkpoint_id
from langgraph.checkpoint.serde.base import SerializerProtocol

from session_store import AsyncNamespace, AsyncSessionStore, InvalidNameError, SessionStoreError
from session_store.integrations._langgraph._core.records import Key, Record, keys_of, tuple_of
from session_store.integrations._langgraph._core.slots import CHECKPOINTS, THREAD, Found, slot_of, tip_of
from session_store.integrations._langgraph._core.writes import Walk, pending_writes

NAME = "langgraph."
_MOST_READS = 3  # of what is deleted, or goes on, while it is being read
_TOGETHER = 64  # checkpoints that are read at once


class AsyncReading:
    """Reads of one store. Each step of a read is one script call, so it sees what puts and deletions leave, whole."""

    def __init__(self, store: AsyncSessionStore[bytes], serde: SerializerProtocol) -> None:
        self._store = store
        self._serde = serde

    def _thread(self, thread_id: str) -> AsyncNamespace[bytes]:
        """The namespace of a thread; a digest stands for an id that no name can have in it."""
        try:
            return self._store.namespace(f"{NAME}{thread_id}")
        except InvalidNameError:
            try:
                thread_id.encode()
            except UnicodeEncodeError:
                pass
            else:
                return self._store.namespace(slot_of("langgraph~", thread_id))
            raise

    async def _record(self, thread: AsyncNamespace[bytes], config: RunnableConfig) -> Record | None:
        checkpoint_ns, checkpoint_id = config["configurable"].get("checkpoint_ns", ""), get_checkpoint_id(config)
        if checkpoint_id:
            data = await thread.hget(CHECKPOINTS, Key(checkpoint_ns, checkpoint_id).field)
        else:
            data = await thread.get(tip_of(checkpoint_ns))
        return None if data is None else Record.read(data)

    async def _records(self, thread: AsyncNamespace[bytes], keys: Sequence[Key]) -> dict[Key, Record]:
        found = await thread.hmget(CHECKPOINTS, [key.field for key in keys])
        return {key: Record.read(data) for key, data in zip(keys, found, strict=True) if data is not None}

    async def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        thread_id = config["configurable"]["thread_id"]
        thread = self._thread(str(thread_id))
        for _ in range(_MOST_READS):
            record = await self._record(thread, config)
            if record is None:
                return None
            found: Found = await thread.load(*record.slots)
            if record.complete(found):
                return tuple_of(self._serde, thread_id, record, found, self._writes(record, found))
        raise _torn()

    def _writes(self, record: Record, found: Found) -> list[Any]:
        return pending_writes(self._serde, found[record.key.writes])

    async def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # the name that LangGraph gives it
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        place = config["configurable"] if config else {}
        wanted_ns, wanted_id = place.get("checkpoint_ns"), place.get("checkpoint_id")
        end = get_checkpoint_id(before) if before else None
        async for thread_id, thread in self._threads(config):
            keys = [
                key
                for key in keys_of(await thread.hkeys(CHECKPOINTS))
                if wanted_ns in (None, key.checkpoint_ns)
                and (not wanted_id or key.id == wanted_id)
                and (not end or key.id < end)
            ]
            while keys and (limit is None or limit > 0):
                count = _TOGETHER if filter or limit is None else min(limit, _TOGETHER)
                keys, now = keys[count:], keys[:count]
                records = (await self._records(thread, now)).values()
                chosen = [record for record in records if record.matches(self._serde, filter)][:limit]
                slots = {slot for record in chosen for slot in record.slots}
                found: Found = await thread.load(*slots) if slots else {}
                for record in chosen:
                    if record.complete(found):  # else it has just been deleted
                        yield tuple_of(self._serde, thread_id, record, found, self._writes(record, found))
                        limit = None if limit is None else limit - 1

    async def _threads(self, config: RunnableConfig | None) -> AsyncIterator[tuple[Any, AsyncNamespace[bytes]]]:
        """The thread that is asked for or, by a scan of the database, all of them."""
        if config:
            thread_id = config["configurable"]["thread_id"]
            yield thread_id, self._thread(str(thread_id))
            return
        seen: set[str] = set()
        async for name in self._store.namespaces():
            if name.startswith((NAME, "langgraph~")) and name not in seen:
                seen.add(name)
                thread = self._store.namespace(name)
                thread_id = await thread.hget(CHECKPOINTS, THREAD)
                if thread_id is not None:
                    yield thread_id.decode(), thread

    async def history(self, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """What `get_delta_channel_history` of LangGraph's base class gives, in 4 round trips for 64 ancestors."""
        thread = self._thread(str(config["configurable"]["thread_id"]))
        for _ in range(_MOST_READS):
            start = await self._record(thread, config) if channels else None
            if start is None:
                return {channel: {"writes": []} for channel in channels}
            walk = await self._walked(thread, Walk(start, channels))
            found: Found = await thread.load(*walk.slots) if walk.slots else {}
            if walk.complete(found):
                return walk.history(self._serde, channels, found)
        raise _torn()

    async def _walked(self, thread: AsyncNamespace[bytes], walk: Walk) -> Walk:
        """The whole way. Ancestors are mostly the checkpoints just before, so those are read together."""
        known: dict[Key, Record] = {}
        keys: list[Key] | None = None
        while walk.next:
            if walk.next not in known:
                if keys is None:
                    keys = keys_of(await thread.hkeys(CHECKPOINTS))
                ns, at = walk.next
                before = [key for key in keys if key.checkpoint_ns == ns and key.id < at]
                known.update(await self._records(thread, [walk.next, *before[: _TOGETHER - 1]]))
                if walk.next not in known:
                    break
            walk.step(known[walk.next])
        return walk


def _torn() -> SessionStoreError:
    return SessionStoreError(
        "parts of the checkpoint are not there: evicted, or deleted again and again while it was read"
    )
