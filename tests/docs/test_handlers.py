"""The handlers that the pages show are right: who gets a session, who keeps it, and what many at once put into it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
import redis.asyncio
from docs.pages import DOCS, README, clean
from support.servers import Server

from session_store import AsyncInMemoryClient, InMemoryClient, JsonCodec, SessionStore

SITE = "https://shop.test"
COOKIE = "__Host-session"
VISITORS = 300  # more than the connections that a client of redis-py may open by default


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Callable[[Any], Any]]:
    """What makes the README's application for a client."""
    yield README.run(server)["shop"]
    clean(server)


@pytest.fixture(scope="module")
def flask_app(server: Server) -> Iterator[Callable[[Any], Any]]:
    """The same of the page about handlers, for Flask."""
    yield DOCS["handlers"].run(server)["flask_app"]
    clean(server)


def browser(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE)


def basket_of(client: Any, cookie: str) -> Any:
    """What lies in Redis for the session of a cookie, and for how long."""
    ns = SessionStore(client, prefix="shop", default_ttl=60, codec=JsonCodec()).namespace(cookie.partition(".")[0])
    return ns.hgetall("basket"), ns.ttl("basket")


def right(tea: int, cup: int) -> dict[str, int]:
    return {"tea": tea, "cup": cup, "total": 450 * tea + 1_200 * cup}


async def test_two_tabs_of_fastapi_on_a_server(shop: Any, server: Server) -> None:
    """Two tabs put in 20 pieces each: those that were answered with 200 are in the basket, and the total is right."""
    async with redis.asyncio.Redis(port=server.port) as client, browser(shop(client)) as http:
        assert (await http.post("/basket/pot")).status_code == 404
        await http.post("/basket/tea")

        async def press(article: str) -> int:
            return [(await http.post(f"/basket/{article}")).status_code for _ in range(20)].count(200)

        tea, cup = await asyncio.gather(press("tea"), press("cup"))
        cookie = http.cookies[COOKIE]
    with redis.Redis(port=server.port) as looking:
        basket, ttl = basket_of(looking, cookie)
    assert basket == right(1 + tea, cup)
    assert 86_300 < ttl <= 100_000


async def test_a_login_keeps_the_basket_and_a_logout_ends_it(shop: Any) -> None:
    """By another token each time: the old one is worth nothing."""
    async with browser(shop(AsyncInMemoryClient())) as http:
        await http.post("/basket/tea")
        old = http.cookies[COOKIE]
        await http.post("/login")
        assert (await http.post("/basket/tea")).json() == {"tea": 2, "total": 900}
        new = http.cookies[COOKIE]
        await http.post("/logout")
        for worthless in (old, new, "invented"):
            http.cookies.clear()
            answer = await http.post("/basket/cup", headers={"Cookie": f"{COOKIE}={worthless}"})
            assert answer.json() == {"cup": 1, "total": 1_200}
            assert http.cookies[COOKIE].partition(".")[0] != old.partition(".")[0]


async def test_fastapi_answers_409_to_contention(shop: Any) -> None:
    """When all four attempts lose, nothing is written."""
    client = AsyncInMemoryClient()
    async with browser(shop(client)) as http:
        await http.post("/basket/tea")
        name = http.cookies[COOKIE].partition(".")[0]
        for _ in range(4):
            client.simulate_concurrent_change(f"shop:{name}:basket")
        assert (await http.post("/basket/tea")).status_code == 409
        assert (await http.post("/basket/tea")).json() == {"tea": 2, "total": 900}


async def test_a_request_that_the_logout_overtakes_is_a_401(shop: Any) -> None:
    """It was let in, and writes nothing any more."""

    class Overtaken(AsyncInMemoryClient):
        name = ""

        async def execute_command(self, *args: Any, **options: Any) -> Any:
            reply = await super().execute_command(*args, **options)
            if args[0] == "HGETALL" and self.name:
                SessionStore(sync, prefix="shop", default_ttl=60).namespace(self.name).purge(fence=60)
            return reply

    client = Overtaken()
    sync = InMemoryClient(server=client.server)
    async with browser(shop(client)) as http:
        await http.post("/basket/tea")
        cookie = http.cookies[COOKIE]
        client.name = cookie.partition(".")[0]
        assert (await http.post("/basket/tea")).status_code == 401
    assert basket_of(sync, cookie) == ({}, None)


async def test_fastapi_serves_many_visitors_at_once(shop: Any, server: Server) -> None:
    """On a client as it is by default: each is given a session, and finds what it put in."""

    async def visit(app: Any) -> tuple[Any, str]:
        async with browser(app) as http:
            await http.post("/basket/tea")
            return (await http.post("/basket/cup")).json(), http.cookies[COOKIE]

    async with redis.asyncio.Redis(port=server.port) as client:
        app = shop(client)
        visits = await asyncio.gather(*(visit(app) for _ in range(VISITORS)))
    assert [seen for seen, _ in visits] == [right(1, 1)] * VISITORS
    assert len({cookie for _, cookie in visits}) == VISITORS


def test_flask_serves_many_visitors_at_once(flask_app: Any, server: Server) -> None:
    """The same in threads."""
    together = threading.Barrier(VISITORS)

    def visit(app: Any) -> Any:
        http = app.test_client()
        together.wait()
        http.post("/basket/tea", base_url=SITE)
        return http.post("/basket/cup", base_url=SITE).json

    with redis.Redis(port=server.port) as client, ThreadPoolExecutor(VISITORS) as threads:
        seen = list(threads.map(visit, [flask_app(client)] * VISITORS))
    assert seen == [right(1, 1)] * VISITORS


def test_two_tabs_of_flask_on_a_server(flask_app: Any, server: Server) -> None:
    with redis.Redis(port=server.port) as client, ThreadPoolExecutor(2) as tabs:
        app = flask_app(client)
        first = app.test_client()
        assert first.post("/basket/pot", base_url=SITE).status_code == 404
        first.post("/basket/tea", base_url=SITE)
        cookie = first.get_cookie(COOKIE, domain="shop.test").value

        def press(article: str) -> int:
            http = app.test_client()
            http.set_cookie(COOKIE, cookie, domain="shop.test")
            return [http.post(f"/basket/{article}", base_url=SITE).status_code for _ in range(20)].count(200)

        tea, cup = tabs.map(press, ["tea", "cup"])
        assert basket_of(client, cookie)[0] == right(1 + tea, cup)
