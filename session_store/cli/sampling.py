"""`stats`: how much there is, by one scan of the keys, and of what kind and size, by a sample."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from session_store._core.names import INDEX
from session_store.cli.looks import KINDS, Index, SlotLook, indexes, kinds_of, sized
from session_store.cli.place import Nothing, Place
from session_store.cli.screen import Screen, table
from session_store.cli.selection import Selection, nothing
from session_store.cli.words import duration, shown, size

T = TypeVar("T")
_TOGETHER = 200  # namespaces that are looked at closely together
_MOST_DIRECTORIES = 200  # whose sizes are asked for
_BAR = 30  # characters
_BOUNDS = (("1 minute", 60), ("1 hour", 3_600), ("1 day", 86_400), ("1 week", 604_800), ("30 days", 2_592_000))
_LONGER, _NEVER, _ENDED = "longer", "no TTL", "no slot lives"


class Sample(Generic[T]):
    """So many of what comes, each as likely as any other."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = random.Random()
        self.seen = 0
        self.kept: list[T] = []

    def add(self, each: T) -> None:
        """One more comes."""
        self.seen += 1
        if len(self.kept) < self._most:
            self.kept.append(each)
        elif (at := self._random.randrange(self.seen)) < self._most:
            self.kept[at] = each


@dataclass
class Closer:
    """What was found in the namespaces of the sample."""

    looked_at: int = 0
    kinds: Counter[str] = field(default_factory=Counter)  # namespaces that have slots of them
    slots: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)  # bytes
    lengths: Counter[str] = field(default_factory=Counter)  # how long namespaces live
    indexes: int = 0  # bytes
    largest: list[tuple[int, str, str]] = field(default_factory=list)
    oldest: tuple[float, str] | None = None
    no_sizes: bool = False

    @property
    def living(self) -> int:
        """How many of them have a slot that lives."""
        return self.looked_at - self.lengths[_ENDED]


def show_stats(place: Place, screen: Screen, most: int) -> None:
    """Raises `Nothing`."""
    sample: Sample[str] = Sample(most)
    directories: Sample[bytes] = Sample(_MOST_DIRECTORIES)
    keys = _counted(place, screen, sample, directories)
    if not sample.seen:
        if keys and not place.keyspace.hash_tags:
            raise Nothing(
                f"no namespace under the prefix {place.prefix}, but keys: if they have braces, try --hash-tags"
            )
        raise nothing(place, Selection())
    closer = Closer()
    with screen.progress("looking closely", len(sample.kept)) as bar:
        for first in range(0, len(sample.kept), _TOGETHER):
            names = sample.kept[first : first + _TOGETHER]
            _look(place, names, closer)
            bar.advance(len(names))
    of_directories = [taken for taken in sized(place, directories.kept) if taken is not None]
    data = _data(keys, sample, closer, directories.seen, of_directories)
    if screen.as_json:
        screen.data(data)
    else:
        _say(place, data, screen)


def _counted(place: Place, screen: Screen, sample: Sample[str], directories: Sample[bytes]) -> int:
    """Goes through all keys of the prefix. How many there are."""
    count = 0
    beginning = f"{place.prefix}:{{~dir." if place.keyspace.hash_tags else f"{place.prefix}:~dir."
    with screen.progress("looking at keys", place.database_size()) as bar:
        for keys, looked_at in place.scan(f"{place.prefix}:*".encode()):
            bar.advance(looked_at)
            count += len(keys)
            for key in keys:
                if key.startswith(beginning.encode()):
                    directories.add(key)
                elif key.endswith(INDEX) and (name := place.keyspace.namespace_of_index(key)) is not None:
                    sample.add(name)
    return count


def _look(place: Place, names: list[str], closer: Closer) -> None:
    """4 or 5 round trips."""
    found = indexes(place, names)
    slots = [(at, slot, place.key(name, slot)) for at, name in enumerate(names) for slot in found[at].slots]
    ttls = place.pipelined([("PTTL", key) for _, _, key in slots])
    living = [(at, slot, key, ttl) for (at, slot, key), ttl in zip(slots, ttls, strict=True) if ttl != -2]
    kinds = kinds_of(place, [(slot, key) for _, slot, key, _ in living])
    sizes = sized(place, [key for _, _, key, _ in living])
    of_indexes = sized(place, [place.keyspace.base(name).encode() + INDEX for name in names])
    by_name: list[list[SlotLook]] = [[] for _ in names]
    for (at, slot, key, ttl), kind, taken in zip(living, kinds, sizes, strict=True):
        by_name[at].append(SlotLook(slot, key, "", kind, ttl / 1000 if ttl >= 0 else None, taken, None))
        closer.no_sizes |= taken is None
    for name, index, own, taken in zip(names, found, by_name, of_indexes, strict=True):
        _add(closer, name, index, own, taken or 0, place.now())


def _add(closer: Closer, name: str, index: Index, slots: list[SlotLook], taken: int, now: float) -> None:  # noqa: PLR0917
    closer.looked_at += 1
    closer.indexes += taken
    closer.lengths[_length([slot.ttl for slot in slots])] += 1
    own = {slot.kind for slot in slots}
    for kind in own:
        closer.kinds[kind] += 1
    for slot in slots:
        closer.slots[slot.kind] += 1
        closer.taken[slot.kind] += slot.size or 0
    if not slots:
        return
    total = taken + sum(slot.size or 0 for slot in slots)
    shown_kinds = "+".join(kind for kind in KINDS if kind in own)
    closer.largest = sorted([*closer.largest, (total, name, shown_kinds)], reverse=True)[:3]
    if index.written is not None and (closer.oldest is None or now - index.written > closer.oldest[0]):
        closer.oldest = max(0.0, now - index.written), name


def _length(ttls: Iterable[float | None]) -> str:
    """In which row of the histogram a namespace stands."""
    longest = 0.0
    for ttl in ttls:
        if ttl is None:
            return _NEVER
        longest = max(longest, ttl)
    if not longest:
        return _ENDED
    return next((f"up to {name}" for name, bound in _BOUNDS if longest <= bound), _LONGER)


def _data(
    keys: int, sample: Sample[str], closer: Closer, directories: int, of_directories: list[int]
) -> dict[str, Any]:
    """All of it. What is about all namespaces is the sample's, times what it stands for."""
    share = sample.seen / closer.looked_at
    in_slots = sum(closer.taken.values())
    mean = sum(of_directories) / len(of_directories) if of_directories else 0
    rows = [*(f"up to {name}" for name, _ in _BOUNDS), _LONGER, _NEVER]
    return {
        "namespaces": round(closer.living * share),
        "indexes": sample.seen,
        "sampled": closer.looked_at,
        "is_exact": closer.looked_at == sample.seen,
        "slots": keys - sample.seen - directories,
        "directory_keys": directories,
        "bytes": None if closer.no_sizes else round((in_slots + closer.indexes) * share + mean * directories),
        "index_bytes": None if closer.no_sizes else round(closer.indexes * share),
        "directory_bytes": None if closer.no_sizes else round(mean * directories),
        "kinds": {
            kind: {
                "namespaces": round(closer.kinds[kind] * share),
                "slots": round(closer.slots[kind] * share),
                "bytes": None if closer.no_sizes else round(closer.taken[kind] * share),
            }
            for kind in KINDS
            if closer.slots[kind]
        },
        "ends_in": {row: round(closer.lengths[row] * share) for row in rows},
        "ended": round(closer.lengths[_ENDED] * share),
        "largest": [
            {"namespace": name, "kinds": kinds.split("+"), "bytes": total} for total, name, kinds in closer.largest
        ],
        "oldest": None
        if closer.oldest is None
        else {"namespace": closer.oldest[1], "written_ago": round(closer.oldest[0], 3)},
    }


def _say(place: Place, data: dict[str, Any], screen: Screen) -> None:
    about = "" if data["is_exact"] else "about "
    screen.line(screen.paint(f"{place.prefix} on {place.url}{', a cluster' if place.is_cluster else ''}", bold=True))
    ended = f"; {data['ended']:,} more have ended, and leave memory soon" if data["ended"] else ""
    screen.line(f"{about}{data['namespaces']:,} namespaces live{ended}".strip())
    looked = "all of them" if data["is_exact"] else f"a sample of {data['sampled']:,}"
    screen.line(f"{data['slots']:,} slots, {data['directory_keys']:,} keys of directories; by {looked}:")
    screen.line()
    total = data["bytes"]
    rows = [[screen.paint(each, bold=True) for each in ("KIND", "NAMESPACES", "SLOTS", "BYTES", "SHARE", "PER SLOT")]]
    for kind, found in data["kinds"].items():
        each = None if total is None else found["bytes"] / max(found["slots"], 1)
        rows.append(
            [kind, f"{found['namespaces']:,}", f"{found['slots']:,}", *_bytes(found["bytes"], total), size(each)]
        )
    rows.append(["indexes", f"{data['indexes']:,}", "", *_bytes(data["index_bytes"], total), ""])
    rows.append(["directories", "", "", *_bytes(data["directory_bytes"], total), ""])
    rows.append(
        [screen.paint("all", bold=True), f"{data['namespaces']:,}", f"{data['slots']:,}", *_bytes(total, total), ""]
    )
    for line in table(rows, (False, True, True, True, True, True)):
        screen.line(line.rstrip())
    screen.line()
    screen.line(screen.paint("NAMESPACES END IN", bold=True))
    most = max(data["ends_in"].values()) or 1
    rows = []
    for row, number in data["ends_in"].items():
        if row == _NEVER and not number:
            continue
        bar = "#" * -(-number * _BAR // most)
        rows.append([row, f"{number:,}", screen.paint(bar, fg="red" if row == _NEVER else "cyan")])
    for line in table(rows, (False, True, False)):
        screen.line(line.rstrip())
    screen.line()
    for each in [] if total is None else data["largest"][:1]:
        screen.line(f"largest seen       {size(each['bytes'])}, {'+'.join(each['kinds'])}: {shown(each['namespace'])}")
    if data["oldest"]:
        oldest = data["oldest"]
        screen.line(f"unwritten longest  {duration(oldest['written_ago'])}: {shown(oldest['namespace'])}")
    if total is None:
        screen.note("bytes are not shown: the user may not do MEMORY USAGE")


def _bytes(count: int | None, total: int | None) -> tuple[str, str]:
    if count is None or not total:
        return size(count), "-"
    return size(count), f"{count / total:.0%}"
