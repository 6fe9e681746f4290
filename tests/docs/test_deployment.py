"""The servers of docs/deployment.md, started by the commands that it gives, on the files that it shows."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from docs.pages import DOCS, ROOT
from support.programs import SECONDS, Answer, ask, listens, started, until
from support.servers import Server

from session_store import SessionStore

PAGE = DOCS["deployment"]
COMMANDS = [line for block in PAGE.blocks if block.language == "sh" for line in block.code.splitlines()]
MODULES = {
    "gunicorn": "gunicorn",
    "uwsgi": "pyuwsgi",
    "celery": "celery",
    "uvicorn": "uvicorn",
}  # programs, and what has them
SERVERS = [command for command in COMMANDS if "shop:app " in f"{command} " or "uwsgi.ini" in command]

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="the servers are those of Unix")]


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A Redis of their own: Celery and Django keep keys without a prefix of ours."""
    server = Server()
    yield server
    server.stop()


@contextmanager
def commanded(command: str, folder: Path, server: Server) -> Iterator[int]:
    """Runs a command of the page in a folder with its files. Gives the port."""
    program, *arguments = shlex.split(command)
    for module in (MODULES[program], *(name for name in ("gevent", "django") if name in command)):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    for block in PAGE.blocks:
        if block.file:
            (folder / block.file).write_text(block.code)
    with started(program, arguments, folder, server, {"SECRET_KEY": "of this test"}) as port:
        yield port


def post(port: int, path: str, cookie: str = "") -> Answer:
    return ask(port, "POST", path, cookie)


@pytest.mark.parametrize(
    "command",
    [*SERVERS, "uwsgi --ini uwsgi.ini --lazy-apps --http-socket 127.0.0.1:8000", "gunicorn -w 2 -b :8000 shop:app"],
)
def test_two_workers_count_every_visit(command: str, own_server: Server, tmp_path: Path) -> None:
    """Threads or greenlets of two processes write to one session at once: each visit has a number of its own."""
    visits: list[int] = []
    workers: set[int] = set()
    with redis.Redis(port=own_server.port) as client, commanded(command, tmp_path, own_server) as port:
        ns = SessionStore(client, prefix="shop", default_ttl=60).namespace("everybody")
        ns.delete("visits")
        until(lambda: listens(port), tmp_path)

        def both_were_asked() -> bool:
            with ThreadPoolExecutor(8) as visitors:
                for status, body, _ in visitors.map(lambda _: post(port, "/visit"), range(64)):
                    assert status == 200, body
                    visits.append(json.loads(body)["visits"])
                    workers.add(json.loads(body)["worker"])
            return len(workers) >= 2

        until(both_were_asked, tmp_path)
        assert sorted(visits) == list(range(1, len(visits) + 1))
        assert ns.get("visits") == str(len(visits))
        if "asgi" not in command:
            assert ns.get("starts") is not None  # the call that came before the fork, or before the first request


@pytest.mark.parametrize("command", SERVERS)
def test_a_worker_that_is_killed_loses_and_doubles_nothing(command: str, own_server: Server, tmp_path: Path) -> None:
    """In the middle of many visits: those that were answered have numbers of their own, and the rest goes on."""
    with redis.Redis(port=own_server.port) as client, commanded(command, tmp_path, own_server) as port:
        ns = SessionStore(client, prefix="shop", default_ttl=60).namespace("everybody")
        ns.delete("visits")
        until(lambda: listens(port), tmp_path)
        _, body, _ = post(port, "/visit")
        first = json.loads(body)
        numbers = [first["visits"]]

        def visit(number: int) -> None:
            if number == 16:
                os.kill(first["worker"], signal.SIGKILL)
            with suppress(OSError, http.client.HTTPException):  # who was with the one that was killed
                status, body, _ = post(port, "/visit")
                assert status == 200, body
                numbers.append(json.loads(body)["visits"])

        with ThreadPoolExecutor(8) as visitors:
            list(visitors.map(visit, range(64)))
        until(lambda: post(port, "/visit").status == 200, tmp_path)
        assert len(numbers) == len(set(numbers)) > 16
        assert max(numbers) < int(ns.get("visits") or 0) <= 1 + 64 + 1


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("celery")])
def test_celery_pays_once(command: str, own_server: Server, tmp_path: Path) -> None:
    """What is delivered twice, at the same time perhaps, is booked once."""
    send = "import tasks; [tasks.paid.apply_async(('ann', 10), task_id=f'id-{n}') for n in range(40) for _ in 'ab']"
    with redis.Redis(port=own_server.port) as client, commanded(command, tmp_path, own_server):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": f"redis://127.0.0.1:{own_server.port}"}
        subprocess.run([sys.executable, "-c", send], cwd=tmp_path, env=environment, check=True, timeout=SECONDS)
        until(lambda: client.llen("celery") + client.hlen("unacked") + client.zcard("unacked_index") == 0, tmp_path)
        ns = SessionStore(client, prefix="shop", default_ttl=60).namespace("ann")
        assert ns.load("payments", "total") == {"payments": {f"id-{n}": "10" for n in range(40)}, "total": "400"}


def test_django_keeps_a_basket_for_each_visitor(own_server: Server, tmp_path: Path) -> None:
    """And until the logout, after which its cookie begins another one."""
    [command] = [each for each in COMMANDS if "django_shop" in each]
    with commanded(command, tmp_path, own_server) as port:
        until(lambda: listens(port), tmp_path)
        assert post(port, "/basket/tea")[:2] == (200, b'{"tea": 1}')
        _, _, cookie = post(port, "/basket/tea")
        for count in (2, 3):
            assert post(port, "/basket/tea", cookie)[:2] == (200, b'{"tea": %d}' % count)
        assert post(port, "/logout", cookie)[0] == 200
        assert post(port, "/basket/tea", cookie)[:2] == (200, b'{"tea": 1}')
    with redis.Redis(port=own_server.port) as client:
        store = SessionStore(client, prefix="shop", default_ttl=60)
        baskets = [store.namespace(name).hgetall("lines") for name in store.namespaces()]
        assert [basket for basket in baskets if basket] == [{"tea": "1"}] * 2
