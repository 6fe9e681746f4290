"""What the checkpointers of both flavours have in common."""

from __future__ import annotations

from random import random
from typing import Any, NoReturn

from langgraph.checkpoint.base import BaseCheckpointSaver

_WAYS = {
    True: "it is for invoke, stream, get_state and the like; AsyncCheckpointer is for ainvoke, astream, aget_state",
    False: "it is for ainvoke, astream, aget_state and the like; Checkpointer is for invoke, stream, get_state",
}


def missing(name: str) -> Any:
    """A method of the other flavour, which would block an event loop, or has none: a `NotImplementedError`."""

    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} has no {name}: {_WAYS[name.startswith('a')]}")

    return refuse


class Versions(BaseCheckpointSaver[str]):
    """A checkpointer whose versions are texts that differ between the branches of a thread."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The version after this one, as LangGraph's own savers have it: a number that goes up, and a random one."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random():016}"
