"""Clients that send other commands than they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis
import redis.asyncio
from hiredis import pack_command

from session_store.testing.interleavings.commands import parse

Command = list[bytes]


def rewritten(rule: Callable[[Command], Command], command: Any) -> list[bytes]:
    data = command if isinstance(command, bytes) else b"".join(command)
    return [b"".join(pack_command(tuple(rule(each))) for each in map(list, parse(data)))]


def rewriting(rule: Callable[[Command], Command]) -> dict[str, Any]:
    """The options of a client that sends other commands than it is given."""

    class Rewriting(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            super().send_packed_command(rewritten(rule, command), check_health=check_health)

    return {"connection_class": Rewriting}


def async_rewriting(rule: Callable[[Command], Command]) -> dict[str, Any]:
    """The same for an async client."""

    class Rewriting(redis.asyncio.Connection):
        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            await super().send_packed_command(rewritten(rule, command), check_health=check_health)

    return {"connection_class": Rewriting, "client_class": redis.asyncio.Redis}


def without_expiry(command: Command) -> Command:
    if command[0] == b"PEXPIRE":
        return [b"EXISTS", command[1]]
    return command[:3] if command[0] == b"SET" else command


def in_tens_of_seconds(command: Command) -> Command:
    if command[0] == b"PEXPIRE" or (command[0] == b"SET" and b"PX" in command):
        return [*command[:-1], b"%d" % (-(-int(command[-1]) // 10_000) * 10_000)]
    return command


def unescaped_scan(command: Command) -> Command:
    return [part.replace(b"\\", b"") for part in command] if command[0] == b"SCAN" else command


def cut_short(command: Command) -> Command:
    return [part[:500_000] for part in command]


def as_text(command: Command) -> Command:
    return [part.decode(errors="replace").encode() for part in command]


def under_another_digest(command: Command) -> Command:
    if command[0] == b"EVAL":
        command = [command[0], b"%b --%b" % (command[1], uuid4().hex.encode()), *command[2:]]
    return command


def with_other_scripts(old: bytes, new: bytes) -> Callable[[Command], Command]:
    """Every script is run by its source, in which something is replaced."""

    def rewrite(command: Command) -> Command:
        if command[0] == b"EVALSHA":
            return [command[0], b"0" * 40, *command[2:]]
        return [command[0], command[1].replace(old, new), *command[2:]] if command[0] == b"EVAL" else command

    return rewrite


def never_removed(command: Command) -> Command:
    return [b"GETNOTHING"] if command[0] == b"DEL" else command


def index_goes_with_a_key(command: Command) -> Command:
    if command[0] != b"DEL":
        return command
    index = command[1].rpartition(b":")[0] + b":~index"
    return [*command, index]
