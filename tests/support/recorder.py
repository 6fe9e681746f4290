"""Records what is written to connections: the commands, write by write."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import redis.asyncio.connection
import redis.connection

from session_store.testing.interleavings.commands import Command, parse

_HANDSHAKE = frozenset({"HELLO", "AUTH", "SELECT", "CLIENT"})


class Recorder:
    """`writes` holds, for every write since the last `clear`, the commands in it; handshakes are left out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[list[Command]] = []
        for module in (redis.connection, redis.asyncio.connection):
            self._watch(monkeypatch, module.AbstractConnection)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, connection_class: type) -> None:
        original: Any = connection_class.send_packed_command

        def send_packed_command(connection: Any, command: Any, *args: Any, **kwargs: Any) -> Any:
            self._note(command if isinstance(command, bytes) else b"".join(command))
            return original(connection, command, *args, **kwargs)

        assert inspect.isfunction(original)
        monkeypatch.setattr(connection_class, "send_packed_command", send_packed_command)

    def _note(self, data: bytes) -> None:
        commands = [parts for parts in parse(data) if parts[0].decode() not in _HANDSHAKE]
        if commands:
            self.commands.append(commands)

    @property
    def writes(self) -> list[tuple[str, ...]]:
        """The names of the commands, write by write: as many round trips as there are writes."""
        return [tuple(parts[0].decode() for parts in commands) for commands in self.commands]

    def clear(self) -> None:
        self.commands.clear()
