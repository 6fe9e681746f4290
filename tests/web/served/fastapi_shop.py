"""The shop of test_workers.py on FastAPI."""

from __future__ import annotations

import os
from typing import Any

import redis.asyncio
from fastapi import FastAPI

from session_store import AsyncSessionStore, JsonCodec
from session_store.web import AsyncSessions, SessionPolicy
from session_store.web.fastapi import SessionDep, SessionMiddleware

store = AsyncSessionStore(
    redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]), prefix="served", default_ttl=600, codec=JsonCodec()
)
application = FastAPI()
application.add_middleware(
    SessionMiddleware, sessions=AsyncSessions(store, policy=SessionPolicy(idle=600, lifetime=6_000))
)


def more(data: dict[str, Any]) -> None:
    data["count"] = data.get("count", 0) + 1


@application.get("/")
async def page(session: SessionDep) -> Any:
    return {**session, "owner": session.owner}


@application.post("/add")
async def add(session: SessionDep) -> Any:
    await session.transaction(more)
    return {"worker": os.getpid()}


@application.post("/mark/{key}")
async def mark(key: str, session: SessionDep) -> Any:
    session[key] = 1
    return {"worker": os.getpid()}


@application.post("/login")
async def login(session: SessionDep) -> Any:
    await session.login("ann")


@application.post("/logout")
async def logout(session: SessionDep) -> Any:
    await session.logout()
