"""What is to happen to commands, replies and connections: by script, or at random from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

CONNECT = "CONNECT"  # stands for a command where a connection is made
KINDS = {
    "refuse": "a connection was refused",
    "drop": "cut before the server had the command",
    "lose": "cut after the server executed the command, before its reply",
    "late": "cut, and the server had the command later",
    "delay": "the command came late, sometimes after the client gave up",
    "delay reply": "the reply came late, sometimes after the client gave up",
    "truncate": "cut in the middle of the command",
    "truncate reply": "cut in the middle of the reply",
    "split": "the command came in pieces",
    "split reply": "the reply came in pieces",
}
PIECES = 4  # of what is split
_HANDSHAKE = frozenset({"HELLO", "AUTH", "CLIENT", "SELECT"})


class Fault(NamedTuple):
    """What happens to one command, its reply, or a connection that is made."""

    kind: str  # one of KINDS
    at: int = 0  # how many bytes come through of what is truncated; taken modulo its length
    seconds: float = 0.0  # how long it is delayed, or between two pieces


Plan = Callable[[str], "Fault | None"]  # what is to happen to a command of this name, or to a CONNECT


def script(*steps: tuple[str, Fault]) -> Plan:
    """Each fault once, at the next command of its name, in their order."""
    waiting = list(steps)

    def plan(name: str) -> Fault | None:
        for step in waiting:
            if step[0] == name:
                waiting.remove(step)
                return step[1]
        return None

    return plan


def dice(
    rates: Mapping[str, float], seed: object, *, short: float = 0.01, long: float = 0.3, is_long: float = 0.1
) -> Plan:
    """Faults at random: `rates` says how likely each kind is, at a command or, for "refuse", at a connection.

    Delays last up to `short` seconds or, as often as `is_long` says, for `long`; that is for longer than the client
    waits. Commands that belong to no call but to a connection's beginning have a fifth of the faults.
    """
    chance = random.Random(f"{seed}")
    kinds = [kind for kind in rates if kind != "refuse"]
    weights = [rates[kind] for kind in kinds]

    def plan(name: str) -> Fault | None:
        likely = rates.get("refuse", 0) if name == CONNECT else sum(weights) / (5 if name in _HANDSHAKE else 1)
        if chance.random() >= likely:
            return None
        kind = "refuse" if name == CONNECT else chance.choices(kinds, weights)[0]
        seconds = long if chance.random() < is_long else short * chance.random()
        if kind.startswith("split"):
            seconds = short * chance.random() / PIECES
        return Fault(kind, chance.randrange(512), seconds)

    return plan
