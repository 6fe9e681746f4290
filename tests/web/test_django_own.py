"""[54] Django's own tests of session engines, and of its session middleware, over the engine. They come with its sdist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
RUN = """
import json, sys, unittest
import django
from django.conf import settings
from session_store import InMemoryClient

CLIENT = InMemoryClient()
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions", "sessions_tests"],
    SECRET_KEY="x" * 50,
    SESSION_ENGINE="session_store.web.django",
    SESSION_STORE={"client": CLIENT, "prefix": "django", "lifetime": 90 * 86_400},
    USE_TZ=%(use_tz)s,
)
django.setup()
from django.test import SimpleTestCase
from django.test.runner import DiscoverRunner
from sessions_tests import tests
from session_store.web.django import SessionMiddleware, SessionStore


class Engine(tests.SessionTestsMixin, SimpleTestCase):
    backend = SessionStore


class Middleware(tests.SessionMiddlewareTests):
    pass


if %(ours)s:
    tests.SessionMiddleware = SessionMiddleware
suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, (Engine, Middleware)))
runner = DiscoverRunner(verbosity=0)
databases = runner.setup_databases()
result = unittest.TextTestRunner(verbosity=2).run(suite)
runner.teardown_databases(databases)
bad = {test.id().rpartition(".")[2]: text for test, text in (*result.failures, *result.errors)}
print(json.dumps({"run": result.testsRun, "skipped": len(result.skipped), "bad": bad}))
"""
CANNOT = {
    False: {"test_empty_session_saved"},  # reads Django's table of sessions, which the engine has no use for
    True: {
        "test_empty_session_saved",
        # Wants the cookie with every answer: ours sends it with a new token only, and it lasts as long as the session may.
        "test_save_every_request_with_non_empty_session_renews_session_cookie",
    },
}


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Django's tests, of the version that is installed."""
    folder = tmp_path_factory.mktemp("django")
    wanted = ["--no-deps", "--no-binary", ":all:", f"django=={django.__version__}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "0"]
    done = subprocess.run([*pip, *wanted, "--dest", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Django's sdist cannot be had here: {done.stderr.strip().splitlines()[-1:]}")
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        # Python has the filter from 3.11.4 on, and later versions warn without it.
        tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    [tests] = folder.glob("[Dd]jango-*/tests")
    return tests


@pytest.mark.parametrize("use_tz", [True, False], ids=["USE_TZ", "naive"])
@pytest.mark.parametrize("ours", [False, True], ids=["django's middleware", "ours"])
def test_djangos_own_tests(tests: Path, use_tz: bool, ours: bool) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tests}"}
    script = RUN % {"use_tz": use_tz, "ours": ours}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    source = (tests / "sessions_tests" / "tests.py").read_text()
    there = {name for name in CANNOT[ours] if f"def {name}(" in source}  # Django 4.2 does not have all of them
    assert set(result["bad"]) == there, done.stderr
    assert (result["run"] > 30, result["skipped"]) == (
        True,
        0,
    )  # 77 of Django 5.2; older ones have fewer that are async
