"""Browsers that ask whichever workers are in rotation, and what they were told."""

from __future__ import annotations

import http.client
import json
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from support.programs import SECONDS


class Jar:
    """The cookies of one browser, whatever its tabs are doing."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}
        self._lock = threading.Lock()

    def header(self) -> str:
        with self._lock:
            return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def take(self, set_cookie: list[str]) -> None:
        with self._lock:
            for each in set_cookie:
                name, _, rest = each.partition("=")
                value = rest.partition(";")[0].strip("\"'")
                if value and "max-age=0" not in each.lower():
                    self._cookies[name] = value
                else:
                    self._cookies.pop(name, None)


@dataclass
class Rotation:
    """The ports that requests go to, at random."""

    ports: tuple[int, ...] = ()
    random: random.Random = field(default_factory=random.Random)

    def port(self) -> int:
        return self.random.choice(self.ports)


class Browser:
    """`wanted`: what its session must hold, by what it was told; `refused`: the statuses of other answers.

    `unknown`: how often an answer did not know who is logged in.
    """

    def __init__(self, rotation: Rotation, user: str) -> None:
        self.rotation = rotation
        self.user = user
        self.jar = Jar()
        self.wanted: set[str] = set()
        self.refused: list[int] = []
        self.unknown = 0

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.rotation.port(), timeout=SECONDS)
        try:
            connection.request(method, path, headers={"Content-Length": "0", "Cookie": self.jar.header()})
            response = connection.getresponse()
            body = response.read()
            self.jar.take(response.headers.get_all("Set-Cookie") or [])
            return response.status, json.loads(body) if response.status == 200 else None
        finally:
            connection.close()

    def log_in(self) -> None:
        status, _ = self.ask("POST", f"/login/{self.user}")
        assert status == 200, status

    def mark(self, key: str) -> None:
        status, answer = self.ask("POST", f"/mark/{key}")
        if status == 200:
            self.wanted.add(key)
            self.unknown += answer["user"] != self.user
        else:
            self.refused.append(status)

    def page(self) -> dict[str, Any]:
        status, page = self.ask("GET", "/")
        assert status == 200, status
        return dict(page)


@dataclass
class Tally:
    """What was found at the end."""

    sessions: int = 0
    logged_out: int = 0  # at the end
    unknown: int = 0  # answers on the way
    writes: int = 0
    lost: int = 0
    refused: int = 0

    def count(self, browser: Browser) -> None:
        page = browser.page()
        self.sessions += 1
        self.logged_out += browser.user not in page.values()
        self.unknown += browser.unknown
        self.writes += len(browser.wanted)
        self.lost += len(browser.wanted - page.keys())
        self.refused += len(browser.refused)
