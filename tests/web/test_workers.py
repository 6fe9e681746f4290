"""Two workers of a web server, with threads, tasks or greenlets in each, that serve one browser."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from support.programs import Answer, ask, listens, started, until
from support.servers import Server

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="the servers are those of Unix")]

GEVENT = "from gevent import monkey\nmonkey.patch_all()\nworker_class, workers = 'gevent', 2\n"


class Served(NamedTuple):
    """A shop of tests/web/served and the command that serves it. `packages`: what it needs."""

    shop: str
    command: str
    packages: tuple[str, ...]
    environment: dict[str, str] | None = None


SERVED = {
    "FastAPI on uvicorn": Served("fastapi", "uvicorn --workers 2 --port 8000", ("fastapi", "uvicorn")),
    "Flask on threads": Served("flask", "gunicorn --workers 2 --threads 4 -b 127.0.0.1:8000", ("flask", "gunicorn")),
    "Flask on greenlets": Served(
        "flask", "gunicorn -c gevent.conf.py -b 127.0.0.1:8000", ("flask", "gunicorn", "gevent")
    ),
    "Django on threads": Served("django", "gunicorn --workers 2 --threads 4 -b 127.0.0.1:8000", ("django", "gunicorn")),
    "Django on uvicorn": Served(
        "django", "uvicorn --workers 2 --port 8000 --lifespan off", ("django", "uvicorn"), {"DJANGO_ASYNC": "1"}
    ),
}


class Shop(NamedTuple):
    """A shop that runs."""

    port: int
    folder: Path

    def post(self, path: str, cookie: str = "") -> Answer:
        return ask(self.port, "POST", path, cookie)

    def page(self, cookie: str) -> dict[str, object]:
        answer = ask(self.port, "GET", "/", cookie)
        assert answer.status == 200, answer
        seen: dict[str, object] = json.loads(answer.body)
        return seen

    def at_once(self, paths: list[str], cookie: str) -> list[Answer]:
        """Sends these requests, eight at a time."""
        with ThreadPoolExecutor(8) as tabs:
            return list(tabs.map(lambda path: self.post(path, cookie), paths))


@pytest.fixture(params=SERVED, scope="module")
def shop(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    served = SERVED[request.param]
    for package in served.packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(Path(__file__).with_name("served") / f"{served.shop}_shop.py", folder)
    (folder / "gevent.conf.py").write_text(GEVENT)
    program, *arguments = served.command.split()
    arguments.append(f"{served.shop}_shop:application")
    with started(program, arguments, folder, server, served.environment) as port:
        until(lambda: listens(port), folder)
        yield Shop(port, folder)


@pytest.fixture
def cookie(shop: Shop) -> str:
    """Of a browser that has been there."""
    answer = shop.post("/mark/first")
    assert answer.status == 200, (shop.folder / "log").read_text()
    return answer.cookie


def test_nothing_is_lost(shop: Shop, cookie: str) -> None:
    """[6, 9] Until both workers have served some of it: each addition counts, and so does each key."""
    additions, marks, workers = 0, set[str](), set[int]()

    def both_were_asked() -> bool:
        nonlocal additions
        keys = [f"key-{len(marks) + number}" for number in range(16)]
        answers = shop.at_once([path for key in keys for path in ("/add", f"/mark/{key}")], cookie)
        assert {(answer.status, answer.cookie) for answer in answers} == {(200, "")}
        workers.update(json.loads(answer.body)["worker"] for answer in answers)
        additions += len(keys)
        marks.update(keys)
        return len(workers) == 2

    until(both_were_asked, shop.folder)
    assert shop.page(cookie) == {"first": 1, "owner": None, "count": additions} | dict.fromkeys(marks, 1)


def test_one_of_many_logins_has_the_session(shop: Shop, cookie: str) -> None:
    """[20] Who was slower was refused, or came later with a token that was nobody's by then, and has a session without it."""
    answers = shop.at_once(["/login"] * 8, cookie)
    pages = [shop.page(answer.cookie) for answer in answers if answer.cookie]
    assert {page["owner"] for page in pages} == {"ann"}
    assert sum("first" in page for page in pages) == 1
    assert {answer.status for answer in answers if not answer.cookie} <= {400, 409}
    assert shop.page(cookie) == {"owner": None}


def test_a_logout_is_final(shop: Shop, cookie: str) -> None:
    """[13] Whatever else is under way in the other worker, no answer brings it back, nor another one in its place."""
    answers = shop.at_once([*(["/mark/other", "/add"] * 8), "/logout", *(["/mark/other"] * 16)], cookie)
    late = [shop.page(answer.cookie) for answer in answers if answer.cookie and answer.cookie.partition("=")[2]]
    assert all("first" not in page for page in late)
    assert shop.page(cookie) == {"owner": None}
