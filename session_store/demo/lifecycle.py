"""The same session goes on: ids are drawn, everything is touched, and in the end purged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from session_store._sync.namespace import Namespace
from session_store._sync.store import SessionStore
from session_store.demo.keys import keys_of, keys_without_ttl
from session_store.demo.promise import Promise
from session_store.demo.writers import NAMESPACE, TTL, WRITES, write_together

TOUCH_TTL = 2 * TTL  # seconds
_COUNTER = "order-id"
_SLOTS = ("basket", "fields", _COUNTER, "step")  # what lives when the touch comes
_SLACK = 60  # seconds that a slow machine may take between a touch and the look at its result


class Session(NamedTuple):
    """What was counted."""

    ids: list[int]
    without_ttl: int  # keys
    touched: int
    renewed: int
    purged: int
    left: int  # keys

    def promises(self) -> list[Promise]:
        """What the library promises of it."""
        live = len(_SLOTS)
        return [
            Promise("every key has a TTL, counter and index included", self.without_ttl == 0),
            Promise("no id comes twice, not even after the counter's key was lost", self.ids_are_distinct),
            Promise("touch counts the live slots and renews all of them", self.touched == self.renewed == live),
            Promise("purge counts the live slots and leaves nothing", self.purged == live and self.left == 0),
        ]

    @property
    def ids_are_distinct(self) -> bool:
        """Whether every one that was asked for came, and came once."""
        return len(set(self.ids)) == len(self.ids)


def draw_ids(client: Any, ns: Namespace) -> list[int]:
    """Ids from a counter that all threads share, and whose key one of them deletes half-way behind the library's back."""
    ids: list[int] = []

    def write(article: str, number: int, meet: Callable[[], object]) -> None:
        meet()
        if article == "sticker" and number == WRITES // 2:
            client.delete(ns.key(_COUNTER))
        ids.append(ns.incr(_COUNTER))

    write_together(write)
    return ids


def live_and_die(client: Any, prefix: str) -> Session:
    """Draws ids, touches and purges, on the namespace that the writers have filled."""
    ns = SessionStore(client, prefix=prefix, default_ttl=TTL).namespace(NAMESPACE)
    ids = draw_ids(client, ns)
    ns.set("step", "address", ttl=TTL / 10)
    ns.set("form", "half-filled")
    client.delete(ns.key("form"))  # behind the library's back; a touch must not count it
    without_ttl = keys_without_ttl(client, prefix)
    touched = ns.touch(ttl=TOUCH_TTL)
    without_ttl += keys_without_ttl(client, prefix)
    renewed = sum(TOUCH_TTL - _SLACK < (ns.ttl(slot) or 0) <= TOUCH_TTL for slot in _SLOTS)
    return Session(ids, without_ttl, touched, renewed, ns.purge(), len(keys_of(client, prefix)))
