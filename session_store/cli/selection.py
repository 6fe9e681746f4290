"""Which namespaces a command is about: those that are named, an owner's, or those that a scan finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from session_store._core.names import INDEX
from session_store._sync.extension import page_of
from session_store.cli.looks import TOGETHER, Look, living, looks
from session_store.cli.place import Nothing, Place
from session_store.cli.screen import Screen

# Where the layers name whose a namespace is: the slot and its field that say so as well, to see what is theirs no more.
OWNERS = {
    "session-owner": ("session", "~owner"),
    "conversation-user": ("conversation", "u"),
    "snapshot-owner": ("snapshot", "o"),
}
_LABELS = {**OWNERS, "conversation-agent": ("conversation", "a")}


@dataclass
class Selection:
    """What was asked for."""

    owner: str | None = None
    directories: tuple[str, ...] = ()  # where an owner is looked for; none: those of the layers
    namespace: str | None = None
    is_glob: bool = False
    kinds: tuple[str, ...] = ()
    older_than: float | None = None  # seconds

    @property
    def is_all(self) -> bool:
        """Whether it is everything under the prefix."""
        return self.owner is None and self.namespace is None and not self.kinds and self.older_than is None

    def fits(self, look: Look) -> bool:
        """Whether a namespace is meant."""
        if self.kinds and not set(self.kinds) & set(look.kinds):
            return False
        return self.older_than is None or (look.written is not None and look.written >= self.older_than)


def selected(place: Place, selection: Selection, screen: Screen) -> Iterator[Look]:
    """The namespaces that are meant, and live."""
    if selection.owner is not None:
        names: Iterator[str] = iter(owned(place, selection.owner, selection.directories))
        found = looks(place, names)
    elif selection.namespace is not None and not selection.is_glob:
        found = looks(place, [selection.namespace])
    else:
        found = (look for names in _scanned(place, selection, screen) for look in looks(place, names))
    return (look for look in found if selection.fits(look))


def counted(place: Place, selection: Selection, screen: Screen) -> int:
    """How many they are."""
    if selection.owner is None and not selection.kinds and selection.older_than is None:
        if selection.namespace is not None and not selection.is_glob:
            return living(place, [selection.namespace])
        return sum(living(place, names) for names in _scanned(place, selection, screen))
    return sum(1 for _ in selected(place, selection, screen))


def _scanned(place: Place, selection: Selection, screen: Screen) -> Iterator[list[str]]:
    """The names of namespaces, some together, as a scan of the keys finds them."""
    pattern = place.keyspace.index_pattern()
    if selection.namespace is not None:
        pattern = place.keyspace.written(selection.namespace).encode() + INDEX
    with screen.progress("looking at keys", place.database_size()) as bar:
        names: list[str] = []
        for keys, count in place.scan(pattern):
            bar.advance(count)
            place.matched += len(keys)
            names += [name for name in map(place.keyspace.namespace_of_index, keys) if name is not None]
            if len(names) >= TOGETHER:
                yield names
                names = []
        if names:
            yield names


def nothing(place: Place, selection: Selection) -> Nothing:
    """What to say where none was found. 1 to 10 steps of a scan, to tell of other prefixes."""
    under = f"under the prefix {place.prefix}"
    if selection.owner is not None:
        text = f"nothing of this owner {under} (looked in: {', '.join(selection.directories or OWNERS)})"
    elif selection.namespace is not None and not selection.is_glob:
        text = f"nothing of this name {under}"
        if set("*?[") & set(selection.namespace):
            text += ": --glob takes it for a pattern"
    elif not selection.is_all:
        text = f"nothing that was asked for {under}"
    elif place.matched and not place.keyspace.hash_tags:
        return Nothing(f"nothing lives {under}, or its keys have braces: try --hash-tags")
    else:
        text = f"nothing {under}"
    seen = place.prefixes_seen()
    if not seen or place.prefix in seen or place.matched:
        return Nothing(text)
    return Nothing(f"{text}; prefixes seen: {', '.join(seen[:10])} (--prefix)")


def owned(place: Place, owner: str, directories: tuple[str, ...]) -> dict[str, list[str]]:
    """The namespaces that directories name for an owner, each with the directories that do. Nothing is forgotten by it."""
    found: dict[str, list[str]] = {}
    for directory in directories or OWNERS:
        names: list[str] = []
        cursor: str | None = None
        while True:
            page = page_of(
                place.store.directory(directory),
                owner,
                lambda names: [True] * len(names),  # none has ended, so that a look at a replica writes nothing
                limit=TOGETHER,
                cursor=cursor,
            )
            names += [entry.name for entry, _ in page]
            cursor = page.cursor
            if cursor is None:
                break
        for name in _theirs(place, directory, owner, names):
            found.setdefault(name, []).append(directory)
    return found


def _theirs(place: Place, directory: str, owner: str, names: list[str]) -> list[str]:
    """Without those that are somebody else's by now: a directory only gives hints."""
    if directory not in _LABELS:
        return names
    slot, field = _LABELS[directory]
    replies = place.pipelined([("HGET", place.key(name, slot), field) for name in names])
    return [name for name, held in zip(names, replies, strict=True) if not _is_others(directory, held, owner)]


def _is_others(directory: str, held: Any, owner: str) -> bool:
    """Whether an owner's field says for certain that it is another. Web sessions have it as their codec writes it.

    What cannot be read, by encryption, say, is the directory's to know: better one session too many is ended than
    one too few.
    """
    if not isinstance(held, bytes) or held == owner.encode(errors="surrogatepass"):
        return False
    if directory == "session-owner":
        import json

        try:
            read = json.loads(held)
        except ValueError:
            return False
        return isinstance(read, str) and read != owner
    return True
