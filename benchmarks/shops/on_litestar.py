"""The shop on Litestar: with ours, and with its own sessions on the server."""

from __future__ import annotations

from typing import Any

import litestar
import redis.asyncio
from litestar.enums import HttpMethod
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.stores.redis import RedisStore

from benchmarks.shops.face import PREFIX, TTL, AsgiShop, Slow, change
from benchmarks.shops.ours import acted, async_sessions
from session_store.web.asgi import SessionMiddleware

route = litestar.route(["/{action:str}", "/{action:str}/{value:str}"], http_method=[HttpMethod.GET, HttpMethod.POST])


class Ours(AsgiShop):
    """Our ASGI middleware around the application."""

    def __init__(self, port: int) -> None:
        client = redis.asyncio.Redis(port=port)
        self.clients = (client,)

        async def act(request: litestar.Request[Any, Any, Any], action: str, value: str = "") -> dict[str, Any]:
            await acted(request.session, action, value, request.url.query)
            return dict(request.session)

        self.app = SessionMiddleware(litestar.Litestar([route(act)], openapi_config=None), async_sessions(client))


class Own(AsgiShop):
    """It has nothing that makes an id anew, so a login keeps it."""

    note = "no new id at a login: it has none"

    def __init__(self, port: int) -> None:
        client = redis.asyncio.Redis(port=port)
        self.clients = (client,)

        async def act(request: litestar.Request[Any, Any, Any], action: str, value: str = "") -> dict[str, Any]:
            session = request.session
            await Slow.here(request.url.query)
            if action == "login":
                session["user_id"] = value
            elif action == "logout":
                request.clear_session()
                return {}
            else:
                change(session, action, value)
            return dict(session)

        self.app = litestar.Litestar(
            [route(act)],
            openapi_config=None,
            middleware=[ServerSideSessionConfig(max_age=TTL).middleware],
            stores={"sessions": RedisStore(client, namespace=PREFIX)},
        )
