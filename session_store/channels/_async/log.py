"""What all parts of a channel do with what lies in Redis."""

from __future__ import annotations

from collections.abc import Callable  # async only
from typing import Any, Generic

from session_store._async.directory import AsyncDirectory
from session_store._async.extension import AsyncExtension, Script, min_replicas_of
from session_store._async.store import AsyncSessionStore
from session_store.channels._async.bells import Bells  # async only
from session_store.channels._core.records import (
    BODY,
    MOST_BYTES,
    PUBLISH,
    READ,
    Found,
    Place,
    Settings,
    event_of,
    new_epoch,
    parts_of,
    read_answer,
    read_found,
    rung_as,
)
from session_store.channels._core.values import Event
from session_store.codecs import V


class AsyncShared(Generic[V]):
    """What all channels of a store share. `bells`: where those of the running event loop are heard (async only)."""

    bells: Callable[[], Bells]  # async only

    def __init__(self, store: AsyncSessionStore[V], settings: Settings, attached: AsyncDirectory) -> None:
        self.store = store
        self.settings = settings
        self.attached = attached


class AsyncLog(Generic[V]):
    """The events of one channel."""

    def __init__(self, shared: AsyncShared[V], namespace: str, name: str) -> None:
        space = shared.store.namespace(namespace)
        self._extension = AsyncExtension(space)
        self.shared = shared
        self.namespace = namespace
        self.name = name
        self.bell = f"{shared.settings.database}:{space.key(name)}"

    async def add(
        self,
        kind: str,
        data: V | None,
        *,
        token: str = "",
        lease_ms: int = 0,
        ends: bool = False,
        begins: bool = True,
    ) -> str:
        """Adds an event, ends the channel, or both. The last event's id; "" where there is none, and it is not to begin.

        `token`: of its producer.
        """
        event = b""
        if data is not None or not ends:
            event = event_of(kind, self._extension.encode(self.name, data, BODY))  # type: ignore[arg-type]  # the codec judges
        epoch = new_epoch() if begins and not token else ""
        keep, (how, rung) = self.shared.settings.keep, rung_as(event)
        answer = await self.once(PUBLISH, epoch, token, lease_ms, keep, how, int(ends), event, rung)
        if answer == b"none" and not token:
            return ""
        return read_answer(answer)

    async def once(self, script: Script, epoch: str, *args: object) -> bytes:
        """The answer to a script that writes."""
        common = (self.shared.settings.ttl_ms, self.bell, epoch)
        replicas = min_replicas_of(self.shared.store)
        answer: bytes = await self._extension.once(script, [self.name], *common, *args, min_replicas=replicas)
        return answer

    async def read(self, place: Place | None, limit: int) -> Found | None:
        """What there is behind a place. Raises `GapError`."""
        epoch, number = place or Place("", 0)
        return read_found(await self._extension.read(READ, [self.name], number, epoch, limit, MOST_BYTES), place)

    async def standing(self) -> Found | None:
        """How it stands, without events."""
        reply: list[Any] | None = await self._extension.read(READ, [self.name], 2**53, "", 0, 0)
        return None if reply is None else Found.of(reply)

    def event(self, epoch: str, number: int, data: bytes) -> Event[V]:
        """An event as it is stored. Raises `CodecError`."""
        kind, body = parts_of(data)
        return Event(f"{epoch}.{number}", kind, self._extension.decode(self.name, body, BODY))

    async def enlist(self) -> None:
        """Tells the list of those that somebody is attached to of this one. 1 round trip."""
        await self.shared.attached.add(self.name, self.namespace, ttl=self.shared.settings.ttl_ms / 1000)
