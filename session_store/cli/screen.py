"""Where the output goes: a terminal, with colours and a pager as git has them, or a pipe, with neither."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console

_BROKEN_PIPE = 141  # as shells say it of what SIGPIPE has ended
_SHOWN_AFTER = 0.5  # seconds: what is quicker needs no bar


class Left(Exception):  # noqa: N818  # no error: who reads has seen enough
    """Nobody reads on. `status`: what the command exits with."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Screen:
    """What a command says. On a terminal, more lines than it has go to a pager; an object a line with `as_json`."""

    def __init__(self, *, as_json: bool) -> None:
        console = Console()
        self.as_json = as_json
        self.is_terminal = sys.stdout.isatty()
        self.colored = console.is_terminal and console.color_system is not None and not console.no_color
        self.width = shutil.get_terminal_size().columns if self.is_terminal else 0  # 0: nothing is wrapped
        self._kept: list[str] | None = [] if self.is_terminal else None  # until there are more than fit
        self._pager: subprocess.Popen[bytes] | None = None
        self._is_live = False
        self._bar: Any = None

    def paint(self, text: str, **style: Any) -> str:
        """A text in a colour, where there are colours."""
        return click.style(text, **style) if self.colored and text else text

    def live(self) -> None:
        """From now on lines are shown as they come, and not by a pager."""
        self._flush()
        self._kept = None
        self._is_live = True

    def line(self, text: str = "") -> None:
        """Shows a line of text."""
        if self._kept is not None:
            self._kept.append(text)
            if self._lines(self._kept) < shutil.get_terminal_size().lines:
                return
            self._end_bar()
            self._pager = _pager()
            self._flush()
            self._kept = None
        else:
            self._write(text)

    def _lines(self, texts: Sequence[str]) -> int:
        return sum(max(1, -(-cell_len(click.unstyle(text)) // max(self.width, 1))) for text in texts[-200:])

    def data(self, value: dict[str, Any]) -> None:
        """Shows an object as JSON, in ASCII: nothing in it controls a terminal."""
        self.line(json.dumps(value, allow_nan=False))

    def _write(self, text: str) -> None:
        if self._pager is not None and self._pager.stdin is not None:
            try:
                self._pager.stdin.write(f"{text}\n".encode(errors="backslashreplace"))
            except BrokenPipeError:
                raise Left(0) from None
            return
        try:
            sys.stdout.write(f"{text}\n")
            if self.is_terminal or self._is_live:
                sys.stdout.flush()
        except BrokenPipeError:
            raise _hung_up() from None

    def _flush(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, []
            for text in kept:
                self._write(text)

    def note(self, text: str) -> None:
        """Says something beside the output, on stderr."""
        self._end_bar()
        self._flush()
        sys.stdout.flush()
        click.echo(f"session-store: {text}", err=True)

    def close(self) -> None:
        """Shows what is kept, and waits for the pager to be left."""
        self._end_bar()
        self._flush()
        if self._pager is None:
            try:
                sys.stdout.flush()
            except BrokenPipeError:
                raise _hung_up() from None
            return
        if self._pager.stdin is not None:
            try:
                self._pager.stdin.close()
            except BrokenPipeError:
                pass  # it was left before
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it has a meaning in the pager
        self._pager.wait()
        signal.signal(signal.SIGINT, before)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Bar]:
        """A bar for what takes long, on a terminal only."""
        bar = Bar(what, total)
        self._bar = bar
        try:
            yield bar
        finally:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.end()


class Bar:
    """How far a scan is. It is drawn on stderr, so that output goes where it is sent."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._progress: Any = None
        self._skipped = 0  # that were looked at before it was shown
        self._begun: float | None = time.monotonic() if sys.stderr.isatty() else None

    def advance(self, count: int) -> None:
        """So many more have been looked at."""
        if self._begun is None:
            return
        if self._progress is None:
            if time.monotonic() - self._begun < _SHOWN_AFTER:
                self._skipped += count
                return
            self._start()
        self._progress.advance(self._task, count)

    def _start(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._task = self._progress.add_task(self._what, total=self._total, completed=self._skipped)
        self._progress.start()

    def end(self) -> None:
        """Takes it away."""
        self._begun = None
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _hung_up() -> Left:
    """What a pipe that is closed is to a command. Nothing of it is said when Python ends, either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Left(_BROKEN_PIPE)


def _pager() -> subprocess.Popen[bytes] | None:
    """$PAGER, or else less; none where it is empty, `cat`, or not there."""
    command = os.environ.get("PAGER", "less").strip()
    if command in ("", "cat") or os.environ.get("TERM") in (None, "dumb"):
        return None
    if shutil.which(command.split()[0]) is None:
        return None
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}  # as git sets them
    return subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)  # noqa: S602  # the user's own


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text in a column."""
    plain = text if text.isprintable() else click.unstyle(text)
    room = " " * max(0, width - (len(plain) if plain.isascii() else cell_len(plain)))
    return room + text if right else text + room


def table(rows: Sequence[Sequence[str]], rights: Sequence[bool]) -> list[str]:
    """Rows in columns as wide as they need; the last is not padded. `rights`: which stand at the right of theirs."""
    widths = [max(cell_len(click.unstyle(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell if at == len(row) - 1 and not rights[at] else padded(cell, widths[at], right=rights[at])
            for at, cell in enumerate(row)
        )
        for row in rows
    ]
