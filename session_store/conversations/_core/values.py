"""What conversations and messages are to an application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, Literal, TypeVar

Role = Literal["user", "assistant", "system", "developer", "tool", "other"]
T = TypeVar("T")
C = TypeVar("C")


class Unset(Enum):
    """Says that an argument was not given, where None means something."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be added.

    - `content`: any JSON value; most often a str, or a list of blocks.
    - `tokens`: how many it takes, as you count them.
    - `metadata`: any JSON value.
    - `key`: a str of at most 200 bytes by which it is known if it comes again: it is not added twice.
    """

    role: Role
    content: Any
    tokens: int = 0
    metadata: Any = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation. `seq`: its number, from 1 on; none is given twice."""

    seq: int
    role: Role
    content: Any
    tokens: int
    metadata: Any
    key: str | None
    created_at: datetime
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A text that stands for the messages up to one."""

    text: str
    upto: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """What is told of a conversation.

    - `revision`: how its messages stand; another number after each change of them. `version`: the same of what is told of it:
      user, agent, status, title, tags, metadata. Neither ever comes back, also where the conversation was deleted and made anew.
    - `last_seq`: the number of the latest message, also where that was deleted. `count`, `tokens`: of those that are there.
    - `summary`: None once a message that it is of was edited or deleted.
    - `expires_at`: when it ends if nothing is written and nobody touches it.
    """

    id: str
    user: str | None
    agent: str | None
    status: str
    title: str | None
    tags: tuple[str, ...]
    metadata: Any
    revision: int
    version: int
    last_seq: int
    count: int
    tokens: int
    summary: Summary | None
    created_at: datetime
    last_activity: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T, C]):
    """Some of what there is. `cursor`: what the call for the rest takes; None where there is no more."""

    items: tuple[T, ...]
    cursor: C | None


def ms_of(at: datetime) -> int:
    """The reverse."""
    return round(at.timestamp() * 1000)
