"""What the checks of `doctor` are made of: servers that tell of themselves, and findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from redis.exceptions import ResponseError

_SETTINGS = ("maxclients", "maxmemory-policy", "timeout")

Status = Literal["ok", "note", "warn", "fail"]


class Finding(NamedTuple):
    """What one check has found. `advice`: what to do."""

    check: str
    status: Status
    text: str
    advice: str = ""


class Node(NamedTuple):
    """A server, and what it tells of itself; "" for what may not be asked."""

    name: str
    client: Any
    info: dict[str, Any]
    config: dict[str, str]


def asked(client: Any) -> Node:
    """What a server tells of itself. INFO, and CONFIG GET for each setting."""
    pool = client.connection_pool.connection_kwargs
    name = str(pool.get("path") or f"{pool.get('host', 'localhost')}:{pool.get('port', 6379)}")
    info: dict[str, Any] = {}
    config: dict[str, str] = {}
    try:
        info = client.info()
    except ResponseError:
        pass  # the rights tell
    try:
        for wanted in _SETTINGS:  # and no others: some are passwords
            config |= {text_of(key): text_of(value) for key, value in client.config_get(wanted).items()}
    except ResponseError:
        pass
    return Node(name, client, info, config)


def text_of(value: Any) -> str:
    """A reply as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def said_by(nodes: list[Node], tell: Callable[[Node], Any]) -> str:
    """What servers say: once, where all say the same."""
    said = {node.name: tell(node) for node in nodes}
    if len(set(said.values())) == 1:
        return str(next(iter(said.values())))
    return ", ".join(f"{name}: {what}" for name, what in said.items())
