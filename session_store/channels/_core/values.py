"""What channels are to an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Status = Literal["none", "open", "produced", "lost", "ended"]


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """An event of a channel. `id`: by which a follower goes on behind it; `kind`: a name for what it is."""

    id: str
    kind: str
    data: T = field(repr=False)  # of somebody's session


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel stands.

    - `status`: "none", there is no such channel; "open"; "produced", by one and no other; "lost", its producer was not heard of
      for its lease; "ended".
    - `last_id`: of the last event; None where there is none. `kept`: how many events can be read.
    - `is_attached`: whether somebody is attached to it.
    """

    status: Status
    last_id: str | None
    kept: int
    is_attached: bool
