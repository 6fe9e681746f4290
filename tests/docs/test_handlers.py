"""The handlers that the pages show are right: who gets a session, who keeps it, and what many at once put into it."""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
import redis.asyncio
from docs.pages import DOCS, README, clean
from support.servers import Server

from session_store import AsyncInMemoryClient, InMemoryClient, SessionStore

with warnings.catch_warnings():
    # Starlette asks for a new name of httpx, which its older versions do not know.
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
    from fastapi.testclient import TestClient


SITE = "https://shop"  # the cookies do not travel over http
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


def begin(http: TestClient, cookie: str | bytes | None = None) -> tuple[str, str]:
    """A first request, with a cookie or without one: the session that it begins, which is new, and its secret."""
    raw = cookie.encode() if isinstance(cookie, str) else cookie
    response = http.post("/basket/tea", headers={} if raw is None else {"cookie": b"session=" + raw})
    assert (response.status_code, response.json()) == (200, {"tea": "1", "total": "450"})
    return given(response)


def given(response: httpx.Response) -> tuple[str, str]:
    """The session and the secret of the cookie that is set, which is for TLS and this site, and not for scripts."""
    value, *attributes = response.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(attributes)
    name, _, secret = value.removeprefix("session=").partition(".")
    assert (len(name), len(secret)) == (32, 43)
    return f"session-{name}", secret


def kept(store: SessionStore[str], name: str, add: Callable[[str], int]) -> None:
    """Has two tabs put in 20 pieces each: those that were answered with 200 are in the basket, and the total is right."""

    def press(article: str) -> int:
        return [add(article) for _ in range(20)].count(200)

    with ThreadPoolExecutor(2) as tabs:
        tea, cup = tabs.map(press, ["tea", "cup"])
    ns = store.namespace(name)
    assert ns.hgetall("basket") == {"tea": str(tea), "cup": str(cup), "total": str(450 * tea + 1_200 * cup)}
    assert 86_300 < ns.ttl("basket") <= 86_400


def looking_into(client: AsyncInMemoryClient) -> tuple[InMemoryClient, SessionStore[str]]:
    """A sync client of the same server, and a store on it."""
    sync = InMemoryClient(server=client.server)
    return sync, SessionStore(sync, prefix="shop", default_ttl=60)


def test_two_tabs_of_fastapi_on_a_server(shop: Any, server: Server) -> None:
    with (
        redis.Redis(port=server.port) as client,
        TestClient(shop(redis.asyncio.Redis(port=server.port)), base_url=SITE) as http,
    ):
        name, _ = begin(http)
        store = SessionStore(client, prefix="shop", default_ttl=60)
        store.namespace(name).delete("basket")
        assert http.post("/basket/pot").status_code == 404
        kept(store, name, lambda article: http.post(f"/basket/{article}").status_code)


def test_fastapi_gives_a_new_visitor_a_session(shop: Any) -> None:
    """And keeps to it. What is stored is not what the visitor sends."""
    client = AsyncInMemoryClient()
    sync, _ = looking_into(client)
    with TestClient(shop(client), base_url=SITE) as http:
        name, secret = begin(http)
        second = http.post("/basket/tea")
        assert (second.json(), "set-cookie" in second.headers) == ({"tea": "2", "total": "900"}, False)
    keys = sync.keys()
    assert sorted(keys) == [f"shop:{name}:{slot}".encode() for slot in ("basket", "secret", "~index")]
    assert secret.encode() not in b"".join(sync.dump(key) for key in keys)


@pytest.mark.parametrize(
    "cookie",
    [
        *("invented", "x" * 43, "f" * 32, "f" * 32 + ".", "f" * 32 + "." + "x" * 43, "global-orders", "a:b:c:d:e:f"),
        *("session-", "{a}", '""', "", ".", "Grüße", b"\xff", b'"\\355\\240\\200"'),
    ],
)
def test_fastapi_takes_no_cookie_for_a_session(shop: Any, cookie: str | bytes) -> None:
    """That it did not give out: neither one that fits, nor the name of another namespace, nor that of a session."""
    client = AsyncInMemoryClient()
    _, store = looking_into(client)
    others = store.namespace("global-orders")
    others.hset("basket", "tea", "7")
    with TestClient(shop(client), base_url=SITE) as http:
        name, secret = begin(http, cookie)
        known = name.removeprefix("session-")
        stored = store.namespace(name).get("secret")
        seen = {name}
        for guess in (name, known, f"{known}.", f"{known}.{secret[:-1]}", f"{known}.{stored}", f"{name}.{secret}"):
            http.cookies.clear()
            seen.add(begin(http, guess)[0])
    assert len(seen) == 7
    assert {*store.namespaces()} == {"global-orders", *seen}
    assert others.load() == {"basket": {"tea": "7"}}
    assert 0 < others.ttl("basket") <= 60


def test_a_login_makes_the_old_cookie_worth_nothing(shop: Any) -> None:
    """And takes the basket along; so does a logout, with which the basket ends."""
    client = AsyncInMemoryClient()
    _, store = looking_into(client)
    with TestClient(shop(client), base_url=SITE) as http:
        name, secret = begin(http)
        after = given(http.post("/login"))
        assert (after[0], after[1] != secret) == (name, True)
        assert http.post("/basket/tea").json()["tea"] == "2"
        cookie = f"{name.removeprefix('session-')}.{after[1]}"
        assert http.post("/logout").headers["set-cookie"].startswith('session=""; ')
        for old in (f"{name.removeprefix('session-')}.{secret}", cookie):
            http.cookies.clear()
            assert begin(http, old)[0] != name
    assert store.namespace(name).slots() == []


def test_fastapi_renews_a_session_and_forgets_it(shop: Any) -> None:
    """It lasts for a day after the last request, and its cookie is then worth nothing."""
    client = AsyncInMemoryClient()
    sync, _ = looking_into(client)
    with TestClient(shop(client), base_url=SITE) as http:
        name, _ = begin(http)
        for count in ("2", "3"):
            sync.advance(86_000)
            assert http.post("/basket/tea").json()["tea"] == count
        sync.advance(86_401)
        assert begin(http)[0] != name


def test_fastapi_answers_409_to_contention(shop: Any) -> None:
    """When all four attempts lose, nothing is written."""
    client = AsyncInMemoryClient()
    _, store = looking_into(client)
    with TestClient(shop(client), base_url=SITE) as http:
        key = store.namespace(begin(http)[0]).key("basket")
        for _ in range(4):
            client.simulate_concurrent_change(key)
        assert http.post("/basket/tea").status_code == 409
        assert http.post("/basket/tea").json() == {"tea": "2", "total": "900"}


@pytest.mark.parametrize("path", ["/basket/tea", "/login"])
def test_a_request_that_the_logout_overtakes_is_a_401(shop: Any, path: str) -> None:
    """It was let in, and writes nothing any more."""

    class Overtaken(AsyncInMemoryClient):
        name = ""

        async def execute_command(self, *args: Any, **options: Any) -> Any:
            reply = await super().execute_command(*args, **options)
            if args[0] == "GET" and self.name:
                store.namespace(self.name).purge(fence=60)
            return reply

    client = Overtaken()
    _, store = looking_into(client)
    with TestClient(shop(client), base_url=SITE) as http:
        client.name, _ = begin(http)
        assert http.post(path).status_code == 401
        assert store.namespace(client.name).slots() == []


def test_fastapi_serves_many_visitors_at_once(shop: Any, server: Server) -> None:
    """On a client as it is by default: each is given a session, and finds what it put in."""

    async def visit(app: Any) -> tuple[Any, str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as http:
            await http.post("/basket/tea")
            return (await http.post("/basket/cup")).json(), http.cookies["session"]

    async def all_at_once() -> list[tuple[Any, str]]:
        async with redis.asyncio.Redis(port=server.port) as client:
            app = shop(client)
            return await asyncio.gather(*(visit(app) for _ in range(VISITORS)))

    visits = asyncio.run(all_at_once())
    assert [seen for seen, _ in visits] == [{"cup": "1", "total": "1650"}] * VISITORS
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
    assert seen == [{"cup": "1", "total": "1650"}] * VISITORS


def test_two_tabs_of_flask_on_a_server(flask_app: Any, server: Server) -> None:
    with redis.Redis(port=server.port) as client:
        app = flask_app(client)

        def add(article: str) -> int:
            http = app.test_client()
            with http.session_transaction() as cookie:
                cookie["id"] = "visitor-4"
            return int(http.post(f"/basket/{article}").status_code)

        assert add("pot") == 404
        kept(SessionStore(client, prefix="shop", default_ttl=60), "session-visitor-4", add)


@pytest.mark.parametrize(
    "cookie", ["", "global-orders", "eyJpZCI6Imdsb2JhbC1vcmRlcnMifQ.aR0-Xg.AAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_flask_takes_signed_cookies_only(flask_app: Any, cookie: str) -> None:
    """Whoever brings another one, or none, is given a session; its cookie is for TLS and this site, not for scripts."""
    client = InMemoryClient()
    http = flask_app(client).test_client()
    if cookie:
        http.set_cookie("session", cookie, domain="shop")
    first = http.post("/basket/tea", base_url=SITE)
    assert (first.status_code, first.json) == (200, {"tea": "1", "total": "450"})
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= set(first.headers["set-cookie"].split("; "))
    assert http.post("/basket/tea", base_url=SITE).json == {"tea": "2", "total": "900"}
    assert all(re.match(rb"shop:session-[\w-]{43}:", key) for key in client.scan_iter())


def test_a_flask_login_begins_a_session_with_the_same_basket(flask_app: Any) -> None:
    """The old one is over, and so is the new one after a logout."""
    client = InMemoryClient()
    store = SessionStore(client, prefix="shop", default_ttl=60)
    http = flask_app(client).test_client()
    http.post("/basket/tea", base_url=SITE)
    [old] = store.namespaces()
    http.post("/login", base_url=SITE)
    [new] = store.namespaces()
    assert old != new
    assert http.post("/basket/tea", base_url=SITE).json == {"tea": "2", "total": "900"}
    http.post("/logout", base_url=SITE)
    assert list(store.namespaces()) == []
