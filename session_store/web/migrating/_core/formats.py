"""What other libraries' sessions look like in Redis."""

from __future__ import annotations

import json
import pickle as python_pickle
from collections.abc import Callable
from typing import Any, NamedTuple

Decode = Callable[[bytes], dict[str, Any]]
METADATA = "__metadata__"  # of starsessions: what it keeps beside the application's keys


class OldSession(NamedTuple):
    """A session of another library, as it was read.

    - `data`: its keys and values.
    - `left`: seconds after which it ends if nobody uses it; None where it does not end.
    - `at_most`: seconds after which it ends in any case; None where it has no such end.
    """

    data: dict[str, Any]
    left: float | None = None
    at_most: float | None = None


def starsessions(data: bytes) -> dict[str, Any]:
    """What starsessions' `JsonSerializer` writes, without what is the library's own."""
    content = json_object(data)
    content.pop(METADATA, None)
    return content


def json_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises `ValueError` for anything else."""
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # of data, not of an argument
    return content


def flask_session(*, pickle: bool = False) -> Decode:
    """What decodes what Flask-Session writes: MessagePack, or JSON. Needs msgspec, as Flask-Session does.

    `pickle`: also what versions before 0.7 wrote. Whoever can write to that Redis can then run code in your processes, as they
    could before: say so only where there are such sessions left.
    """
    import msgspec

    decoders: tuple[Callable[[bytes], Any], ...] = (msgspec.msgpack.Decoder().decode, msgspec.json.Decoder().decode)

    def decode(data: bytes) -> dict[str, Any]:
        content: Any = None
        for each in decoders:
            try:
                content = each(data)
                break
            except (msgspec.MsgspecError, ValueError):
                pass  # the next one may read it
        else:
            if not pickle:
                raise ValueError("neither MessagePack nor JSON")
            content = _unpickled(data)
        if not isinstance(content, dict):
            raise ValueError("not a dict")  # noqa: TRY004  # of data, not of an argument
        return content

    return decode


def _unpickled(data: bytes) -> Any:
    try:
        return python_pickle.loads(data)  # noqa: S301  # only where the caller has asked for it
    except Exception:  # noqa: S110  # a pickle may raise anything, and errors may show what is in it
        pass
    raise ValueError("not a pickle")
