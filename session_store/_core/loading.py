"""Whole slots, as `load.lua` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from session_store._core.operations import Call, Operations
from session_store._core.outcomes import WRONG_TYPE
from session_store._core.values import decoded
from session_store.codecs import V
from session_store.errors import WrongTypeError


def load_call(index: bytes, keys: Sequence[bytes], *, whole: bool) -> Call:
    """A call of `load.lua`. `whole`: the keys are all that the index names."""
    return (index, *keys), ("all" if whole else "these",)


def loaded(make: Operations[V], keys: Sequence[bytes], reply: list[Any]) -> dict[str, V | dict[str, V]]:
    """What a reply says that the keys hold, by slot; those that hold nothing are left out."""
    if reply[0] == WRONG_TYPE:
        raise WrongTypeError(keys[reply[1] - 1].decode(), "load")
    skip = len(make.base.encode())
    contents: dict[str, V | dict[str, V]] = {}
    for key, content in zip(keys, reply[1:], strict=True):
        slot = key[skip:].decode()
        if isinstance(content, list):
            fields = dict(zip(content[::2], content[1::2], strict=True))
            contents[slot] = decoded(key, make.values.decode_all, slot, fields)
        elif content is not None:
            contents[slot] = decoded(key, make.values.decode, slot, None, content)
    return contents
