"""What the shops with our sessions have in common: how sessions are made, and how a handler does what is asked."""

from __future__ import annotations

from functools import partial
from typing import Any

import redis
import redis.asyncio

from benchmarks.shops.face import PREFIX, TTL, Slow, change
from session_store import AsyncSessionStore, JsonCodec, SessionStore
from session_store.web import AsyncSessions, SessionPolicy, Sessions

POLICY = SessionPolicy(idle=TTL, lifetime=10 * TTL)
READ_TO_BE_WRITTEN = ("count", "append")  # what the documentation wants a transaction for


def async_sessions(client: redis.asyncio.Redis) -> AsyncSessions:
    """With the settings of the documentation."""
    return AsyncSessions(AsyncSessionStore(client, prefix=PREFIX, default_ttl=TTL, codec=JsonCodec()), policy=POLICY)


def sync_sessions(client: redis.Redis) -> Sessions:
    """The same, sync."""
    return Sessions(SessionStore(client, prefix=PREFIX, default_ttl=TTL, codec=JsonCodec()), policy=POLICY)


async def acted(session: Any, action: str, value: str, query: str, *, plain: bool = False) -> None:
    """Does an action of `benchmarks.shops.face`."""
    await Slow.here(query)
    if action == "login":
        await session.login(value)
        session["user_id"] = value
    elif action == "logout":
        await session.logout()
    elif action in READ_TO_BE_WRITTEN and not plain:
        await session.transaction(partial(change, action=action, value=value))
    else:
        change(session, action, value)


def acted_sync(session: Any, action: str, value: str, query: str) -> None:
    """The same, sync."""
    Slow.here_sync(query)
    if action == "login":
        session.login(value)
        session["user_id"] = value
    elif action == "logout":
        session.logout()
    elif action in READ_TO_BE_WRITTEN:
        session.transaction(partial(change, action=action, value=value))
    else:
        change(session, action, value)
