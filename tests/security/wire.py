"""What is written to connections, held to be the commands that it seems to be, byte by byte."""

from __future__ import annotations

from support.recorder import Recorder

from session_store.testing.interleavings.commands import Command, parse


class Wire(Recorder):
    """A recorder that refuses a write which is not whole commands in the one way to write them."""

    def _note(self, data: bytes) -> None:
        check(data)
        super()._note(data)


def check(data: bytes) -> None:
    """Nothing may be on the wire that is not a part of a command's arguments, or their lengths."""
    written = b"".join(map(encoded, parse(data)))
    if written != data:
        raise AssertionError(f"{data!r} is not {written!r}")


def encoded(command: Command) -> bytes:
    """A command as an array of bulk strings."""
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in command)
