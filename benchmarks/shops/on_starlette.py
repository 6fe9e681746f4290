"""The shop on Starlette: with ours, and with starsessions."""

from __future__ import annotations

from typing import Any

import redis.asyncio
import starsessions
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starsessions.stores.redis import RedisStore

from benchmarks.shops.face import PREFIX, TTL, AsgiShop, Slow, change
from benchmarks.shops.ours import acted, async_sessions
from session_store.web.asgi import SessionMiddleware


class Ours(AsgiShop):
    """Our ASGI middleware."""

    plain = False

    def __init__(self, port: int) -> None:
        client = redis.asyncio.Redis(port=port)
        self.clients = (client,)

        async def act(request: Request) -> JSONResponse:
            parameters = request.path_params
            action, value = parameters["action"], parameters.get("value", "")
            await acted(request.session, action, value, request.url.query, plain=self.plain)
            return JSONResponse(dict(request.session))

        self.app = Starlette(
            routes=_routes(act), middleware=[Middleware(SessionMiddleware, sessions=async_sessions(client))]
        )


class Plain(Ours):
    """Without transactions."""

    plain = True


class Starsessions(AsgiShop):
    """As its documentation has it: loaded by the autoload middleware, the id made anew at a login."""

    note = "rolling=True"

    def __init__(self, port: int) -> None:
        client = redis.asyncio.Redis(port=port)
        self.clients = (client,)

        async def act(request: Request) -> JSONResponse:
            session, parameters = request.session, request.path_params
            await Slow.here(request.url.query)
            if parameters["action"] == "login":
                starsessions.regenerate_session_id(request)
                session["user_id"] = parameters["value"]
            elif parameters["action"] == "logout":
                session.clear()
            else:
                change(session, parameters["action"], parameters.get("value", ""))
            return JSONResponse(dict(session))

        store = RedisStore(connection=client, prefix=f"{PREFIX}:")
        self.app = Starlette(
            routes=_routes(act),
            middleware=[
                Middleware(starsessions.SessionMiddleware, store=store, rolling=True, lifetime=TTL),
                Middleware(starsessions.SessionAutoloadMiddleware),
            ],
        )


def _routes(act: Any) -> list[Route]:
    return [Route(path, act, methods=["GET", "POST"]) for path in ("/{action}", "/{action}/{value}")]
