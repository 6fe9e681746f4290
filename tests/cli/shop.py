"""What the page on the command line shows: a server with a handful of namespaces, of every layer."""

from __future__ import annotations

import time
from typing import Any

from session_store import JsonCodec, SessionStore
from session_store.channels import Channels
from session_store.conversations import NewMessage, RedisConversations
from session_store.snapshots import Snapshots
from session_store.web import SessionPolicy, Sessions

DAY = 86_400


def open_shop(client: Any) -> SessionStore[Any]:
    """Ann is logged in, chats, and has an agent; somebody else fills a basket, and somebody's payment is called back."""
    store: SessionStore[Any] = SessionStore(client, prefix="shop", default_ttl=14 * DAY, codec=JsonCodec())
    session = Sessions(store, policy=SessionPolicy(idle=14 * DAY, lifetime=90 * DAY)).new()
    session["theme"] = "dark"
    session.save()
    session.login("ann")
    chats = RedisConversations(store, idle_ttl=30 * DAY)
    chats.create("chat-1", user="ann")
    chats.conversation("chat-1").append_many(
        [NewMessage("user", "Which tea is mild?", tokens=5), NewMessage("assistant", "White tea.", tokens=3)]
    )
    with Channels(store).channel("chat-1", "answer-1").produce() as answer:
        answer.publish("White ", kind="token")
        answer.publish("tea.", kind="token")
        answer.end()
    Snapshots(store, ttl=7 * DAY).save("agent-1", {"step": "search", "found": ["white", "green"]}, tick=3, owner="ann")
    visitor = store.namespace("visitor-7")
    visitor.hset("basket", mapping={"tea": 2, "cup": 1})
    visitor.set("step", "address")
    store.namespace("call-9").set("payment", "pending", ttl=600)
    return store


def grow_old(client: Any, pattern: str, seconds: int) -> None:
    """As if the last calls that wrote had been made so much earlier: the records that the indexes have of them."""
    for index in client.scan_iter(match=pattern):
        for field, value in client.hgetall(index).items():
            if field.startswith(b"~") and field not in (b"~until", b"~fence"):
                client.hset(index, field, b"%08x" % (int(value[:8], 16) - seconds) + value[8:])


def go_on_shopping(store: SessionStore[Any]) -> None:
    """What `follow` is shown with."""
    visitor = store.namespace("visitor-7")
    for act in (
        lambda: visitor.hset("basket", "milk", 1),
        lambda: visitor.set("order", 1234, ttl=2),
        lambda: visitor.purge(fence=60),
    ):
        time.sleep(0.7)
        act()
