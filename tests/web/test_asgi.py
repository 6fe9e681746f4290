"""FastAPI, Starlette and bare ASGI over the middleware. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import RedirectResponse, StreamingResponse
from redis.exceptions import ConnectionError
from starlette.requests import Request

from session_store import AsyncInMemoryClient, AsyncSessionStore, JsonCodec
from session_store.web import AsyncSessions, SessionConflictError, SessionPolicy, SessionSentError
from session_store.web.asgi import SessionMiddleware
from session_store.web.fastapi import OwnerDep, SessionDep, fresh

SITE = "https://shop.test"


@pytest.fixture
async def client() -> Any:
    async with AsyncInMemoryClient() as client:
        yield client


@pytest.fixture
def sessions(client: Any) -> AsyncSessions:
    store = AsyncSessionStore(client, prefix="shop", default_ttl=600, codec=JsonCodec())
    return AsyncSessions(store, policy=SessionPolicy(idle=600, lifetime=6_000))


def shop(sessions: AsyncSessions, **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=sessions, skip=("/static/", "/health"), **options)

    @app.get("/")
    async def page(request: Request) -> Any:
        return dict(request.session)

    @app.get("/plain")
    async def plain() -> str:
        return "no session is asked for"

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.post("/sync")
    def in_a_thread(request: Request) -> None:
        request.session["sync"] = True

    @app.post("/basket/{article}")
    async def add(article: str, session: SessionDep) -> Any:
        def more(data: dict[str, Any]) -> dict[str, int]:
            basket = data.setdefault("basket", {})
            basket[article] = basket.get(article, 0) + 1
            return basket

        return await session.transaction(more)

    @app.post("/set")
    async def put(session: SessionDep, request: Request) -> None:
        session.update(await request.json())

    @app.post("/redirect")
    async def redirect(session: SessionDep) -> Any:
        session["state"] = "of OAuth"
        return RedirectResponse("/", 303)

    @app.post("/status/{status}")
    async def answer(status: int, session: SessionDep) -> None:
        session["status"] = status
        raise HTTPException(status)

    @app.post("/crash")
    async def crash(session: SessionDep) -> None:
        session["status"] = "crashed"
        raise LookupError

    @app.post("/login/{owner}")
    async def login(owner: str, session: SessionDep) -> None:
        await session.login(owner, label="a device")
        session["theme"] = "dark"

    @app.post("/logout")
    async def logout(session: SessionDep) -> None:
        await session.logout()

    @app.get("/devices")
    async def devices(owner: OwnerDep) -> Any:
        return [info.label for info in await sessions.of(owner)]

    @app.post("/password")
    async def password(owner: Annotated[str, Depends(fresh(minutes=10))], session: SessionDep) -> int:
        return await sessions.end_all(owner, but=session.id)

    @app.post("/stream")
    async def stream(session: SessionDep) -> Any:
        async def parts() -> Any:
            yield "one"
            try:
                session["streamed"] = True
            except SessionSentError:
                yield "too late"

        return StreamingResponse(parts())

    @app.post("/background")
    async def background(session: SessionDep, tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: session.update(background=True))

    @app.get("/cached")
    async def cached(session: SessionDep) -> Any:
        session.get("a")
        return httpx_response({"Cache-Control": "private", "Vary": "Accept"})

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: SessionDep) -> None:
        session["socket"] = 1
        await websocket.accept()
        session["socket"] = 2
        await websocket.close()

    return app


def httpx_response(headers: dict[str, str]) -> Any:
    from fastapi.responses import JSONResponse

    return JSONResponse({}, headers=headers)


@pytest.fixture
def visitor(sessions: AsyncSessions) -> Callable[..., httpx.AsyncClient]:
    """Makes a browser, with a cookie jar of its own."""
    app = shop(sessions)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return lambda: httpx.AsyncClient(transport=transport, base_url=SITE)


async def test_requests(visitor: Any, client: Any) -> None:
    """[1, 5, 40] A page view sets no cookie; what a redirect has saved is there when the browser follows it."""
    async with visitor() as browser:
        response = await browser.get("/")
        assert (response.json(), response.headers.get("vary"), "set-cookie" in response.headers) == (
            {},
            "Cookie",
            False,
        )
        assert await client.keys("*") == []
        response = await browser.post("/redirect", follow_redirects=True)
        assert response.json() == {"state": "of OAuth"}
        assert "set-cookie" not in response.headers and "cache-control" not in response.headers


async def test_two_tabs_lose_nothing(visitor: Any) -> None:
    """[6, 9] Different keys, and the same basket."""
    async with visitor() as browser:
        await browser.post("/set", json={"first": 1})
        requests = [browser.post("/set", json={f"key-{number}": number}) for number in range(20)]
        requests += [browser.post("/basket/tea") for _ in range(20)]
        assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
        found = (await browser.get("/")).json()
        assert found.pop("basket") == {"tea": 20} and len(found) == 21


@pytest.mark.parametrize(("path", "saved"), [("/status/404", True), ("/status/500", False), ("/crash", False)])
async def test_what_failed_saves_nothing(visitor: Any, path: str, saved: bool) -> None:
    """[41]"""
    async with visitor() as browser:
        await browser.post("/set", json={"a": 1})
        await browser.post(path)
        assert ("status" in (await browser.get("/")).json()) is saved


async def test_logins_and_owners(visitor: Any) -> None:
    """[18, 34] The dependencies for who is logged in, and whether lately."""
    async with visitor() as phone, visitor() as laptop:
        assert (await phone.get("/devices")).status_code == (await phone.post("/password")).status_code == 401
        await phone.post("/set", json={"basket": 1})
        before = phone.cookies["__Host-session"]
        response = await phone.post("/login/ann")
        assert response.headers["cache-control"] == "no-store"
        assert phone.cookies["__Host-session"] != before
        await laptop.post("/login/ann")
        response = await laptop.get("/devices")
        assert (response.json(), response.headers["cache-control"]) == (["a device"] * 2, "no-store")
        assert (await laptop.post("/password")).json() == 1
        assert (await phone.get("/devices")).status_code == 401
        assert (await phone.get("/")).json() == {}
        response = await laptop.post("/logout")
        assert "Max-Age=0" in response.headers["set-cookie"] and "__Host-session" not in laptop.cookies


async def test_a_login_that_is_long_ago_is_not_fresh(visitor: Any, client: Any) -> None:
    async with visitor() as browser:
        await browser.post("/login/ann")
        (key,) = await client.keys("shop:*:session")
        await client.hincrby(key, "~auth", -601_000)
        assert (await browser.get("/devices")).status_code == 200
        assert (await browser.post("/password")).json() == {"detail": "log in again"}


async def test_after_the_response_has_begun(visitor: Any) -> None:
    """[42, 43] A stream, a background task: saved in the end where there is a session, else an error there."""
    async with visitor() as browser:
        assert (await browser.post("/stream")).text == "onetoo late"
        await browser.post("/set", json={"a": 1})
        assert (await browser.post("/stream")).text == "one"
        await browser.post("/background")
        assert (await browser.get("/")).json() == {"a": 1, "streamed": True, "background": True}


async def test_threads_see_the_same_session(visitor: Any) -> None:
    """[53]"""
    async with visitor() as browser:
        await browser.post("/sync")
        assert (await browser.get("/")).json() == {"sync": True}


async def test_headers_of_the_application_stay(visitor: Any) -> None:
    """[50]"""
    async with visitor() as browser:
        await browser.post("/login/ann")
        headers = (await browser.get("/cached")).headers
        assert (headers["cache-control"], headers["vary"]) == ("private", "Accept, Cookie")


async def test_lazy(sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """[2] A request that does not ask has no session; one that asks in the wrong way is told how."""
    loads: list[Any] = []
    load = AsyncSessions.load
    monkeypatch.setattr(AsyncSessions, "load", lambda self, cookies: loads.append(1) or load(self, cookies))
    transport = httpx.ASGITransport(shop(sessions, load="lazy"))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as browser:
        await browser.post("/set", json={"a": 1})
        loads.clear()
        response = await browser.get("/plain")
        assert loads == [] and "vary" not in response.headers
        with pytest.raises(RuntimeError, match="take SessionDep"):
            await browser.get("/")
        await browser.post("/set", json={"a": 2})
        assert loads == [1]


async def test_skipped_paths_have_no_session(visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncSessions, "load", None)
    async with visitor() as browser:
        assert (await browser.get("/health")).json() == "ok"


@pytest.mark.parametrize("mode", ["raise", "empty"])
async def test_without_redis(sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """503, or an empty session that is not saved; never an error by accident, and no cookie is lost."""

    async def fail(*args: Any) -> None:
        raise ConnectionError

    transport = httpx.ASGITransport(shop(sessions, on_unavailable=mode))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as browser:
        await browser.post("/set", json={"a": 1})
        cookie = browser.cookies["__Host-session"]
        with monkeypatch.context() as patch:
            patch.setattr(type(sessions._site.records), "load", fail)
            response = await browser.post("/set", json={"b": 1})
            assert response.status_code == (503 if mode == "raise" else 200)
            assert "set-cookie" not in response.headers
        with monkeypatch.context() as patch:
            patch.setattr(type(sessions._site.records), "save", fail)
            assert (await browser.post("/set", json={"b": 1})).status_code == 503
        assert browser.cookies["__Host-session"] == cookie
        assert (await browser.get("/")).json() == {"a": 1}


async def test_a_conflict_is_an_answer(sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """[7] 409, instead of what the handler would have answered."""

    async def conflict(self: Any, changes: Any) -> None:
        raise SessionConflictError(("a",))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop(sessions)), base_url=SITE) as browser:
        await browser.post("/set", json={"a": 1})
        with monkeypatch.context() as patch:
            patch.setattr("session_store.web.AsyncWebSession._save", conflict)
            response = await browser.post("/set", json={"a": 2})
        assert (response.status_code, response.headers["cache-control"]) == (409, "no-store")
        assert (await browser.get("/")).json() == {"a": 1}


async def test_a_refusal_after_a_login_gives_the_browser_its_token(
    sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is dead by then."""

    async def conflict(self: Any, changes: Any) -> None:
        raise SessionConflictError(("a",))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop(sessions)), base_url=SITE) as browser:
        await browser.post("/set", json={"a": 1})
        with monkeypatch.context() as patch:
            patch.setattr("session_store.web.AsyncWebSession._save", conflict)
            assert (await browser.post("/login/ann")).status_code == 409
        assert (await browser.get("/devices")).json() == ["a device"]


async def test_a_logout_without_redis_is_no_logout(sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any) -> None:
        raise ConnectionError

    transport = httpx.ASGITransport(shop(sessions, on_unavailable="empty"))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as browser:
        await browser.post("/login/ann")
        with monkeypatch.context() as patch:
            patch.setattr(type(sessions._site.records), "load", fail)
            assert (await browser.post("/logout")).status_code == 503
        assert (await browser.get("/devices")).status_code == 200


async def call(app: Any, scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """What an ASGI application sends."""
    sent: list[dict[str, Any]] = []
    messages = list(received)

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app({"path": "/socket", "headers": [], "query_string": b"", "subprotocols": [], **scope}, receive, send)
    return sent


async def test_a_websocket_gets_its_cookie_when_it_is_accepted(sessions: AsyncSessions) -> None:
    """[44] What changes later is saved in the end."""
    sent = await call(shop(sessions), {"type": "websocket"}, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    headers = dict(sent[0]["headers"])
    cookie = headers[b"set-cookie"].partition(b";")[0]
    assert (await sessions.load([cookie])) == {"socket": 2}


async def test_a_websocket_without_redis_is_closed(sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any) -> None:
        raise ConnectionError

    cookie = f"__Host-session={'A' * 22}.{'B' * 43}".encode()
    monkeypatch.setattr(type(sessions._site.records), "load", fail)
    scope = {"type": "websocket", "headers": [(b"cookie", cookie)]}
    sent = await call(shop(sessions), scope, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": ""}]


async def test_a_refusal_after_the_beginning_passes_through(
    sessions: AsyncSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing left to answer with."""

    async def conflict(self: Any) -> None:
        raise SessionConflictError(("a",))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop(sessions)), base_url=SITE) as browser:
        monkeypatch.setattr("session_store.web.AsyncWebSession.finish_late", conflict)
        with pytest.raises(SessionConflictError):
            await browser.get("/")


async def test_a_transaction_must_not_wait(sessions: AsyncSessions) -> None:
    async def coroutine(data: dict[str, Any]) -> None: ...

    session = await sessions.load([])
    with pytest.raises(TypeError, match="fn must be a plain function"):
        await session.transaction(coroutine)


async def test_an_unloaded_session_says_how_to_load_it(sessions: AsyncSessions) -> None:
    errors = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        for ask in (len, list, lambda session: session.mark_accessed(), lambda session: session.update(a=1)):
            with pytest.raises(RuntimeError, match="await load_session") as caught:
                ask(session)
            errors.append(caught.value)

    await call(SessionMiddleware(app, sessions, load="lazy"), {"type": "http"})
    assert len(errors) == 4


async def test_clear_site_data(sessions: AsyncSessions) -> None:
    app = shop(sessions, clear_site_data=("cache", "storage"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as browser:
        await browser.post("/login/ann")
        assert (await browser.post("/logout")).headers["clear-site-data"] == '"cache", "storage"'
        assert "clear-site-data" not in (await browser.post("/logout")).headers


async def test_other_scopes_pass_through(sessions: AsyncSessions) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        seen.append(scope["type"])

    await SessionMiddleware(app, sessions)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]


async def test_several_cookie_headers(sessions: AsyncSessions) -> None:
    """[46] As HTTP/2 sends them."""
    session = await sessions.load([])
    session["a"] = 1
    (_, cookie, _) = await session.finish(200)
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(dict(scope["session"]))

    headers = [(b"cookie", b"x=1"), (b"cookie", cookie[1].partition(";")[0].encode())]
    await call(SessionMiddleware(app, sessions), {"type": "http", "headers": headers})
    assert found == [{"a": 1}]


def test_bad_settings_are_refused(sessions: AsyncSessions) -> None:
    for options, error in (
        ({"sessions": None}, TypeError),
        ({"skip": "/static"}, TypeError),
        ({"load": "never"}, ValueError),
        ({"on_unavailable": "?"}, ValueError),
    ):
        with pytest.raises(error):
            SessionMiddleware(None, **{"sessions": sessions, **options})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fresh must be"):
        fresh()
