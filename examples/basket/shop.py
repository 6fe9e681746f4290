"""A shop of one page: a basket in two tabs, a login, devices, an order. `make example` starts it and says where to look.

It works without JavaScript, but for the button that has many requests of one browser meet.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import redis.asyncio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse

from examples.serving import same_origin
from session_store import AsyncSessionStore, JsonCodec
from session_store.web import AsyncSessions, CookiePolicy, SessionPolicy
from session_store.web.fastapi import OwnerDep, SessionDep, SessionMiddleware

HERE = Path(__file__).parent
PRICES = {"Darjeeling": 1250, "Earl Grey": 890, "Cup": 1400, "Strainer": 650}


async def form(request: Request) -> dict[str, str]:
    """The fields of a form."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in fields.items()}


def euros(cents: int) -> str:
    return f"€ {cents // 100}.{cents % 100:02}"


def button(action: str, text: str, **fields: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return f'<form method="post" action="{action}">{hidden}<button>{escape(text)}</button></form>'


def articles() -> str:
    rows = "".join(
        f"<li><span>{escape(name)}</span><span>{euros(price)}</span>{button('/add', 'Add', article=name)}</li>"
        for name, price in PRICES.items()
    )
    return f"<section><h2>Tea and things</h2><ul>{rows}</ul></section>"


def basket_of(basket: dict[str, int]) -> str:
    if not basket:
        return '<section><h2>Basket</h2><p id="basket">Nothing yet.</p></section>'
    rows = "".join(
        f"<li><span>{escape(name)}</span><span>{count} ×</span><span>{euros(count * PRICES[name])}</span></li>"
        for name, count in basket.items()
    )
    total = euros(sum(count * PRICES[name] for name, count in basket.items()))
    many = '<button id="many">Add 20 cups at once</button><output id="said"></output>'
    return (
        f'<section><h2>Basket</h2><ul id="basket">{rows}<li class="total"><span>Total</span><span></span>'
        f'<span>{total}</span></li></ul><div class="row">{button("/order", "Order")}{many}</div></section>'
    )


def account(owner: str | None, own: str | None, devices: list[Any]) -> str:
    if owner is None:
        return (
            '<section><h2>Log in</h2><form method="post" action="/login"><input name="name" required maxlength="40" '
            'placeholder="any name will do" aria-label="Name"><button>Log in</button></form></section>'
        )
    rows = "".join(
        f"<li><span>{escape(str(device.label))}{' (this one)' if device.id == own else ''}</span>"
        f"<span>seen {max(0, int(time.time() - device.last_seen)) // 60} min ago</span>"
        f"{'' if device.id == own else button('/end', 'End', id=device.id)}</li>"
        for device in devices
    )
    return (
        f'<section><h2>{escape(owner)}</h2><ul id="devices">{rows}</ul><div class="row">'
        f"{button('/logout', 'Log out')}{button('/everywhere', 'Log out everywhere')}</div></section>"
    )


def browser_of(request: Request) -> str:
    """What a browser calls itself, in a word."""
    agent = request.headers.get("user-agent", "")
    return next((name for name in ("Firefox", "Edg", "Chrome", "Safari") if name in agent), "A browser")


def shop(client: Any, *, secure: bool = True) -> FastAPI:
    """The application, on a client of redis-py. `secure`: False where the page comes over http from another machine."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    sessions = AsyncSessions(
        AsyncSessionStore(client, prefix="example", default_ttl=timedelta(days=7), codec=JsonCodec()),
        policy=SessionPolicy(idle=timedelta(days=7), lifetime=timedelta(days=30), max_per_owner=5),
        cookie=CookiePolicy(secure=secure),
    )
    app = FastAPI(lifespan=lifespan, dependencies=[Depends(same_origin)])
    app.add_middleware(SessionMiddleware, sessions=sessions, skip=("/style.css", "/many.js"))

    @app.get("/", response_class=HTMLResponse)
    async def page(session: SessionDep) -> str:
        devices = await sessions.of(session.owner) if session.owner else []
        said = "".join(f"<p>{escape(str(text))}</p>" for _, text in session.take_flashes())
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<title>Tea</title><link rel="stylesheet" href="/style.css"><h1>Tea</h1><div role="status">{said}</div><main>'
            f"{articles()}{basket_of(session.get('basket', {}))}{account(session.owner, session.id, devices)}</main>"
            '<script src="/many.js"></script></html>'
        )

    @app.post("/add")
    async def add(request: Request, session: SessionDep) -> Any:
        article = (await form(request)).get("article", "")
        if article not in PRICES:
            raise HTTPException(422, "no such article")

        def more(data: dict[str, Any]) -> int:
            basket = data.setdefault("basket", {})
            basket[article] = basket.get(article, 0) + 1
            return int(basket[article])

        count = await session.transaction(more)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"count": count})
        return RedirectResponse("/", 303)

    @app.post("/order")
    async def order(session: SessionDep) -> Any:
        basket = await session.transaction(lambda data: data.pop("basket", {}))
        session.flash(f"Ordered: {sum(basket.values())} things." if basket else "The basket was empty.")
        return RedirectResponse("/", 303)

    @app.post("/login")
    async def login(request: Request, session: SessionDep) -> Any:
        name = (await form(request)).get("name", "").strip()[:40]
        if not name:
            raise HTTPException(422, "who?")
        await session.login(name, label=browser_of(request))  # a shop would ask for a password first
        return RedirectResponse("/", 303)

    @app.post("/logout")
    async def logout(session: SessionDep) -> Any:
        await session.logout()
        return RedirectResponse("/", 303)

    @app.post("/end")
    async def end(request: Request, owner: OwnerDep) -> Any:
        await sessions.end(owner, (await form(request)).get("id", ""))
        return RedirectResponse("/", 303)

    @app.post("/everywhere")
    async def everywhere(owner: OwnerDep, session: SessionDep) -> Any:
        await sessions.end_all(owner, but=session.id)
        await session.logout()
        return RedirectResponse("/", 303)

    @app.get("/style.css")
    async def style() -> FileResponse:
        return FileResponse(HERE / "style.css")

    @app.get("/many.js")
    async def many() -> FileResponse:
        return FileResponse(HERE / "many.js")

    return app


def connected(url: str) -> FastAPI:
    """The shop on a server of this URL."""
    return shop(redis.asyncio.Redis.from_url(url))
