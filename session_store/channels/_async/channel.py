"""One channel: events with numbers of their own, which any process adds, reads and follows."""

from __future__ import annotations

from session_store._core.directories import Page
from session_store._core.extension import Duration, check_count, to_milliseconds
from session_store.channels._async._following import Followable
from session_store.channels._async.lease import AsyncProducer
from session_store.channels._async.log import AsyncLog
from session_store.channels._core.records import MOST_AT_ONCE, NO_CHANNEL, checked_kind, place_of
from session_store.channels._core.values import ChannelState, Event
from session_store.codecs import V


class AsyncChannel(Followable[V]):
    """One channel of a namespace. Made by `AsyncChannels.channel`, without I/O."""

    def __init__(self, log: AsyncLog[V]) -> None:
        self._log = log

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._log.shared.store!r})"

    @property
    def namespace(self) -> str:
        """The namespace in which it is a slot."""
        return self._log.namespace

    @property
    def name(self) -> str:
        """Its name, that of the slot."""
        return self._log.name

    async def publish(self, data: V, *, kind: str = "message") -> str:
        """Add an event while nobody produces the channel, which begins where there is none. Returns its id.

        `kind`: a name for what it is, of one line. Raises `HeldError` while somebody produces it, and `ChannelEndedError`. One
        script call, 1 round trip, O(size); followers are told by the same call.
        """
        return await self._log.add(kind, data)

    async def end(self, data: V | None = None, *, kind: str = "end") -> str:
        """End the channel while nobody produces it, with a last event unless `data` is None. Returns the last event's id.

        Then nothing can be added to it; what there is can be read until its TTL. One script call, 1 round trip.
        """
        return await self._log.add(checked_kind(kind), data, ends=True)

    def produce(self, *, lease: Duration = 10) -> AsyncProducer[V]:
        """Have the channel for oneself, for `async with`; see `AsyncProducer`. No I/O.

        `lease`: seconds or timedelta after which followers are told that the producer is lost, if he is not heard of.
        """
        return AsyncProducer(self._log, to_milliseconds(lease, "lease"))

    async def read(self, *, after: str | None = None, limit: int = 500) -> Page[Event[V]]:
        """Events behind an id, without waiting. `cursor`: the id to go on from, None where there is no more yet.

        `after`: an event's id; None: from the beginning. `limit`: at most 1,000; there may be fewer, since some 1 MiB is read
        together. Raises `GapError` for an id behind which events are missing, and `CodecError`. One script call, 1 round trip.
        """
        place = place_of(after)
        if check_count(limit, "limit") > MOST_AT_ONCE or not limit:
            raise ValueError(f"limit must be from 1 to {MOST_AT_ONCE}, got {limit}")
        log = await self._log.read(place, limit)
        if log is None:
            return Page((), None)
        first = (place.number if place else 0) + 1
        events = tuple(self._log.event(log.epoch, number, each) for number, each in enumerate(log.events, first))
        return Page(events, events[-1].id if events and first - 1 + len(events) < log.last else None)

    async def state(self) -> ChannelState:
        """How the channel stands. One script call, 1 round trip, O(1)."""
        log = await self._log.standing()
        return NO_CHANNEL if log is None else log.state
