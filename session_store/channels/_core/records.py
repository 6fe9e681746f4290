"""How a channel lies in Redis: what scripts take and give, and what that is to an application."""

from __future__ import annotations

import re
import secrets
from binascii import a2b_base64, b2a_base64
from importlib.resources import files
from typing import Any, NamedTuple

from session_store._core.extension import Script, kind_of
from session_store.channels._core.values import ChannelState, Status
from session_store.channels.errors import ChannelEndedError, GapError, HeldError, LeaseLostError

BODY = "e"
IN_BELL = 8_192  # bytes of an event that the bell has with it; of a larger one it tells the number
MOST_AT_ONCE = 1_000  # events
MOST_BYTES = 1_048_576  # of events that are read together, but for the first ones
_FOLDER = files("session_store.channels") / "lua"
_PARTS = ("prelude", "once", "channel", "ringing")
PUBLISH, CLAIM, RENEW = (Script(name, *_PARTS, folder=_FOLDER) for name in ("publish", "claim", "renew"))
READ = Script("read", "prelude", "channel", folder=_FOLDER)
_ID = re.compile(r"([0-9a-f]{8})\.([0-9]{1,15})")
_BELL = re.compile(rb"([0-9a-f]{8}) (\d+) (-?\d+) (x?)([dbrsc]) ", re.DOTALL)


def new_epoch() -> str:
    """What tells a channel from one of the same name before."""
    return secrets.token_hex(4)


def checked_kind(kind: str) -> str:
    """A kind: it stands in a line of its own where events are sent to browsers."""
    if not isinstance(kind, str):
        raise TypeError(f"kind must be a str, got {kind_of(kind)}")
    if not re.fullmatch(r"[^\r\n\0\ud800-\udfff]{1,200}", kind):
        raise ValueError("kind must have 1 to 200 characters, and no line end, NUL or half of a surrogate pair")
    return kind


def event_of(kind: str, data: bytes) -> bytes:
    """An event as it is stored."""
    name = checked_kind(kind).encode()
    return b"%d|%b%b" % (len(name), name, data)


def rung_as(event: bytes) -> tuple[str, bytes]:
    """How a bell has an event, as publish.lua takes it. What is no ASCII goes as such: a client may decode what it hears."""
    if len(event) > IN_BELL:
        return "r", b""
    return ("d", b"") if event.isascii() else ("b", b2a_base64(event, newline=False))


def parts_of(event: bytes) -> tuple[str, bytes]:
    """Its kind and its data."""
    length, _, rest = event.partition(b"|")
    return rest[: int(length)].decode(), rest[int(length) :]


class Place(NamedTuple):
    """Behind which event to go on. `epoch`: '' for the beginning of whatever there is."""

    epoch: str
    number: int


def place_of(after: str | None) -> Place | None:
    """What an id says; None for one that is none."""
    if after is None:
        return Place("", 0)
    if not isinstance(after, str):
        raise TypeError(f"after must be an id, a str, got {kind_of(after)}")
    found = _ID.fullmatch(after)
    return None if found is None else Place(found[1], int(found[2]))


class Bell(NamedTuple):
    """What followers are told at once. `event`: the one of this number, where it came along."""

    epoch: str
    number: int
    left_ms: int
    ended: bool
    event: bytes | None
    consumer: str | None


def read_bell(data: bytes) -> Bell | None:
    """A bell as it is rung; None for what is none, which others may send."""
    found = _BELL.match(data)
    if found is None:
        return None
    rest = data[found.end() :]
    what = found[5]
    return Bell(
        found[1].decode(),
        int(found[2]),
        int(found[3]),
        bool(found[4]),
        a2b_base64(rest) if what == b"b" else rest if what == b"d" else None,
        rest.decode(errors="replace") if what == b"c" else None,
    )


class Log(NamedTuple):
    """What read.lua gives. `events`: those behind the place that was asked for."""

    epoch: str
    last: int
    first: int
    ended: bool
    left_ms: int
    consumed_ms: int
    consumer: str
    events: list[bytes]

    @classmethod
    def of(cls, reply: list[Any]) -> Log:
        """What a reply says."""
        epoch, last, first, ended, left, consumed, consumer, *events = reply
        return cls(epoch.decode(), last, first, bool(ended), left, consumed, consumer.decode(), events)

    def id_of(self, number: int) -> str | None:
        """An event's id; None for what is before the first one there ever was."""
        return f"{self.epoch}.{number}" if number else None

    @property
    def state(self) -> ChannelState:
        """How the channel stands."""
        status: Status = "ended" if self.ended else ("open", "lost", "produced")[min(self.left_ms, 1) + 1]
        return ChannelState(status, self.id_of(self.last), self.last - self.first + 1, self.consumed_ms > 0)


NO_CHANNEL = ChannelState("none", None, 0, False)  # as the class names it


def read_log(reply: list[Any] | None, place: Place | None) -> Log | None:
    """The reply of read.lua. Raises `GapError` where events behind the place are missing, or it is no place of this channel."""
    if reply is None:
        if place is None or place.epoch:
            raise GapError(None, None)
        return None
    log = Log.of(reply)
    missing = log.first - 1
    resume = log.id_of(missing)
    if place is None or (place.epoch not in ("", log.epoch)) or place.number > log.last:
        raise GapError(None, resume)
    if place.number < missing:
        raise GapError(missing - place.number, resume)
    return log


def read_answer(answer: bytes) -> str:
    """What a script has answered; raises what it says where nothing was done."""
    what, _, rest = answer.decode().partition(":")
    if what == "ended":
        raise ChannelEndedError
    if what == "held":
        raise HeldError
    if what == "lost":
        raise LeaseLostError
    return rest
