"""What every shop does, and how a browser asks it: whole requests, in the process, without a network or an HTTP server.

A path is /action or /action/value: `page` shows the session, `begin` fills one, `mark` sets a key of its own, `see` sets
one key to another value, `count` adds one to a number, `append` appends to a list where it lies, `login`: as whom the
value says, `logout`.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

PREFIX = "bench-shop"
TTL = 86_400
REFUSED = 400
BASKET = {"A-4711": 2, "A-0815": 1}
Session = MutableMapping[str, Any]
Raw = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body


class Gate:
    """Holds a request between its reading and its writing, as a slow answer from elsewhere does."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def pass_through(self) -> None:
        """Says that somebody is here, and waits."""
        self.reached.set()
        await self.opened.wait()

    def block(self) -> None:
        """The same from a thread."""
        asyncio.run_coroutine_threadsafe(self.pass_through(), self._loop).result()


class Slow:
    """The gate of the request that is to be slow; None where there is none. One at a time, in one process."""

    gate: Gate | None = None

    @classmethod
    async def here(cls, query: str) -> None:
        """For handlers to await between reading and writing."""
        if query and cls.gate is not None:
            await cls.gate.pass_through()

    @classmethod
    def here_sync(cls, query: str) -> None:
        """The same for a sync handler."""
        if query and cls.gate is not None:
            cls.gate.block()


def change(session: Session, action: str, value: str) -> None:
    """What an action does to the session, in the way that one writes first."""
    if action == "begin":
        session.update({"count": 0, "lines": [], "seen": "", "basket": BASKET, "theme": "dark"})
    elif action == "mark":
        session[value] = True
    elif action == "see":
        session["seen"] = value
    elif action == "count":
        session["count"] = session["count"] + 1
    elif action == "append":
        session["lines"].append(value)
    elif action != "page":
        raise ValueError(action)


class Answer(NamedTuple):
    """What came back. `data`: the session as the page shows it; empty for other actions."""

    status: int
    cookies: list[str]
    data: dict[str, Any]

    @property
    def acknowledged(self) -> bool:
        """Whether the browser was told that it is done."""
        return self.status < REFUSED


class Shop(ABC):
    """A shop that can be asked."""

    note = ""

    @abstractmethod
    async def ask(self, path: str, query: str, cookie: str) -> Raw:
        """One request, GET for the page and POST for all else."""

    @abstractmethod
    async def timed(self, paths: list[str], cookie: str) -> float:
        """The seconds that these requests take, one after the other."""

    async def open(self) -> None:  # noqa: B027  # most have nothing to do
        """Before the first request."""

    @abstractmethod
    async def close(self) -> None:
        """After the last request."""


def method_of(path: str) -> str:
    """GET for what only looks."""
    return "GET" if path == "/page" else "POST"


class AsgiShop(Shop):
    """`app`: the application; `clients`: what is to be closed after the last request."""

    app: Callable[[dict[str, Any], Any, Any], Awaitable[None]]
    clients: tuple[Any, ...] = ()

    async def ask(self, path: str, query: str, cookie: str) -> Raw:
        """One request by ASGI."""
        started: dict[str, Any] = {}
        body = bytearray()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                body.extend(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method_of(path),
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"shop.test"), *([(b"cookie", cookie.encode())] if cookie else [])],
            "client": ("127.0.0.1", 1),
            "server": ("shop.test", 443),
        }
        await self.app(scope, receive, send)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in started["headers"]]
        return started["status"], headers, bytes(body)

    async def timed(self, paths: list[str], cookie: str) -> float:
        """In the event loop."""
        begin = time.perf_counter()
        for path in paths:
            await self.ask(path, "", cookie)
        return time.perf_counter() - begin

    async def close(self) -> None:
        """Closes the clients."""
        for client in self.clients:
            await client.aclose()


class WsgiShop(Shop):
    """`app`: the application; `clients`: what is to be closed after the last request."""

    app: Callable[[dict[str, Any], Any], Any]
    clients: tuple[Any, ...] = ()

    def _ask(self, path: str, query: str, cookie: str) -> Raw:
        started: list[Any] = []
        environ = {
            "REQUEST_METHOD": method_of(path),
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "shop.test",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "shop.test",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **({"HTTP_COOKIE": cookie} if cookie else {}),
        }
        answer = self.app(environ, lambda status, headers, _error=None: started.extend([status, headers]))
        body = b"".join(answer)
        getattr(answer, "close", lambda: None)()
        return int(started[0].split()[0]), started[1], body

    async def ask(self, path: str, query: str, cookie: str) -> Raw:
        """One request by WSGI, in a thread."""
        return await asyncio.to_thread(self._ask, path, query, cookie)

    async def timed(self, paths: list[str], cookie: str) -> float:
        """In one thread."""

        def all_of_them() -> float:
            begin = time.perf_counter()
            for path in paths:
                self._ask(path, "", cookie)
            return time.perf_counter() - begin

        return await asyncio.to_thread(all_of_them)

    async def close(self) -> None:
        """Closes the clients."""
        for client in self.clients:
            client.close()


class Browser:
    """Its cookies, whichever tab they came to."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The header that it sends."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def ask(self, path: str, query: str = "", cookie: str | None = None) -> Answer:
        """Sends a request and keeps what cookies it is given. `cookie`: another header than its own, of a copied one."""
        status, headers, body = await self._shop.ask(path, query, self.cookie if cookie is None else cookie)
        given = [value for name, value in headers if name.lower() == "set-cookie"]
        if cookie is None:
            for each in given:
                self._take(each)
        return Answer(status, given, json.loads(body) if status < REFUSED and path == "/page" else {})

    def _take(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] in ("0", "-1") or " 1970 " in morsel["expires"].replace("-", " "):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.coded_value
