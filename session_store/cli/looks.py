"""What namespaces hold, without reading a value: their indexes, and of each slot what layer keeps it, TTL and size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from session_store._core.names import INDEX, listed_keys
from session_store.cli.place import Place
from session_store.cli.words import number

TOGETHER = 500  # namespaces that are looked at in one pipeline
_SAMPLES = 100  # fields of a slot whose sizes stand for all: a large one costs the server no more
# What shows that a slot of this name is a layer's: a field that it always has.
_MARKS = {"session": ("web", "~secret"), "conversation": ("conversation", "seq"), "snapshot": ("snapshot", "sv")}
KINDS = ("web", "conversation", "snapshot", "channel", "plain")
LENGTHS = {"string": "STRLEN", "hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}
UNITS = {
    "string": ("byte",),
    "hash": ("field",),
    "list": ("item",),
    "set": ("member",),
    "zset": ("member",),
    "stream": ("entry", "entries"),
}


@dataclass
class Index:
    """What the index of a namespace says."""

    slots: list[str] = field(default_factory=list)
    written: float | None = None  # seconds since the epoch: the last call that wrote, as it is recorded
    calls: dict[bytes, bytes] = field(default_factory=dict)  # the latest call of each writer
    fence: float | None = None  # seconds since the epoch
    until: float | None = None
    locks: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Any) -> Index:
        """What its fields mean; whatever is none of the library's is passed over."""
        index = cls()
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
        for name, value in pairs:
            if not name.startswith(b"~"):
                index.slots.append(name.decode(errors="surrogateescape"))
            elif name in (b"~fence", b"~until"):
                setattr(index, name[1:].decode(), (number(value) or 0) / 1000)
            elif name.startswith(b"~lock:"):
                ends = number(value.partition(b":")[0])
                index.locks[name[6:].decode(errors="surrogateescape")] = (ends or 0) / 1000
            elif re.match(rb"[0-9a-f]{8}", value):
                index.calls[name] = value
                index.written = max(index.written or 0, int(value[:8], 16))
        index.slots.sort()
        return index


@dataclass
class Look:
    """A namespace that lives, at a glance."""

    name: str
    kinds: tuple[str, ...]
    slots: int  # that live
    ttl: float  # seconds until the last one ends
    written: float | None  # seconds ago

    @property
    def kind(self) -> str:
        """Its layers in one word."""
        return "+".join(self.kinds)

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "namespace": self.name,
            "kinds": list(self.kinds),
            "slots": self.slots,
            "ttl": None if self.ttl == float("inf") else round(self.ttl, 3),
            "written_ago": None if self.written is None else round(self.written, 3),
        }


def indexes(place: Place, names: Sequence[str]) -> list[Index]:
    """The indexes of many namespaces. 1 round trip."""
    replies = place.pipelined([("HGETALL", place.keyspace.base(name).encode() + INDEX) for name in names])
    return [Index() if isinstance(reply, Exception) else Index.of(reply) for reply in replies]


def existing(place: Place, names: Sequence[str]) -> list[str]:
    """Those of these namespaces that have an index. 1 round trip."""
    replies = place.pipelined([("EXISTS", place.keyspace.base(name).encode() + INDEX) for name in names])
    return [name for name, reply in zip(names, replies, strict=True) if reply]


def living(place: Place, names: Sequence[str]) -> int:
    """How many of these namespaces live, without a look at what they hold. 2 round trips."""
    replies = place.pipelined([("HKEYS", place.keyspace.base(name).encode() + INDEX) for name in names])
    listed = [
        listed_keys(place.keyspace.base(name), reply)
        for name, reply in zip(names, replies, strict=True)
        if not isinstance(reply, Exception)  # another program's key, which only looks like an index
    ]
    return sum(count > 0 for count in place.pipelined([("EXISTS", *keys) for keys in listed if keys]))


def looks(place: Place, names: Iterable[str]) -> Iterator[Look]:
    """Those of these namespaces that live. 2 or 3 round trips for each 500."""
    rest = iter(names)
    while batch := list(islice(rest, TOGETHER)):
        yield from _together(place, batch)


def _together(place: Place, names: list[str]) -> Iterator[Look]:
    found = indexes(place, names)
    keys = [[place.key(name, slot) for slot in index.slots] for name, index in zip(names, found, strict=True)]
    left = iter(place.pipelined([("PTTL", key) for each in keys for key in each]))
    ttls = [[next(left) for _ in each] for each in keys]
    living = [
        (name, index, [(slot, key, ttl) for slot, key, ttl in zip(index.slots, each, times, strict=True) if ttl != -2])
        for name, index, each, times in zip(names, found, keys, ttls, strict=True)
    ]
    kinds = iter(kinds_of(place, [(slot, key) for _, _, slots in living for slot, key, _ in slots]))
    now = place.now()
    for name, index, slots in living:
        if slots:
            own = {next(kinds) for _ in slots}
            ends = max(float("inf") if ttl == -1 else ttl / 1000 for _, _, ttl in slots)
            shown = tuple(kind for kind in KINDS if kind in own and (kind != "plain" or own == {"plain"}))
            written = None if index.written is None else max(0.0, now - index.written)
            yield Look(name, shown, len(slots), ends, written)


def kinds_of(place: Place, slots: Sequence[tuple[str, bytes]]) -> list[str]:
    """Which layer keeps each of these slots (name, key): by its name and a field that is there, and by no value."""
    commands: list[tuple[Any, ...]] = [
        ("HEXISTS", key, _MARKS[slot][1]) if slot in _MARKS else ("HSTRLEN", key, "e") for slot, key in slots
    ]
    replies = place.pipelined(commands)
    kinds = ["plain"] * len(slots)
    perhaps = []
    for at, ((slot, key), reply) in enumerate(zip(slots, replies, strict=True)):
        if slot in _MARKS:
            if reply == 1:
                kinds[at] = _MARKS[slot][0]
        elif reply == 8:  # an epoch has 8 characters
            perhaps.append((at, key))
    marks = iter(place.pipelined([("HSTRLEN", key, name) for _, key in perhaps for name in ("n", "f")]))
    for at, _ in perhaps:
        if all(isinstance(length, int) and 1 <= length <= 16 for length in (next(marks), next(marks))):
            kinds[at] = "channel"
    return kinds


@dataclass
class SlotLook:
    """A slot, at a closer look."""

    name: str
    key: bytes
    type: str
    kind: str
    ttl: float | None  # None: it has none
    size: int | None  # bytes that it takes; None: that may not be asked
    length: int | None

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        name = self.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        ttl = None if self.ttl is None else round(self.ttl, 3)
        return {
            "slot": name,
            "kind": self.kind,
            "type": self.type,
            "ttl": ttl,
            "bytes": self.size,
            "length": self.length,
        }


def sized(place: Place, keys: Sequence[bytes]) -> list[int | None]:
    """How many bytes keys take on the server; None where there is none, or it may not be asked. 1 round trip."""
    replies = place.pipelined([("MEMORY USAGE", key, "SAMPLES", _SAMPLES) for key in keys], may_lack=True)
    return [reply if isinstance(reply, int) else None for reply in replies]


def slot_looks(place: Place, name: str, slots: Sequence[str]) -> list[SlotLook]:
    """The slots that live, each with its type, layer, TTL, size and length. 4 or 5 round trips."""
    keys = [place.key(name, slot) for slot in slots]
    replies = place.pipelined([each for key in keys for each in (("TYPE", key), ("PTTL", key))])
    living = [
        (slot, key, kind.decode() if isinstance(kind, bytes) else "unknown", ttl)
        for slot, key, kind, ttl in zip(slots, keys, replies[::2], replies[1::2], strict=True)
        if ttl != -2
    ]
    sizes = sized(place, [key for _, key, _, _ in living])
    lengths = place.pipelined([(LENGTHS.get(kind, "EXISTS"), key) for _, key, kind, _ in living], may_lack=True)
    kinds = kinds_of(place, [(slot, key) for slot, key, _, _ in living])
    return [
        SlotLook(
            *(slot, key, kind, layer, None if not isinstance(ttl, int) or ttl < 0 else ttl / 1000),
            *(taken, length if isinstance(length, int) else None),
        )
        for (slot, key, kind, ttl), taken, length, layer in zip(living, sizes, lengths, kinds, strict=True)
    ]
