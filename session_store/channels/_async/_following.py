"""Following a channel: what there is, and then what comes. The sync flavour has nothing of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic
from weakref import WeakKeyDictionary

from session_store._core.extension import Duration, to_milliseconds
from session_store.channels._async.bells import AWAY, Bells, Line
from session_store.channels._async.lease import AsyncLease
from session_store.channels._async.log import AsyncLog, AsyncShared
from session_store.channels._core.records import MOST_AT_ONCE, Bell, Place, place_of, read_bell
from session_store.channels._core.values import Event
from session_store.channels.errors import LeaseLostError, ProducerLostError
from session_store.codecs import V

if TYPE_CHECKING:
    from typing_extensions import Self

_AGAIN = 1.0  # seconds at most until the log is read again, when it could not be read
_LATE = 0.05  # seconds behind the end of a lease at which one looks whether it was renewed


class _Follower(Generic[V]):
    """Where one is in a channel, and what is known of it."""

    def __init__(self, log: AsyncLog[V], after: str | None, token: str) -> None:
        self.log = log
        self.place: Place | None = place_of(after)
        self.token = token  # of who is attached to it; '' where nobody need be
        self.ended = False
        self.deadline: float | None = None  # of the producer, by the loop's clock

    async def read(self) -> AsyncIterator[Event[V]]:
        """All that there is behind the place."""
        while True:
            log = await self.log.read(self.place, MOST_AT_ONCE)
            if self.token and (log is None or log.consumer != self.token):
                raise LeaseLostError
            if log is None:
                self.deadline = None
                return
            number = self.place.number if self.place else 0
            for data in log.events:
                number += 1
                self.place = Place(log.epoch, number)
                yield self.log.event(log.epoch, number, data)
            self.place = Place(log.epoch, number)
            if number < log.last:
                continue
            self.ended = log.ended
            self._heard_of_producer(log.left_ms)
            if log.left_ms == 0:
                raise ProducerLostError(log.id_of(log.last))
            return

    def _heard_of_producer(self, left_ms: int) -> None:
        self.deadline = None if left_ms < 0 else asyncio.get_running_loop().time() + left_ms / 1000 + _LATE

    def try_again(self) -> None:
        """Has the log be read again soon, though no bell may be heard."""
        self.deadline = asyncio.get_running_loop().time() + random.uniform(_AGAIN / 2, _AGAIN)

    def heard(self, bell: Bell) -> Event[V] | bool:
        """The event that a bell has with it; else whether nothing was missed."""
        if bell.consumer is not None and self.token and bell.consumer != self.token:
            return False  # the bell may be an old one: the log tells who consumes it now
        if self.place is None or bell.epoch != self.place.epoch or bell.left_ms == 0:
            return False
        if bell.number > self.place.number + (bell.event is not None):
            return False
        self._heard_of_producer(bell.left_ms)
        if bell.number <= self.place.number:
            self.ended = self.ended or (bell.ended and bell.number == self.place.number)
            return True
        self.place, self.ended = Place(bell.epoch, bell.number), bell.ended
        return self.log.event(bell.epoch, bell.number, bell.event or b"")

    async def wait(self, line: Line, heartbeat: float) -> bytes | None:
        seconds = heartbeat
        if self.deadline is not None:
            seconds = min(seconds, max(self.deadline - asyncio.get_running_loop().time(), 0))
        return await line.next(seconds)


class Hearing(Generic[V]):
    """What channels have for those who follow them: one connection for each event loop, while anybody follows."""

    def _hear(self, shared: AsyncShared[V], client: Any) -> None:
        self._client = client
        self._bells: WeakKeyDictionary[asyncio.AbstractEventLoop, Bells] = WeakKeyDictionary()
        shared.bells = self._here

    def _here(self) -> Bells:
        loop = asyncio.get_running_loop()
        if (bells := self._bells.get(loop)) is None:
            if not hasattr(self._client, "pubsub"):
                raise TypeError("the client has no pub/sub: give AsyncChannels(bells=) one that has, to any node")
            bells = self._bells[loop] = Bells(self._client)
        return bells

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the connection of this event loop: who still follows raises `ChannelsClosedError`. The client is yours to close."""
        if (bells := self._bells.pop(asyncio.get_running_loop(), None)) is not None:
            await bells.close()


class Followable(Generic[V]):
    """What a channel has for those who follow it."""

    _log: AsyncLog[V]

    def attach(self, *, lease: Duration = 30, takeover: bool = False) -> AsyncAttachment[V]:
        """Be the one who consumes the channel, for `async with`; see `AsyncAttachment`. No I/O.

        `lease`: seconds or timedelta after which another one may, if this one is not heard of. `takeover`: also where another one
        does, whose `events` then raise `LeaseLostError`.
        """
        return AsyncAttachment(self._log, to_milliseconds(lease, "lease"), takeover=takeover)

    def events(self, *, after: str | None = None, heartbeat: Duration = 15) -> AsyncGenerator[Event[V], None]:
        """Follow the channel: what there is behind an id, and then what comes, to its end. For `async for`.

        `after`: an event's id; None: from the beginning. `heartbeat`: seconds in which nothing comes before the log is read again.
        Waits for a channel that has yet to begin. A server that is away is waited for; bells that were missed are made up for.

        Raises `GapError` where events behind the id are missing, also because they were dropped while this one was slow, or
        because the channel is gone; `ProducerLostError`; and `CodecError`. A subscription and 1 round trip; then none, but for
        one at each heartbeat.
        """
        return _followed(_Follower(self._log, after, ""), heartbeat)


def _followed(follower: _Follower[V], heartbeat: Duration) -> AsyncGenerator[Event[V], None]:
    """What `events` gives, of a channel and of an attachment. What is wrong is raised before anything is awaited."""
    seconds = to_milliseconds(heartbeat, "heartbeat") / 1000
    bells = follower.log.shared.bells()

    async def followed() -> AsyncGenerator[Event[V], None]:
        async with bells.follow(follower.log.bell) as line:
            while not follower.ended:
                rung = await follower.wait(line, seconds)
                bell = None if rung is None else read_bell(rung)
                heard = False if rung is None else bell is None or follower.heard(bell)
                if isinstance(heard, Event):
                    yield heard
                elif not heard:
                    try:
                        async for event in follower.read():
                            yield event
                    except AWAY:
                        follower.try_again()

    return followed()


class AsyncAttachment(AsyncLease[V]):
    """The one who consumes a channel. Made by `AsyncChannel.attach`, for `async with`.

    Entering raises `HeldError` while another one is attached, unless it is to be taken over. The lease is renewed in the background.
    """

    _role = "c"

    async def __aenter__(self) -> AsyncAttachment[V]:
        await self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave(is_lost=False)

    def events(self, *, after: str | None = None, heartbeat: Duration = 15) -> AsyncGenerator[Event[V], None]:
        """As `AsyncChannel.events`, until another one takes the channel over: then `LeaseLostError`."""
        if not self._token:
            raise RuntimeError("who is attached follows within its `with` only")
        return _followed(_Follower(self._log, after, self._token), heartbeat)
