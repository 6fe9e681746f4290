"""Channels: streams that survive a reload, a reconnect, and the death of a worker."""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily

if TYPE_CHECKING:
    from session_store.channels._async._following import AsyncAttachment
    from session_store.channels._async.browsers import sse
    from session_store.channels._async.channel import AsyncChannel
    from session_store.channels._async.channels import AsyncChannels
    from session_store.channels._async.lease import AsyncProducer
    from session_store.channels._core.values import ChannelState, Event
    from session_store.channels._sync.channel import Channel
    from session_store.channels._sync.channels import Channels
    from session_store.channels._sync.lease import Producer
    from session_store.channels.errors import (
        ChannelEndedError,
        ChannelsClosedError,
        GapError,
        HeldError,
        LeaseLostError,
        ProducerLostError,
    )

# Each name is loaded when it is first used, as in the package.
_HOMES = {
    "_async.channel": ("AsyncChannel",),
    "_async.channels": ("AsyncChannels",),
    "_async._following": ("AsyncAttachment",),
    "_async.lease": ("AsyncProducer",),
    "_core.values": ("ChannelState", "Event"),
    "_sync.channel": ("Channel",),
    "_sync.channels": ("Channels",),
    "_sync.lease": ("Producer",),
    "errors": (
        *("ChannelEndedError", "ChannelsClosedError", "GapError", "HeldError", "LeaseLostError", "ProducerLostError"),
    ),
    "_async.browsers": ("sse",),
}

__all__ = [
    "AsyncAttachment",
    "AsyncChannel",
    "AsyncChannels",
    "AsyncProducer",
    "Channel",
    "ChannelEndedError",
    "ChannelState",
    "Channels",
    "ChannelsClosedError",
    "Event",
    "GapError",
    "HeldError",
    "LeaseLostError",
    "Producer",
    "ProducerLostError",
    "sse",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
