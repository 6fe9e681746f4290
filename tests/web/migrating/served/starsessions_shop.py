"""A shop on Starlette whose sessions move from starsessions; STEP says how far it is: old, A, B, C."""

from __future__ import annotations

import os
from typing import Any

import redis.asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from session_store import AsyncSessionStore, JsonCodec
from session_store.web import AsyncSessions, CookiePolicy, SessionPolicy
from session_store.web.migrating import AsyncMigration, AsyncRedisBlobs, starsessions
from session_store.web.migrating.asgi import MigratingMiddleware

STEP = os.environ["STEP"]
client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])


async def page(request: Request) -> Any:
    return JSONResponse(dict(request.session))


async def mark(request: Request) -> Any:
    request.session[request.path_params["key"]] = 1
    return JSONResponse({"user": request.session.get("_user_id")})


async def login(request: Request) -> Any:
    request.session["_user_id"] = request.path_params["user"]
    return JSONResponse({})


async def logout(request: Request) -> Any:
    request.session.clear()
    return JSONResponse({})


def theirs(app: Any) -> Any:
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware
    from starsessions.stores.redis import RedisStore

    return SessionMiddleware(
        SessionAutoloadMiddleware(app), store=RedisStore(connection=client), lifetime=600, rolling=True
    )


def ours(app: Any) -> Any:
    migration = AsyncMigration(
        AsyncSessions(
            AsyncSessionStore(client, prefix="shop", default_ttl=600, codec=JsonCodec()),
            policy=SessionPolicy(idle=600, lifetime=6_000, owner_key="_user_id"),
        ),
        AsyncRedisBlobs(client, "starsessions.", starsessions),
        cookie=CookiePolicy(name="session"),
        share=0.0 if STEP == "A" else 1.0,
    )
    return MigratingMiddleware(app, migration, old=None if STEP == "C" else theirs)


POST = ["POST"]
application: Any = Starlette(
    routes=[
        Route("/", page),
        Route("/mark/{key}", mark, methods=POST),
        Route("/login/{user}", login, methods=POST),
        Route("/logout", logout, methods=POST),
    ]
)
application = theirs(application) if STEP == "old" else ours(application)


def migration() -> AsyncMigration:
    """For the script."""
    return ours(None)._migration  # type: ignore[no-any-return]
