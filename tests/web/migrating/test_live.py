"""Sessions of real libraries are moved while browsers use them: a rolling deploy in steps, and what is there at the end.

SESSIONS and WRITES make the load larger than the test's.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from support.programs import ROOT, SECONDS, listens, started, until
from support.servers import Server
from typing_extensions import Self
from web.migrating.browsers import Browser, Rotation, Tally

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="the servers are those of Unix")]

SESSIONS = int(os.environ.get("SESSIONS", "32"))
WRITES = int(os.environ.get("WRITES", "160"))  # of all browsers together, in each step of the deploy
TABS = 8
GUNICORN, UVICORN = "gunicorn --workers 1 --threads 8 -b 127.0.0.1:8000", "uvicorn --port 8000 --lifespan off"


class Shop(NamedTuple):
    """A shop of `served`, what serves it, and what it needs."""

    name: str
    command: str
    packages: tuple[str, ...]
    environment: dict[str, str]


SHOPS = {
    "Flask-Session": Shop("flask", GUNICORN, ("flask_session", "gunicorn"), {}),
    "starsessions": Shop("starsessions", UVICORN, ("starsessions", "uvicorn"), {}),
    "Django, cache": Shop("django", GUNICORN, ("django", "gunicorn"), {"ENGINE": "cache"}),
    "Django, database": Shop("django", GUNICORN, ("django", "gunicorn"), {"ENGINE": "db"}),
}


class Site:
    """One worker for each step, on a Redis of their own. `at(*steps)` says which are asked from now on."""

    def __init__(self, shop: Shop, folder: Path, server: Server, stack: ExitStack) -> None:
        self.folder, self._shop, self._server, self._stack = folder, shop, server, stack
        self.environment = {**shop.environment, "DATABASE": str(folder / "sessions.sqlite3")}
        shutil.copy(Path(__file__).with_name("served") / f"{shop.name}_shop.py", folder)
        if shop.environment.get("ENGINE") == "db":
            self.python(
                "import django_shop; from django.core.management import call_command as c; c('migrate', verbosity=0)"
            )
        self._ports: dict[str, int] = {}
        self.rotation = Rotation()
        self.url = server.url

    def at(self, *steps: str) -> None:
        for step in steps:
            if step not in self._ports:
                self._ports[step] = self._start(step)
        self.rotation.ports = tuple(self._ports[step] for step in steps)

    def _start(self, step: str) -> int:
        folder = self.folder / step
        folder.mkdir()
        shutil.copy(self.folder / f"{self._shop.name}_shop.py", folder)
        program, *arguments = self._shop.command.split()
        arguments.append(f"{self._shop.name}_shop:application")
        environment = {**self.environment, "STEP": step}
        port = self._stack.enter_context(started(program, arguments, folder, self._server, environment))
        until(lambda: listens(port), folder)
        return port

    def python(self, *arguments: str) -> str:
        """Runs Python as an operator would, in the folder of the shop."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": self._server.url, "STEP": "B"}
        command = [sys.executable, *(arguments if arguments[0] == "-m" else ("-c", *arguments))]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment | self.environment,
            check=False,
            timeout=SECONDS,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def script(self) -> dict[str, int]:
        """Moves all that are there by the script; its counts."""
        counts: dict[str, int] = json.loads(
            self.python("-m", "session_store.web.migrating", f"{self._shop.name}_shop:migration", "--json")
        )
        return counts


@pytest.fixture(params=SHOPS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    shop = SHOPS[request.param]
    for package in shop.packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    server = Server()
    try:
        with ExitStack() as stack:
            yield Site(shop, tmp_path, server, stack)
    finally:
        server.stop()


class Load:
    """Browsers that write all the time, each with one tab; eight at once."""

    def __init__(self, browsers: list[Browser]) -> None:
        self._browsers = browsers
        self._is_over = threading.Event()
        self._written = itertools.count()
        self.count = 0

    def _work(self, share: list[Browser]) -> None:
        for browser in itertools.cycle(share):
            if self._is_over.is_set():
                return
            self.count = next(self._written)
            browser.mark(f"key-{self.count}")

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(TABS)
        self._done = [self._pool.submit(self._work, self._browsers[tab::TABS]) for tab in range(TABS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._pool.shutdown()
        for each in self._done:
            each.result()

    def wait(self, folder: Path) -> None:
        """Until so much more has been written."""
        wanted = self.count + WRITES
        until(lambda: self.count >= wanted or any(each.done() for each in self._done), folder)


def browsers_of(site: Site, name: str, number: int) -> list[Browser]:
    browsers = [Browser(site.rotation, f"{name}-{each}") for each in range(number)]
    for browser in browsers:
        browser.log_in()
        browser.mark("first")
    return browsers


def test_nobody_is_logged_out_and_nothing_is_lost(site: Site) -> None:
    """Those who come all the time, and those who come back when all has been moved by the script."""
    site.at("C", "B", "A", "old")
    site.at("old")
    busy, away = browsers_of(site, "busy", SESSIONS), browsers_of(site, "away", SESSIONS)
    with Load(busy) as load:
        for steps in (("old",), ("old", "A"), ("A",), ("A", "B"), ("B",)):
            site.at(*steps)
            load.wait(site.folder)
        counts = site.script()
        for steps in (("B",), ("B", "C"), ("C",)):
            site.at(*steps)
            load.wait(site.folder)
    tally = Tally()
    for browser in (*busy, *away):
        tally.count(browser)
    print(f"\n{site.folder.name}: {tally}, script: {counts}")
    assert tally == Tally(sessions=2 * SESSIONS, writes=tally.writes)
    assert counts == {"moved": SESSIONS, "known": 0, "gone": 0, "failed": 0}
    assert site.script() == dict.fromkeys(counts, 0)  # nothing is left there


def test_a_deploy_without_step_a_would_log_out(site: Site) -> None:
    """The load can tell: workers of the old library know nothing of what the new ones have moved."""
    site.at("B", "old")
    site.at("old")
    busy = browsers_of(site, "busy", SESSIONS)
    with Load(busy) as load:
        for steps in (("old",), ("old", "B"), ("B",)):
            site.at(*steps)
            load.wait(site.folder)
    tally = Tally()
    for browser in busy:
        tally.count(browser)
    print(f"\n{site.folder.name}: {tally}")
    assert tally.lost > 0
    assert tally.unknown > 0


def test_tabs_at_the_moment_of_the_switch(site: Site) -> None:
    """Each browser comes with four tabs at once: all have one session, and what each of them writes is there."""
    site.at("B", "old")
    site.at("old")
    browsers = browsers_of(site, "ann", SESSIONS // 2)
    site.at("B")
    with ThreadPoolExecutor(16) as tabs:
        pages = list(tabs.map(lambda number: browsers[number // 4].page(), range(4 * len(browsers))))
        assert all("first" in page for page in pages)
        list(tabs.map(lambda number: browsers[number // 4].mark(f"key-{number}"), range(4 * len(browsers))))
    tally = Tally()
    for browser in browsers:
        tally.count(browser)
    assert tally == Tally(sessions=len(browsers), writes=5 * len(browsers))
    with redis.Redis.from_url(site.url) as client:
        assert len(client.keys("shop:*:session")) == len(browsers)
