"""starsessions' sessions in an application that moves them: both libraries, a worker for each step."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from redis.exceptions import ConnectionError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from session_store import AsyncInMemoryClient, AsyncSessionStore, JsonCodec
from session_store.web import AsyncSessions, CookiePolicy, SessionPolicy
from session_store.web.migrating import AsyncMigration, AsyncRedisBlobs, starsessions
from session_store.web.migrating.asgi import MigratingMiddleware

pytest.importorskip("starsessions", reason="starsessions is not installed")
from starsessions import SessionAutoloadMiddleware, SessionMiddleware  # where it is
from starsessions.stores.redis import RedisStore


async def nothing() -> None:
    """What happens meanwhile, most of the time."""


class Workers:
    """An application for each step; `meanwhile` is what happens while a slow request is under way."""

    def __init__(self, client: Any, *, rolling: bool = True) -> None:
        self.client = client
        self.rolling = rolling
        self.meanwhile: Callable[[], Awaitable[object]] = nothing

    def theirs(self, app: Any) -> Any:
        store = RedisStore(connection=self.client)
        return SessionMiddleware(SessionAutoloadMiddleware(app), store=store, lifetime=300, rolling=self.rolling)

    def app(self, step: str, **settings: Any) -> Any:
        async def change(request: Request) -> Any:
            assert request.session is not None
            if request.query_params.get("slow"):
                assert "x" not in request.session
                await self.meanwhile()
            if request.query_params.get("clear"):
                request.session.clear()
            request.session.update(await request.json())
            return JSONResponse(dict(request.session))

        app = Starlette(routes=[Route("/", change, methods=["POST"])])
        if step == "old":
            return self.theirs(app)
        store = AsyncSessionStore(self.client, prefix="p", default_ttl=600, codec=JsonCodec())
        migration = AsyncMigration(
            AsyncSessions(store, policy=SessionPolicy(idle=600, lifetime=6_000, owner_key="user")),
            AsyncRedisBlobs(self.client, "starsessions.", starsessions, fixed=not self.rolling),
            cookie=CookiePolicy(name="session"),
            share=0.0 if step == "A" else 1.0,
        )
        return MigratingMiddleware(app, migration, old=None if step == "C" else self.theirs, **settings)

    async def send(self, step: str, cookies: dict[str, str], data: Any = None, query: str = "", **settings: Any) -> Any:
        """A request to a worker of that step; takes what it sets into the cookies."""
        transport = httpx.ASGITransport(self.app(step, **settings))
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        async with httpx.AsyncClient(transport=transport, base_url="https://shop.test") as browser:
            answer = await browser.post(f"/{query}", json=data or {}, headers={"Cookie": header})
        for each in answer.headers.get_list("Set-Cookie"):
            name, _, rest = each.partition("=")
            cookies[name] = rest.partition(";")[0].strip("'")
            if not cookies[name]:
                del cookies[name]
        return answer.json() if answer.status_code == 200 else answer.status_code


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with AsyncInMemoryClient() as client:
        yield Workers(client)


async def test_from_step_to_step(workers: Workers) -> None:
    """One browser: its session is there at each step, and the cookies change once."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"user": "ann"})
    await workers.send("A", cookies, {"a": 1})
    assert cookies.keys() == {"session"}
    await workers.send("B", cookies, {"b": 1})
    assert cookies.keys() == {"session", "__Host-session"}
    await workers.send("A", cookies, {"c": 1})
    assert cookies.keys() == {"__Host-session"}
    assert await workers.send("C", cookies) == {"user": "ann", "a": 1, "b": 1, "c": 1}


async def test_a_visitor_who_is_new(workers: Workers) -> None:
    for step, name in (("A", "session"), ("B", "__Host-session"), ("C", "__Host-session")):
        cookies: dict[str, str] = {}
        await workers.send(step, cookies, {"a": 1})
        assert cookies.keys() == {name}
        assert await workers.send(step, cookies) == {"a": 1}


async def test_a_slow_request_of_the_old_library(workers: Workers) -> None:
    """Which has loaded before the move, and saves after it: nothing of either is lost, and both have one session."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})
    other = dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other, {"fast": 1})
    await workers.send("A", cookies, {"slow": 1}, "?slow=1")
    assert cookies["__Host-session"] == other["__Host-session"]
    assert await workers.send("C", cookies) == {"a": 1, "fast": 1, "slow": 1}
    assert not await workers.client.keys("starsessions.*")


async def test_a_slow_logout_of_the_old_library(workers: Workers) -> None:
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"user": "ann"})
    other, thief = dict(cookies), dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other)
    await workers.send("A", cookies, {}, "?slow=1&clear=1")
    for each in (other, thief):
        assert await workers.send("C", each) == {}


async def test_who_was_logged_out_meanwhile_is_told(workers: Workers) -> None:
    """A slow request of the old library, and a login in ours: what it has written is refused, not lost without a word."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})
    other = dict(cookies)
    workers.meanwhile = lambda: workers.send("B", other, {"user": "ann"})
    assert await workers.send("A", cookies, {"slow": 1}, "?slow=1") == 409
    assert await workers.send("C", other) == {"a": 1, "user": "ann"}


async def test_what_does_not_roll_does_not_begin_to(workers: Workers) -> None:
    """The end of the session was fixed when it began, and stays."""
    workers.rolling = False
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})
    assert await workers.send("B", cookies) == {"a": 1}
    workers.client.advance(301)
    assert await workers.send("B", cookies) == {}


async def test_paths_that_are_skipped(workers: Workers) -> None:
    """They have no session, and the old library's cookie is not looked at."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})
    with pytest.raises(AssertionError):
        await workers.send("B", cookies, skip=("/",))
    assert await workers.client.keys("p:*") == []


async def test_a_server_that_is_away(workers: Workers) -> None:
    server = workers.client.connection_pool.connection_kwargs["server"]
    server.connected = False
    try:
        assert await workers.send("B", {"session": "a" * 32}) == 503
        assert await workers.send("B", {"session": "a" * 32}, {"a": 1}, on_unavailable="empty") == {"a": 1}
    finally:
        server.connected = True


async def test_a_session_that_cannot_be_moved(workers: Workers) -> None:
    """The old library goes on with it; when that is not there any more, the visitor begins anew."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"text": "x" * 70_000})
    assert (await workers.send("B", cookies, {"b": 1})).keys() == {"text", "b"}
    assert await workers.send("C", cookies) == {}
    await workers.client.set(f"starsessions.{cookies['session']}", b"broken")
    with pytest.raises(json.JSONDecodeError):  # the old library's own
        await workers.send("B", cookies)


async def test_the_server_goes_away_before_the_browser_is_told(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved is saved; the next request has the session by the old cookie, and tells."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})

    async def away(*_: Any) -> Any:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(AsyncMigration, "headers", away)
        assert await workers.send("B", cookies, {"b": 1}) == {"a": 1, "b": 1}
    assert cookies.keys() == {"session"}
    assert await workers.send("B", cookies) == {"a": 1, "b": 1}
    assert "__Host-session" in cookies


async def test_a_websocket_while_the_server_is_away(workers: Workers) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    server = workers.client.connection_pool.connection_kwargs["server"]
    server.connected = False
    try:
        scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", b"session=" + b"a" * 32)]}
        await workers.app("B")(scope, nothing, send)
    finally:
        server.connected = True
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": ""}]


async def test_websockets(workers: Workers) -> None:
    """The token is told when the socket is accepted."""
    cookies: dict[str, str] = {}
    await workers.send("old", cookies, {"a": 1})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert dict(scope["session"]) == {"a": 1}
        await send({"type": "websocket.accept"})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    def middleware(share: float) -> MigratingMiddleware:
        store = AsyncSessionStore(workers.client, prefix="p", default_ttl=600, codec=JsonCodec())
        migration = AsyncMigration(
            AsyncSessions(store, policy=SessionPolicy(idle=600, lifetime=6_000)),
            AsyncRedisBlobs(workers.client, "starsessions.", starsessions),
            cookie=CookiePolicy(name="session"),
            share=share,
        )
        return MigratingMiddleware(app, migration, old=workers.theirs)

    header = [(b"cookie", f"session={cookies['session']}".encode()), (b"host", b"shop.test")]
    scope = {"type": "websocket", "path": "/", "headers": header}
    for share in (0.0, 1.0):
        await middleware(share)(dict(scope), nothing, send)
    (theirs, ours) = sent
    assert "headers" not in theirs
    assert dict(ours["headers"])[b"set-cookie"].startswith(b"__Host-session=")


def test_its_format() -> None:
    """Without what is the library's own."""
    blob = {"a": 1, "__metadata__": {"lifetime": 1, "created": time.time(), "last_access": 0}}
    assert starsessions(json.dumps(blob).encode()) == {"a": 1}
    with pytest.raises(ValueError, match="not a JSON object"):
        starsessions(b"[]")


async def test_what_is_no_request_passes_through(workers: Workers) -> None:
    """The beginning and the end of the application, say."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    migration = workers.app("B")._migration
    await MigratingMiddleware(app, migration)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
