"""`end` and `touch`: in batches, between which Ctrl-C is heeded, so that nothing is left half done."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from session_store.cli.listing import heading, row
from session_store.cli.looks import existing, looks
from session_store.cli.place import Nothing, Place
from session_store.cli.screen import Screen
from session_store.cli.selection import Selection, nothing, owned
from session_store.cli.words import counted, shown

_BATCH = 100  # namespaces that are ended together


class Interruption:
    """Whether Ctrl-C came."""

    came = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """It comes; a second one does not wait."""
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Has Ctrl-C wait until what is under way is done."""
    noted = Interruption()
    before = signal.signal(signal.SIGINT, noted.note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def names_given(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names; those that are read where there is a `-`."""
    given: dict[str, None] = {}
    for name in names:
        if name != "-":
            given[name] = None
            continue
        for line in sys.stdin.buffer.read().decode(errors="surrogateescape").splitlines():
            if line:
                given[line] = None
    return tuple(given)


def end_each(
    place: Place, screen: Screen, names: tuple[str, ...], selection: Selection, *, fence: float | None, dry_run: bool
) -> None:
    """Each namespace is ended in one step. Raises `Nothing` where none of them was there."""
    directories = _meant(place, names, selection)
    if dry_run:
        _rehearse(place, screen, list(directories), selection)
        return

    def end(batch: list[str]) -> dict[str, int]:
        # For a name that was mistyped, no fence is to stand; those of a directory are none, and may be about to live.
        there = batch if selection.owner is not None else existing(place, batch)
        counts = dict.fromkeys(batch, 0) | place.store.purge_many(there, fence=fence)
        for name in batch:  # afterwards: whoever looks meanwhile still finds it
            for directory in directories[name]:
                place.store.directory(directory).remove(selection.owner or "", name)
        return counts

    _each(place, screen, list(directories), selection, do=end, done="ended")


def touch_each(place: Place, screen: Screen, names: tuple[str, ...], selection: Selection, *, ttl: float) -> None:
    """Raises `Nothing` where none of them was there."""

    def touch(batch: list[str]) -> dict[str, int]:
        return {name: place.store.namespace(name).touch(ttl=ttl) for name in batch}

    _each(place, screen, list(_meant(place, names, selection)), selection, do=touch, done="touched")


def _meant(place: Place, names: tuple[str, ...], selection: Selection) -> dict[str, list[str]]:
    """The namespaces that are meant, and the directories that are to be told."""
    if selection.owner is None:
        return {name: [] for name in names}
    return owned(place, selection.owner, selection.directories)


def _rehearse(place: Place, screen: Screen, names: list[str], selection: Selection) -> None:
    found = 0
    for look in looks(place, names):
        if screen.as_json:
            screen.data({**look.data(), "ended": False})
        else:
            if not found:
                screen.line(heading(screen))
            screen.line(row(look, screen))
        found += 1
    if not found:
        raise nothing(place, selection)
    screen.note(f"{counted(found, 'namespace')} would be ended; nothing was done")


def _each(
    place: Place,
    screen: Screen,
    names: list[str],
    selection: Selection,
    *,
    do: Callable[[list[str]], dict[str, int]],
    done: str,
) -> None:
    screen.live()
    found = total = 0
    with interruption() as noted:
        for batch in _batches(names):
            counts = do(batch)
            total += len(batch)
            for name, slots in counts.items():
                found += slots > 0
                if slots or selection.owner is None:
                    _tell(screen, name, slots, done)
            if noted.came:
                break
    if total < len(names):
        left = counted(len(names) - total, "namespace")
        screen.note(f"interrupted: {found:,} {done}, {left} not looked at; the same command goes on with them")
        raise click.Abort
    if noted.came:
        screen.note(f"interrupted, when all was done: {found:,} {done}")
        raise click.Abort
    if not found:
        if len(names) == 1 and selection.owner is None:
            raise nothing(place, Selection(namespace=names[0]))
        raise Nothing("nothing lived under these names") if names else nothing(place, selection)
    if not screen.as_json:
        screen.note(f"{counted(found, 'namespace')} {done}")


def _batches(names: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(names), _BATCH):
        yield names[first : first + _BATCH]


def _tell(screen: Screen, name: str, slots: int, done: str) -> None:
    if screen.as_json:
        screen.data({"namespace": name, done: slots > 0, "slots": slots})
    elif slots:
        screen.line(f"{done}  {counted(slots, 'slot'):>9}  {shown(name)}")
    else:
        screen.line(f"{screen.paint('nothing', fg='yellow')}           -  {shown(name)}")
