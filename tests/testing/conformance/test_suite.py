"""How the conformance suite runs: by pytest without plugins, by unittest, by hand; and what it does when it cannot."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import redis
import redis.asyncio
from support.servers import Server, free_port
from testing.conformance import defects, rewriting

from session_store.testing import AsyncClientConformance, ClientConformance
from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient

SUITES = [ClientConformance, AsyncClientConformance]
FLAVOURS = pytest.mark.parametrize("flavour", SUITES, ids=["sync", "async"])


def names_of(suite: type) -> list[str]:
    return [name for name in dir(suite) if name.startswith("test_")]


def in_memory(flavour: Any) -> Any:
    """A suite of the flavour, on clients in memory."""
    client_class = InMemoryClient if flavour is ClientConformance else AsyncInMemoryClient

    class Suite(flavour):
        first = client_class()

        def make_client(self) -> Any:
            return self.first.sibling()

    return Suite


def by_rule(flavour: Any, port: int, rule: Any) -> Any:
    """A suite of the flavour, on clients that send something else."""
    options = rewriting.rewriting(rule) if flavour is ClientConformance else rewriting.async_rewriting(rule)

    class Suite(flavour):
        def make_client(self) -> Any:
            return defects.client(port, **options)

    return Suite()


def test_both_flavours_have_the_same_tests() -> None:
    """Each says in one line what a client must do."""
    assert names_of(ClientConformance) == names_of(AsyncClientConformance)
    for suite in SUITES:
        for name in names_of(suite):
            assert getattr(suite, name).__doc__.endswith(".")
            assert "\n" not in getattr(suite, name).__doc__


def test_pytest_runs_it_without_plugins(tmp_path: Path) -> None:
    """A subclass of either flavour is all that a test module holds; a fixture may choose the client."""
    (tmp_path / "test_mine.py").write_text(
        dedent("""
            import pytest
            from session_store.testing import AsyncClientConformance, ClientConformance
            from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient

            class TestMine(ClientConformance):
                @pytest.fixture(autouse=True, params=[2, 3])
                def choose(self, request):
                    self.first = InMemoryClient(protocol=request.param)

                def make_client(self):
                    return self.first.sibling()

            class TestAsync(AsyncClientConformance):
                first = AsyncInMemoryClient()

                def make_client(self):
                    return self.first.sibling()
        """)
    )
    options = ("-q", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:cacheprovider", "-W", "error")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert f"{3 * len(names_of(ClientConformance))} passed" in run.stdout
    assert run.returncode == 0


@FLAVOURS
def test_unittest_runs_it(flavour: Any) -> None:
    """With TestCase as a second base."""
    case = type("Case", (in_memory(flavour), unittest.TestCase), {})
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = suite.run(unittest.TestResult())
    assert result.testsRun == len(names_of(flavour))
    assert (result.failures, result.errors, result.skipped) == ([], [], [])


@FLAVOURS
def test_a_suite_without_clients_says_what_to_define(flavour: Any) -> None:
    """make_client has to be overridden."""
    mine = type("TestMine", (flavour,), {})
    with pytest.raises(NotImplementedError, match="TestMine must define make_client"):
        mine().test_values_come_back()


@FLAVOURS
def test_a_client_of_another_kind_is_refused_as_the_store_refuses_it(flavour: Any) -> None:
    """No test is blamed for it."""
    other = AsyncInMemoryClient if flavour is ClientConformance else InMemoryClient

    class Suite(flavour):
        def make_client(self) -> Any:
            return other()

    with pytest.raises(TypeError, match="client must be a redis"):
        Suite().test_values_come_back()


@FLAVOURS
def test_a_server_out_of_reach_is_an_error_of_its_own(flavour: Any) -> None:
    """No test is blamed for it."""
    client_class = redis.Redis if flavour is ClientConformance else redis.asyncio.Redis
    port = free_port()

    class Suite(flavour):
        def make_client(self) -> Any:
            return client_class(port=port, retry=None)

    with pytest.raises(redis.ConnectionError):
        Suite().test_values_come_back()


@FLAVOURS
def test_keys_are_removed_after_a_failure(flavour: Any, server: Server) -> None:
    """A test that fails leaves nothing behind either."""
    suite = by_rule(flavour, server.port, rewriting.without_expiry)
    with pytest.raises(AssertionError):
        suite.test_times_are_in_milliseconds()
    with redis.Redis(port=server.port) as onlooker:
        assert list(onlooker.scan_iter("conformance-*")) == []


@FLAVOURS
def test_keys_that_cannot_be_removed_are_told_of(flavour: Any, server: Server) -> None:
    """The test has passed, but fails."""
    suite = by_rule(flavour, server.port, rewriting.never_removed)
    with pytest.raises(AssertionError, match="Seen: its keys could not be removed: ResponseError"):
        suite.test_blank_values_come_back()
    with redis.Redis(port=server.port) as onlooker:
        for key in onlooker.scan_iter("conformance-*"):
            onlooker.delete(key)


def test_a_failure_says_what_the_client_must_do_and_what_is_broken() -> None:
    """The whole message, of a client that takes two servers for one."""

    class Suite(ClientConformance):
        def make_client(self) -> Any:
            return InMemoryClient()

    with pytest.raises(AssertionError) as failure:
        Suite().test_a_write_is_seen_by_other_clients_at_once()
    assert str(failure.value) == (
        "What one client has written the next read of another one sees: no cache and no replica answers it.\n"
        "  Seen: after 0 another client's GET answered None\n"
        "  Otherwise: a request does not see what the one before it has stored."
    )


@FLAVOURS
def test_six_connections_are_enough(flavour: Any, server: Server) -> None:
    """A pool that has no more to lend gives no error."""
    module = redis if flavour is ClientConformance else redis.asyncio

    class Suite(flavour):
        def make_client(self) -> Any:
            return module.Redis.from_pool(module.ConnectionPool(port=server.port, max_connections=6))

    for name in names_of(Suite):
        getattr(Suite(), name)()
