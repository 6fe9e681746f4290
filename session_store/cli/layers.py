"""What the layers keep of a slot that may be told without being asked for: numbers and times, and nothing that users wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from session_store.cli.looks import SlotLook
from session_store.cli.place import Place
from session_store.cli.words import counted, duration, number, shown, size

# The fields that are read, as the scripts' headers have them. That of an owner is only asked for whether it is there.
_FIELDS = {
    "web": ("~created", "~auth", "~renewed", "~deadline", "~grace"),
    "conversation": ("n", "tok", "seq", "ca", "la", "xa"),
    "snapshot": ("rev", "tick", "sv", "ts", "tl"),
    "channel": ("e", "n", "f", "x", "pu", "cu"),
}
_HELD = {"web": "~owner", "conversation": "u", "snapshot": "o"}  # whose it is
# What is no value that somebody stored, and helps nobody who may see it: digests of tokens, and who holds a lease.
HIDDEN = {"web": ("~secret", "~old"), "channel": ("p", "c")}

Told = dict[str, Any]


def told(place: Place, slots: list[SlotLook]) -> dict[str, Told]:
    """What is told of those that are a layer's, by slot. 1 round trip."""
    ours = [slot for slot in slots if slot.kind in _FIELDS]
    commands: list[tuple[Any, ...]] = []
    for slot in ours:
        commands += [("HMGET", slot.key, *_FIELDS[slot.kind])]
        commands += [("HEXISTS", slot.key, _HELD.get(slot.kind, "x")), ("HSTRLEN", slot.key, "b")]
    replies = iter(place.pipelined(commands))
    found: dict[str, Told] = {}
    for slot in ours:
        values, has_owner, body = next(replies), next(replies), next(replies)
        if isinstance(values, list):
            fields = dict(zip(_FIELDS[slot.kind], values, strict=True))
            found[slot.name] = _TELLERS[slot.kind](fields, has_owner == 1, body, place.now())
    return found


def _time(fields: dict[str, Any], name: str) -> float | None:
    ms = number(fields[name])
    return None if ms is None else ms / 1000


def _web(fields: dict[str, Any], has_owner: bool, body: Any, now: float) -> Told:  # noqa: FBT001  # one of a table
    return {
        "created": _time(fields, "~created"),
        "logged_in": _time(fields, "~auth"),
        "last_seen": _time(fields, "~renewed"),
        "deadline": _time(fields, "~deadline"),
        "has_owner": has_owner,
        "old_token_counts": (_time(fields, "~grace") or 0) > now,
    }


def _conversation(fields: dict[str, Any], has_owner: bool, body: Any, now: float) -> Told:  # noqa: FBT001
    return {
        "messages": number(fields["n"]),
        "tokens": number(fields["tok"]),
        "last_seq": number(fields["seq"]),
        "created": _time(fields, "ca"),
        "last_activity": _time(fields, "la"),
        "deadline": _time(fields, "xa"),
        "has_owner": has_owner,
    }


def _snapshot(fields: dict[str, Any], has_owner: bool, body: Any, now: float) -> Told:  # noqa: FBT001
    return {
        "revision": number(fields["rev"]),
        "tick": number(fields["tick"]),
        "version": number(fields["sv"]),
        "saved": _time(fields, "ts"),
        "body_bytes": body if isinstance(body, int) else None,
        "has_owner": has_owner,
    }


def _channel(fields: dict[str, Any], has_owner: bool, body: Any, now: float) -> Told:  # noqa: FBT001
    last, first = number(fields["n"]) or 0, number(fields["f"]) or 1
    leased = _time(fields, "pu")
    status = "ended" if fields["x"] else "open" if leased is None else "produced" if leased > now else "lost"
    return {
        "status": status,
        "last_id": f"{shown(fields['e'])}.{last}" if fields["e"] else None,
        "events": max(0, last - first + 1),
        "dropped": first - 1,
        "attached": (_time(fields, "cu") or 0) > now,
    }


_TELLERS: dict[str, Callable[[dict[str, Any], bool, Any, float], Told]] = {
    "web": _web,
    "conversation": _conversation,
    "snapshot": _snapshot,
    "channel": _channel,
}


def sentence(kind: str, facts: Told, now: float) -> str:
    """The same for people."""

    def ago(name: str) -> str:
        return "-" if facts.get(name) is None else f"{duration(max(0.0, now - facts[name]))} ago"

    if kind == "web":
        who = f"logged in {ago('logged_in')}" if facts["has_owner"] else "nobody is logged in"
        grace = ", an old token still counts" if facts["old_token_counts"] else ""
        return f"begun {ago('created')}, {who}, seen {ago('last_seen')}{grace}"
    if kind == "conversation":
        messages = counted(facts["messages"] or 0, "message")
        tokens = counted(facts["tokens"] or 0, "token")
        return f"{messages}, {tokens}, begun {ago('created')}, changed {ago('last_activity')}"
    if kind == "snapshot":
        turn = "" if facts["tick"] is None else f", turn {facts['tick']:,}"
        return f"{size(facts['body_bytes'])}, version {facts['version']}{turn}, saved {ago('saved')}"
    dropped = f", {facts['dropped']:,} dropped" if facts["dropped"] else ""
    attached = ", somebody is attached" if facts["attached"] else ""
    return f"{facts['status']}, {counted(facts['events'], 'event')}{dropped}, last id {facts['last_id']}{attached}"
