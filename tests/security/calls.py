"""Calls of every method, right and wrong, with a secret wherever one can be given.

The slots: SLOT is a string, HASH a hash, ID a counter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from security.marks import FIELD, NUMBER, SLOT, VALUE, Holder

HASH, ID, SUM = f"{SLOT}:h", f"{SLOT}:id", f"{FIELD}:sum"


class Call(NamedTuple):
    """A method, and what it is given."""

    method: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it

    def on(self, thing: Any) -> Any:
        return getattr(thing, self.method)(*self.args, **self.options)


OPS = [
    Call("set", (SLOT, VALUE)),
    Call("set", (SLOT, VALUE), {"ttl": 60}),
    Call("hset", (HASH, FIELD, VALUE)),
    Call("hset", (HASH,), {"mapping": {FIELD: VALUE, f"{FIELD}:2": VALUE}}),
    Call("hdel", (HASH, f"{FIELD}:2")),
    Call("delete", (f"{SLOT}:other",)),
]


def record_all(ops: Any) -> None:
    for call in OPS:
        call.on(ops)


SNAP = [
    Call("get", (SLOT,)),
    Call("exists", (SLOT,)),
    Call("hget", (HASH, FIELD)),
    Call("hmget", (HASH, [FIELD, f"{FIELD}:no"])),
    Call("hgetall", (HASH,)),
    Call("hkeys", (HASH,)),
    Call("hlen", (HASH,)),
    Call("hexists", (HASH, FIELD)),
    Call("kind", (SLOT,)),
]
NAMESPACE = [
    *OPS,
    *SNAP,
    Call("set", (SLOT, VALUE), {"nx": True}),
    Call("ttl", (SLOT,)),
    Call("hincrby", (HASH, SUM, NUMBER)),
    Call("incr", (ID, NUMBER)),
    Call("key", (SLOT,)),
    Call("slots"),
    Call("load"),
    Call("load", (SLOT, HASH)),
    Call("touch", (), {"ttl": 500}),
    Call("touch", (SLOT, HASH), {"ttl": 500}),
    Call("set", (SLOT, VALUE), {"keepttl": True}),
    Call("incr", (ID,), {"ttl": 60, "keepttl": True}),
    Call("batch", (record_all,)),
    Call("purge", (), {"scan": True}),
    Call("purge"),
    Call("create", (), {"lifetime": 600}),
]


def names(mark: str) -> list[Any]:
    """What no namespace and no slot can be."""
    return [
        *(f"{mark} ", f"{mark}\r\n", f"{mark}{{", f"{mark}\ud800", mark * 70, f"~{mark} {mark}"),
        *(mark.encode(), [mark], {mark: mark}, Holder(mark)),
    ]


def wrong_slots() -> Iterator[Call]:
    for slot in (*names(SLOT), f"~{SLOT}"):
        for method in ("get", "exists", "ttl", "hgetall", "hkeys", "hlen", "kind", "delete", "incr", "key", "touch"):
            yield Call(method, (slot,))
        for method in ("hget", "hdel", "hexists", "hincrby"):
            yield Call(method, (slot, FIELD))
        yield Call("hmget", (slot, [FIELD]))
        yield Call("set", (slot, VALUE))
        yield Call("hset", (slot, FIELD, VALUE))


def wrong_fields() -> Iterator[Call]:
    for field in (f"{FIELD}\ud800", FIELD.encode(), [FIELD], Holder(FIELD), NUMBER):
        yield Call("hmget", (HASH, [FIELD, field]))
        yield Call("hset", (HASH, field, VALUE))
        for method in ("hget", "hdel", "hexists", "hincrby"):
            yield Call(method, (HASH, field))
    yield Call("hmget", (HASH, FIELD))
    yield Call("hmget", (HASH, FIELD.encode()))


def wrong_values() -> Iterator[Call]:
    for value in (VALUE.encode(), [VALUE], {VALUE: VALUE}, f"{VALUE}\ud800", NUMBER, NUMBER + 0.5, Holder(VALUE), None):
        yield Call("set", (SLOT, value))
        yield Call("hset", (HASH, FIELD, value))
        yield Call("hset", (HASH,), {"mapping": {FIELD: VALUE, f"{FIELD}:2": value}})


def wrong_numbers() -> Iterator[Call]:
    nothing = [VALUE, VALUE.encode(), [NUMBER], Holder(VALUE), True]
    for ttl in (*nothing, -1, 10**13, 10**5_000, -0.5, math.nan):  # a number is shown: no session holds a TTL
        yield Call("set", (SLOT, VALUE), {"ttl": ttl})
        yield Call("hset", (HASH, FIELD, VALUE), {"ttl": ttl})
        yield Call("touch", (), {"ttl": ttl})
        yield Call("touch", (SLOT,), {"ttl": ttl})
        yield Call("incr", (ID,), {"ttl": ttl})
        yield Call("hincrby", (HASH, SUM), {"ttl": ttl})
        yield Call("hdel", (HASH, FIELD), {"ttl": ttl})
        yield Call("purge", (), {"fence": ttl})
        yield Call("create", (), {"lifetime": ttl})
    for amount in (*nothing, NUMBER + 0.5, NUMBER * 10**12, -NUMBER * 10**12, NUMBER * 10**5_000):
        yield Call("incr", (ID, amount))
        yield Call("hincrby", (HASH, SUM, amount))
    yield Call("incr", (ID, -NUMBER))


def wrong_combinations() -> Iterator[Call]:
    yield Call("set", (SLOT, VALUE), {"nx": True, "xx": True})
    yield Call("hset", (HASH, FIELD))
    yield Call("hset", (HASH, FIELD, VALUE), {"mapping": {FIELD: VALUE}})
    yield Call("hset", (HASH,), {"mapping": {}})
    yield Call("hdel", (HASH,))
    yield Call("touch", (SLOT,), {"scan": True})


def wrong_types() -> Iterator[Call]:
    """Where a slot, or a field, holds something else."""
    for call in (*OPS, *SNAP):
        if call.method.startswith("h"):
            yield call._replace(args=(SLOT, *call.args[1:]))
        elif call.method not in ("delete", "exists", "kind"):
            yield call._replace(args=(HASH, *call.args[1:]))
    yield Call("incr", (SLOT,))
    yield Call("incr", (HASH,))
    yield Call("hincrby", (SLOT, FIELD))
    yield Call("hincrby", (HASH, FIELD))  # a text
    yield Call("hincrby", (HASH, SUM, 2**63 - 1))  # too large a sum
    yield Call("incr", (ID, 2**63 - 1))


def wrong() -> Iterator[Call]:
    """All that are refused, whatever a namespace holds or as it is filled by `NAMESPACE`."""
    for each in (wrong_slots, wrong_fields, wrong_values, wrong_numbers, wrong_combinations, wrong_types):
        yield from each()
