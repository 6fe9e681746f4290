"""The shop on FastAPI: with ours, and with fastapi-redis-sdk, which is Redis' own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import redis.asyncio
import redis_fastapi
from fastapi import FastAPI, Request

from benchmarks.shops.face import PREFIX, TTL, AsgiShop, Slow, change
from benchmarks.shops.ours import acted, async_sessions
from session_store.web.fastapi import SessionDep, SessionMiddleware


class Ours(AsgiShop):
    """By `SessionDep`."""

    def __init__(self, port: int) -> None:
        client = redis.asyncio.Redis(port=port)
        self.clients = (client,)
        self.app = app = FastAPI()
        app.add_middleware(SessionMiddleware, sessions=async_sessions(client))

        @app.api_route("/{action}", methods=["GET", "POST"])
        @app.api_route("/{action}/{value}", methods=["GET", "POST"])
        async def act(request: Request, session: SessionDep, action: str, value: str = "") -> dict[str, Any]:
            await acted(session, action, value, request.url.query)
            return dict(session)


class Sdk(AsgiShop):
    """As its README has it: the key "user_id" tells it of logins, and emptying the session is the logout."""

    def __init__(self, port: int) -> None:
        settings = redis_fastapi.get_settings()
        settings.url, settings.prefix, settings.session_idle_ttl = f"redis://127.0.0.1:{port}/0", PREFIX, TTL
        self.app = self._fastapi = app = FastAPI()
        self._stack = AsyncExitStack()
        redis_fastapi.FastAPIRedis(app).lifespan().sessions()

        @app.api_route("/{action}", methods=["GET", "POST"])
        @app.api_route("/{action}/{value}", methods=["GET", "POST"])
        async def act(
            request: Request, session: redis_fastapi.SessionDep, action: str, value: str = ""
        ) -> dict[str, Any]:
            await Slow.here(request.url.query)
            if action == "login":
                session["user_id"] = value
            elif action == "logout":
                session.clear()
            else:
                change(session, action, value)
            return dict(session)

    async def open(self) -> None:
        """Its connections are made at the application's start."""
        await self._stack.enter_async_context(self._fastapi.router.lifespan_context(self._fastapi))

    async def close(self) -> None:
        """And closed at its end."""
        await self._stack.aclose()
