"""`list` and `count`."""

from __future__ import annotations

from itertools import islice

from session_store.cli.looks import Look
from session_store.cli.place import Place
from session_store.cli.screen import Screen, padded
from session_store.cli.selection import Selection, counted, nothing, selected
from session_store.cli.words import duration, shown

# Names come last, since they are of any length, and rows are shown before all are known.
_COLUMNS = (("KIND", 20, False), ("SLOTS", 5, True), ("TTL", 8, True), ("WRITTEN", 8, True))
_COLOURS = {"web": "cyan", "conversation": "green", "snapshot": "magenta", "channel": "yellow"}


def heading(screen: Screen) -> str:
    """The names of the columns."""
    return screen.paint(
        "  ".join([*(padded(name, width, right=right) for name, width, right in _COLUMNS), "NAME"]), bold=True
    )


def row(look: Look, screen: Screen) -> str:
    """A namespace in a line."""
    written = duration(look.written)
    cells = (look.kind, f"{look.slots:,}", duration(look.ttl), written)
    texts = [padded(cell, width, right=right) for cell, (_, width, right) in zip(cells, _COLUMNS, strict=True)]
    texts[0] = screen.paint(texts[0], fg=_COLOURS.get(look.kinds[0]))
    if look.ttl == float("inf"):
        texts[2] = screen.paint(texts[2], fg="red")
    return "  ".join([*texts, shown(look.name)])


def show_list(place: Place, selection: Selection, screen: Screen, *, only_names: bool, limit: int | None) -> None:
    """Raises `Nothing`."""
    found = False
    for look in islice(selected(place, selection, screen), limit):
        if screen.as_json:
            screen.data(look.data())
        elif only_names:
            # Valid names hold no control character; in a pipe they are as they are, for `end -`.
            screen.line(shown(look.name) if screen.is_terminal else look.name)
        else:
            if not found:
                screen.line(heading(screen))
            screen.line(row(look, screen))
        found = True
    if not found:
        raise nothing(place, selection)


def show_count(place: Place, selection: Selection, screen: Screen) -> None:
    """Raises `Nothing`; 0 is shown all the same."""
    number = counted(place, selection, screen)
    if screen.as_json:
        screen.data({"namespaces": number})
    else:
        screen.line(str(number))
    if not number:
        raise nothing(place, selection)
