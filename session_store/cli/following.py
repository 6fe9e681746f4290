"""`follow`: what changes in a namespace, by looking again and again.

No keyspace notifications, which most servers have turned off: a look is one HGETALL of the index, and for each slot TYPE, PTTL and
its length. No value is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from session_store.cli.looks import LENGTHS, UNITS, Index, indexes, kinds_of
from session_store.cli.place import Place
from session_store.cli.screen import Screen
from session_store.cli.selection import Selection, nothing
from session_store.cli.words import counted, duration, shown

_RENEWED = 0.25  # seconds by which a TTL must be longer than expected


class State(NamedTuple):
    """A slot at one moment. `ends`: seconds since the epoch."""

    type: str
    kind: str
    length: int
    ends: float


@dataclass
class Moment:
    """A namespace at one moment."""

    index: Index
    slots: dict[str, State]


def follow_one(place: Place, name: str, screen: Screen, *, seconds: float, most: int | None, interval: float) -> None:
    """Raises `Nothing` where there was nothing, and nothing has come."""
    screen.live()
    before = _moment(place, name)
    if not screen.as_json:
        screen.note(
            f"{counted(len(before.slots), 'slot')} now; looking every {duration(interval)}, for {duration(seconds)} (Ctrl-C ends it)"
        )
    told, ends = 0, time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and (most is None or told < most):
        time.sleep(min(interval, left))
        after = _moment(place, name)
        for what, slot, facts in changes(before, after, place.now()):
            if most is not None and told >= most:
                return
            told += 1
            _tell(screen, what, slot, facts)
        before = after
    if not told and not before.slots:
        raise nothing(place, Selection(namespace=name))
    if not told and not screen.as_json:
        screen.note("nothing has changed")


def _moment(place: Place, name: str) -> Moment:
    (index,) = indexes(place, [name])
    keys = [place.key(name, slot) for slot in index.slots]
    replies = place.pipelined([each for key in keys for each in (("TYPE", key), ("PTTL", key))])
    now = place.now()
    living = [
        (slot, key, kind.decode(), now + ttl / 1000 if ttl >= 0 else float("inf"))
        for slot, key, kind, ttl in zip(index.slots, keys, replies[::2], replies[1::2], strict=True)
        if isinstance(kind, bytes) and isinstance(ttl, int) and ttl != -2
    ]
    kinds = kinds_of(place, [(slot, key) for slot, key, _, _ in living])
    commands: list[tuple[Any, ...]] = []
    for _, key, kind, _ in living:
        commands += [(LENGTHS.get(kind, "EXISTS"), key), ("EXISTS", key)]  # which may be gone by now
    lengths = place.pipelined(commands, may_lack=True)
    return Moment(
        index,
        {
            slot: State(kind, layer, length if isinstance(length, int) else 0, ends)
            for (slot, _, kind, ends), length, lives, layer in zip(
                living, lengths[::2], lengths[1::2], kinds, strict=True
            )
            if lives
        },
    )


def changes(before: Moment, after: Moment, now: float) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """What has happened between two moments: what, to which slot, and how."""
    wrote = any(before.index.calls.get(name) != call for name, call in after.index.calls.items())
    said = False
    for slot, state in after.slots.items():
        old = before.slots.get(slot)
        if old is None:
            yield "new", slot, _facts(state, now)
        elif (old.type, old.kind, old.length) != (state.type, state.kind, state.length):
            yield "changed", slot, _facts(state, now) | {"was": old.length}
        elif state.ends - old.ends > _RENEWED:
            yield ("written" if wrote else "renewed"), slot, _facts(state, now)
        elif old.ends - state.ends > _RENEWED:
            yield "shortened", slot, _facts(state, now)
        else:
            continue
        said = True
    for slot, old in before.slots.items():
        if slot not in after.slots:
            yield ("expired" if old.ends <= now + _RENEWED else "gone"), slot, {}
            said = True
    if wrote and not said and after.slots:
        yield "written", None, {}
    fence = after.index.fence
    if fence is not None and fence > now and fence != before.index.fence:
        yield "fenced", None, {"for": round(fence - now, 3)}


def _facts(state: State, now: float) -> dict[str, Any]:
    ttl = None if state.ends == float("inf") else round(max(0.0, state.ends - now), 3)
    return {"kind": state.kind, "type": state.type, "length": state.length, "ttl": ttl}


_COLOURS = {"new": "green", "gone": "red", "expired": "red", "fenced": "yellow", "changed": "cyan", "written": "cyan"}


def _tell(screen: Screen, what: str, slot: str | None, facts: dict[str, Any]) -> None:
    if screen.as_json:
        name = None if slot is None else slot.encode(errors="surrogateescape").decode(errors="backslashreplace")
        screen.data({"at": round(time.time(), 3), "what": what, "slot": name, **facts})
        return
    text = "" if slot is None else shown(slot.encode(errors="surrogateescape"))
    if "length" in facts:
        length = counted(facts["length"], *UNITS.get(facts["type"], ("item",)))
        was = f"{facts['was']:,} -> " if facts.get("was", facts["length"]) != facts["length"] else ""
        ttl = "never" if facts["ttl"] is None else duration(facts["ttl"])
        kind = "" if facts["kind"] == "plain" else f"{facts['kind']}, "
        text += f"  ({kind}{was}{length}, ends in {ttl})"
    elif "for" in facts:
        text = f"writes are refused for {duration(facts['for'])}"
    elif what == "written":
        text = "something was written, and no length has changed"
    screen.line(f"{time.strftime('%H:%M:%S')}  {screen.paint(f'{what:<9}', fg=_COLOURS.get(what))}  {text}")
