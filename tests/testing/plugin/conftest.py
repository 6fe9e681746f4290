"""What the tests of the plugin share: a pytest run of its own, with chosen async plugins, and warnings as errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import redis

# A connection that nobody closed is noticed when it is collected: right after its test. redis-py has no use for trio.
COLLECT = """
import gc
import pytest

@pytest.fixture(autouse=True)
def collect():
    yield
    gc.collect()

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
STRICT = ("-W", "error", "--strict-markers", "-p", "no:cacheprovider")


class Setting(NamedTuple):
    """A way to run async tests: the options that choose the plugin and its mode, and how tests are marked."""

    name: str
    plugins: tuple[str, ...]
    mark: str = ""


NEITHER = ("-p", "no:asyncio", "-p", "no:anyio")
_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
SETTINGS = (
    Setting("asyncio-auto", ("-p", "no:anyio", *_SCOPE, "-o", "asyncio_mode=auto")),
    Setting("asyncio-strict", ("-p", "no:anyio", *_SCOPE), "@pytest.mark.asyncio"),
    Setting("anyio-auto", ("-p", "no:asyncio", "-o", "anyio_mode=auto")),
    Setting("anyio-strict", ("-p", "no:asyncio"), "@pytest.mark.anyio"),
    Setting("both", (*_SCOPE, "-o", "asyncio_mode=strict"), "@pytest.mark.anyio"),
)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """A function that runs pytest, in a process of its own, on the source of a test file and maybe of a conftest."""

    def run(source: str, *options: str, conftest: str = "", plugins: tuple[str, ...] = NEITHER) -> pytest.RunResult:
        pytester.makeconftest(COLLECT + conftest)
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_subprocess(*STRICT, *plugins, *options)

    return run


@pytest.fixture(params=SETTINGS, ids=lambda setting: setting.name)
def setting(request: pytest.FixtureRequest) -> Setting:
    """Each way to run async tests."""
    return request.param


@pytest.fixture
def watcher(server: Any) -> Iterator[redis.Redis]:
    """A client that looks into the server."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client
