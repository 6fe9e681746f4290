"""`show`: one namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from session_store._core.names import INDEX
from session_store.cli.layers import HIDDEN, Told, sentence, told
from session_store.cli.looks import KINDS, UNITS, SlotLook, indexes, sized, slot_looks
from session_store.cli.place import Nothing, Place
from session_store.cli.screen import Screen, table
from session_store.cli.selection import Selection, nothing
from session_store.cli.words import counted, duration, shown, size

_MOST_FIELDS = 1_000  # of a hash whose values are shown
_MOST_BYTES = 65_536  # of a value that is shown

Values = dict[str, Any]


def show_one(place: Place, name: str, screen: Screen, *, with_values: bool) -> None:
    """Raises `Nothing`."""
    (index,) = indexes(place, [name])
    slots = slot_looks(place, name, index.slots)
    now = place.now()
    fence, until = ((at - now if at is not None and at > now else None) for at in (index.fence, index.until))
    if not slots and fence is None and until is None:
        raise nothing(place, Selection(namespace=name))
    (index_size,) = sized(place, [place.keyspace.base(name).encode() + INDEX])
    written = None if index.written is None else max(0.0, now - index.written)
    values = {slot.name: _values(place, slot) for slot in slots} if with_values else {}
    locks = {slot: at - now for slot, at in index.locks.items() if at > now}
    found = _Found(name, slots, told(place, slots), values, index_size, written, fence, until, locks, now)
    if screen.as_json:
        screen.data(found.data())
    else:
        found.say(place.prefix, screen)
    if not slots and until is None:
        raise Nothing("nothing lives under this name any more")


@dataclass
class _Found:
    """A namespace. Times are seconds from now on, or ago."""

    name: str
    slots: list[SlotLook]
    facts: dict[str, Told]
    values: dict[str, Values]
    index_size: int | None
    written: float | None
    fence: float | None
    until: float | None
    locks: dict[str, float]
    now: float  # by the server's clock

    @property
    def kinds(self) -> list[str]:
        own = {slot.kind for slot in self.slots}
        return [kind for kind in KINDS if kind in own and (kind != "plain" or own == {"plain"})]

    def data(self) -> dict[str, Any]:
        rows = []
        for slot in self.slots:
            row = slot.data() | ({"facts": self.facts[slot.name]} if slot.name in self.facts else {})
            rows.append(row | ({"values": self.values[slot.name]} if self.values else {}))
        times = {"written_ago": self.written, "fenced_for": self.fence, "ends_in": self.until}
        return {
            "namespace": self.name,
            "kinds": self.kinds,
            **{name: None if seconds is None else round(seconds, 3) for name, seconds in times.items()},
            "index_bytes": self.index_size,
            "slots": rows,
        }

    def say(self, prefix: str, screen: Screen) -> None:
        title = screen.paint(f"{prefix} / {shown(self.name)}", bold=True)
        screen.line(f"{title}  {'+'.join(self.kinds)}".rstrip())
        if self.slots:
            self._say_sum(screen)
        else:
            screen.line("no slot lives in it")
        if self.until is not None:
            screen.line(f"ends in {duration(self.until)} at the latest, whatever is written")
        if self.fence is not None:
            screen.line(screen.paint(f"a fence refuses writes for another {duration(self.fence)}", fg="yellow"))
        for slot, seconds in self.locks.items():
            name = shown(slot.encode(errors="surrogateescape"))
            screen.line(f"a commit holds the lock of {name}, for {duration(seconds)} at most")
        self._say_slots(screen)
        for each in self.slots if self.values else ():
            _say_values(each, self.values[each.name], screen)
        if any(each.size is None for each in self.slots):
            screen.note("sizes are not shown: the user may not do MEMORY USAGE")

    def _say_sum(self, screen: Screen) -> None:
        sizes = [slot.size for slot in self.slots if slot.size is not None]
        taken = size(sum(sizes) + (self.index_size or 0)) if sizes else "-"
        ends = [float("inf") if slot.ttl is None else slot.ttl for slot in self.slots]
        written = "-" if self.written is None else f"{duration(self.written)} ago"
        left = duration(max(ends, default=None))
        screen.line(f"{counted(len(self.slots), 'slot')}, {taken} with the index; written {written}; lives for {left}")

    def _say_slots(self, screen: Screen) -> None:
        rows = [[screen.paint(each, bold=True) for each in ("KIND", "TYPE", "LENGTH", "SIZE", "TTL", "SLOT")]]
        for slot in self.slots:
            length = "-" if slot.length is None else counted(slot.length, *UNITS.get(slot.type, ("item",)))
            ttl = screen.paint("never", fg="red") if slot.ttl is None else duration(slot.ttl)
            name = shown(slot.name.encode(errors="surrogateescape"))
            rows.append([slot.kind, slot.type, length, size(slot.size), ttl, name])
        if self.slots:
            screen.line()
            for line in table(rows, (False, False, True, True, True, False)):
                screen.line(line)
        if self.facts:
            screen.line()
        for slot in self.slots:
            if slot.name in self.facts:
                what = {"web": "web session", "channel": f"channel {shown(slot.name)}"}.get(slot.kind, slot.kind)
                screen.line(f"{what}: {sentence(slot.kind, self.facts[slot.name], self.now)}")


def _values(place: Place, slot: SlotLook) -> Values:
    """What is in a slot, as it is stored; of many fields some, and of a large value its length. 2 or 3 round trips."""
    if slot.type == "string":
        too_long = (slot.length or 0) > _MOST_BYTES
        return {"value": _shortened(slot.length or 0) if too_long else _text(place.client.get(slot.key))}
    if slot.type != "hash":
        return {"left_out": f"a {slot.type} is not read"}
    hidden = {name.encode() for name in HIDDEN.get(slot.kind, ())}
    if (slot.length or 0) > _MOST_FIELDS:
        _, page = place.client.hscan(slot.key, count=_MOST_FIELDS)
        names = sorted(page, key=_natural)[:_MOST_FIELDS]
    else:
        names = sorted(place.client.hkeys(slot.key), key=_natural)
    lengths = place.pipelined([("HSTRLEN", slot.key, name) for name in names])
    wanted = [name for name, length in zip(names, lengths, strict=True) if length <= _MOST_BYTES and name not in hidden]
    read = dict(zip(wanted, place.pipelined([("HGET", slot.key, name) for name in wanted]), strict=True))
    fields = {
        _text(name): "(hidden)" if name in hidden else _text(read[name]) if name in read else _shortened(length)
        for name, length in zip(names, lengths, strict=True)
    }
    left = (slot.length or 0) - len(names)
    return {"fields": fields, **({"left_out": counted(left, "field")} if left > 0 else {})}


def _natural(name: bytes) -> tuple[int, bytes]:
    """Numbers in their order, before other names: messages and events have them."""
    return (int(name), b"") if name.isdigit() and len(name) < 16 else (2**60, name)


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else ""


def _shortened(length: int) -> str:
    return f"({size(length)}, not read)"


def _say_values(slot: SlotLook, values: Values, screen: Screen) -> None:
    screen.line()
    screen.line(screen.paint(shown(slot.name.encode(errors="surrogateescape")), bold=True))
    if "value" in values:
        screen.line(f"  {shown(values['value'])}")
    rows = [[f"  {shown(name)}", shown(value)] for name, value in values.get("fields", {}).items()]
    for line in table(rows, (False, False)) if rows else ():
        screen.line(line)
    if "left_out" in values:
        screen.line(f"  .. {values['left_out']} more" if "fields" in values else f"  {values['left_out']}")
