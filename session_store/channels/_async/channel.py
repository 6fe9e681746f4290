"""One channel: events with numbers of their own, which any process adds, reads and follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_store._async.extension import AsyncExtension, Script, min_replicas_of
from session_store._core.directories import Page
from session_store._core.extension import Duration, check_count, to_milliseconds
from session_store.channels._async._following import Followable
from session_store.channels._async.bells import Bells  # async only
from session_store.channels._async.lease import AsyncProducer
from session_store.channels._core.records import (
    BODY,
    MOST_AT_ONCE,
    MOST_BYTES,
    NO_CHANNEL,
    PUBLISH,
    READ,
    Log,
    Place,
    checked_kind,
    event_of,
    new_epoch,
    parts_of,
    place_of,
    read_answer,
    read_log,
    rung_as,
)
from session_store.channels._core.values import ChannelState, Event
from session_store.codecs import V

if TYPE_CHECKING:
    from session_store.channels._async.channels import AsyncChannels


class AsyncChannel(Followable[V]):
    """One channel of a namespace. Made by `AsyncChannels.channel`, without I/O."""

    def __init__(self, channels: AsyncChannels[V], namespace: str, name: str) -> None:
        space = channels.store.namespace(namespace)
        self._channels = channels
        self._extension = AsyncExtension(space)
        self.bell = f"{channels.database}:{space.key(name)}"
        self.namespace = namespace
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._channels!r})"

    @property  # async only
    def bells(self) -> Bells:  # type: ignore[override]  # async only
        """Where bells are heard."""  # async only
        return self._channels.bells  # async only

    @property
    def ttl_ms(self) -> int:
        """How long the channel lives without anything happening, in milliseconds."""
        return self._channels.ttl_ms

    @property
    def told_ms(self) -> int:
        """For how long the list of those that are attached need not be told again of one, in milliseconds."""
        return self._channels.told_ms

    async def publish(self, data: V, *, kind: str = "message") -> str:
        """Add an event while nobody produces the channel, which begins where there is none. Returns its id.

        `kind`: a name for what it is, of one line. Raises `HeldError` while somebody produces it, and `ChannelEndedError`. One
        script call, 1 round trip, O(size); followers are told by the same call.
        """
        return await self.add(kind, data)

    async def end(self, data: V | None = None, *, kind: str = "end") -> str:
        """End the channel while nobody produces it, with a last event unless `data` is None. Returns the last event's id.

        Then nothing can be added to it; what there is can be read until its TTL. One script call, 1 round trip.
        """
        checked_kind(kind)
        return await self.add(kind, data, ends=True)

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
        """What `publish` and `end` do, here and of a producer, whose `token` it is. "" where it is not to begin, and is not there."""
        event = b""
        if data is not None or not ends:
            event = event_of(kind, self._extension.encode(self.name, data, BODY))  # type: ignore[arg-type]  # the codec judges
        epoch = new_epoch() if begins and not token else ""
        keep, (how, rung) = self._channels.keep, rung_as(event)
        answer = await self.once(PUBLISH, epoch, token, lease_ms, keep, how, int(ends), event, rung)
        if answer == b"none":
            if token:
                read_answer(b"lost")
            return ""
        return read_answer(answer)

    async def once(self, script: Script, epoch: str, *args: object) -> bytes:
        """The answer to a script of this channel that writes."""
        common = (self._channels.ttl_ms, self.bell, epoch)
        replicas = min_replicas_of(self._channels.store)
        answer: bytes = await self._extension.once(script, [self.name], *common, *args, min_replicas=replicas)
        return answer

    async def enlist(self) -> None:
        """Tells the list of those that somebody is attached to of this one."""
        await self._channels.enlist(self)

    def produce(self, *, lease: Duration = 10) -> AsyncProducer[V]:
        """Have the channel for oneself, for `async with`; see `AsyncProducer`. No I/O.

        `lease`: seconds or timedelta after which followers are told that the producer is lost, if he is not heard of.
        """
        return AsyncProducer(self, to_milliseconds(lease, "lease"))

    async def read(self, *, after: str | None = None, limit: int = 500) -> Page[Event[V]]:
        """Events behind an id, without waiting. `cursor`: the id to go on from, None where there is no more yet.

        `after`: an event's id; None: from the beginning. `limit`: at most 1,000; there may be fewer, since some 1 MiB is read
        together. Raises `GapError` for an id behind which events are missing, and `CodecError`. One script call, 1 round trip.
        """
        place = place_of(after)
        if check_count(limit, "limit") > MOST_AT_ONCE or not limit:
            raise ValueError(f"limit must be from 1 to {MOST_AT_ONCE}, got {limit}")
        log = await self.log(place, limit)
        if log is None:
            return Page((), None)
        first = (place.number if place else 0) + 1
        events = tuple(self.event(log.epoch, number, each) for number, each in enumerate(log.events, first))
        return Page(events, events[-1].id if events and first - 1 + len(events) < log.last else None)

    async def log(self, place: Place | None, limit: int) -> Log | None:
        """What read.lua gives. Raises `GapError`."""
        epoch, number = place or Place("", 0)
        return read_log(await self._extension.read(READ, [self.name], number, epoch, limit, MOST_BYTES), place)

    def event(self, epoch: str, number: int, data: bytes) -> Event[V]:
        """An event as it is stored. Raises `CodecError`."""
        kind, body = parts_of(data)
        return Event(f"{epoch}.{number}", kind, self._extension.decode(self.name, body, BODY))

    async def state(self) -> ChannelState:
        """How the channel stands. One script call, 1 round trip, O(1)."""
        reply = await self._extension.read(READ, [self.name], 2**53, "", 0, 0)
        return NO_CHANNEL if reply is None else Log.of(reply).state
