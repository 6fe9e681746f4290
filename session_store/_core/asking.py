"""How commands are sent to a node that is importing their hash slot."""

from __future__ import annotations

ASKING = ("ASKING",)


def with_asking(commands: tuple[tuple[object, ...], ...]) -> list[tuple[object, ...]]:
    """The commands, announced: ASKING holds for the next command and, when that is MULTI, until its EXEC or DISCARD."""
    sent: list[tuple[object, ...]] = []
    queued = False
    for command in commands:
        if not queued:
            sent.append(ASKING)
        sent.append(command)
        queued = (queued or command[0] == "MULTI") and command[0] not in ("EXEC", "DISCARD")
    return sent
