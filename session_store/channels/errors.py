"""What can go wrong with a channel, beyond the errors of the store, which pass through unchanged.

As there: the text and the repr of an error show no name and no content.
"""

from __future__ import annotations

from session_store.errors import SessionStoreError


class ChannelEndedError(SessionStoreError):
    """The channel has ended: nothing can be added to it. What it has can be read until its TTL."""

    def __str__(self) -> str:
        return "the channel has ended, and nothing can be added to it"


class ChannelsClosedError(SessionStoreError):
    """The channels of this process were closed while one was followed: go on with another process."""

    def __str__(self) -> str:
        return "the channels were closed while this one was followed"


class HeldError(SessionStoreError):
    """Another one produces the channel, or consumes it, at this time. Nothing was written."""

    def __str__(self) -> str:
        return "another one has the channel at this time"


class LeaseLostError(SessionStoreError):
    """The lease has ended, or another one has taken the channel over. Nothing was written: stop."""

    def __str__(self) -> str:
        return "the lease has ended, or another one has taken the channel over"


class GapError(SessionStoreError):
    """Events are missing behind the id that was given. Go on with `after=error.resume`, and tell who follows.

    Attributes: `missed`, how many there were; None where that is not known, since the id is of another channel, of one that
    was deleted, or none at all. `resume`: the id to go on from; None for the beginning.
    """

    def __init__(self, missed: int | None, resume: str | None) -> None:
        super().__init__(missed, resume)
        self.missed = missed
        self.resume = resume

    def __str__(self) -> str:
        many = "an unknown number of" if self.missed is None else self.missed
        return f"{many} events are missing behind the id that was given; attribute resume tells from which one to go on"


class ProducerLostError(SessionStoreError):
    """Who produced the channel has not been heard of for its lease, and has not ended it: there may be no more.

    Attribute: `last_id`, of the last event that there is; None where there is none.
    """

    def __init__(self, last_id: str | None) -> None:
        super().__init__(last_id)
        self.last_id = last_id

    def __str__(self) -> str:
        return "the channel's producer was lost before it ended the channel; there may be no more"
