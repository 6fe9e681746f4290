"""`--session-store-url`: the same tests on a server, which looks as before when they are over."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from support.servers import free_port

from session_store.testing.places import on_server, refusal, remove

pytestmark = pytest.mark.long
pytest_plugins = ["pytester"]

WRITERS = """
import pytest
import redis

@pytest.mark.parametrize("number", range(6))
def test_writes(number, session_store, namespace, session_store_client):
    assert namespace.slots() == []
    session_store.namespace("other").hset("a", "b", "c")
    namespace.set("a", "1")
    namespace.incr("id")
    namespace.purge(fence=60)
    assert type(session_store_client) is redis.Redis

def test_fails(namespace):
    namespace.set("a", "1")
    namespace.purge(fence=60)
    assert namespace.get("a")
"""
IDLE = "def test_idle(): pass"


WRITTEN_FOR_MEMORY = """
def test_it(session_store_client, async_session_store_client):
    session_store_client.advance(60)

def test_its_async_client(async_session_store_client):
    async_session_store_client.simulate_concurrent_change("key")
"""


@pytest.fixture
def foreign(watcher: Any) -> Any:
    """Keys of others, with names close to ours; they must stay as they are."""
    name = uuid4().hex[:12]
    keys = {f"pytest-{name}:u:a": "1", f"pytest:{name}": "2", f"test:visitor-1:{name}": "3", f"session:{name}": "4"}
    watcher.mset(keys)
    yield keys
    watcher.delete(*keys)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "two processes"])
def test_nothing_is_left_and_nothing_else_touched(
    workers: tuple[str, ...], run: Any, server: Any, watcher: Any, foreign: dict[str, str]
) -> None:
    """Slots, indexes and fences go, also those of a test that fails; keys of others stay, and so do their TTLs."""
    before = set(watcher.keys())
    result = run(WRITERS, "--session-store-url", server.url, *workers)
    result.assert_outcomes(passed=6, failed=1)
    assert set(watcher.keys()) - before == set()  # of what other tests have left there, some may have expired
    assert watcher.mget(list(foreign)) == list(foreign.values())
    assert [watcher.ttl(key) for key in foreign] == [-1] * len(foreign)


def test_the_tests_of_one_server_have_prefixes_of_their_own(server: Any, watcher: Any) -> None:
    """Two tests at once do not see each other, and the end of one takes nothing from the other."""
    with on_server(server.url) as one:
        with on_server(server.url) as other:
            assert one.prefix != other.prefix
            one.client.set(f"{one.prefix}:u:a", "1")
            other.client.set(f"{other.prefix}:u:a", "2")
        assert watcher.get(f"{one.prefix}:u:a") == "1"
        assert watcher.get(f"{other.prefix}:u:a") is None


def test_thousands_of_keys_are_removed(prefix: str, watcher: Any) -> None:
    """More keys than one step takes, whatever their type and name, with a client that decodes its replies."""
    watcher.mset({f"{prefix}:u:{number}": "1" for number in range(2500)})
    watcher.execute_command("HSET", f"{prefix}:u:~index".encode() + b"\xff", "a", "1")
    watcher.set(f"{prefix}x:u:a", "1")
    remove(watcher, prefix)
    assert watcher.keys(f"{prefix}*") == [f"{prefix}x:u:a"]
    watcher.delete(f"{prefix}x:u:a")


def test_what_only_a_client_in_memory_can_do_says_so(run: Any, server: Any) -> None:
    """In words, where a test that passes in memory is run on a server."""
    result = run(WRITTEN_FOR_MEMORY, "--session-store-url", server.url)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E *NotImplementedError: advance is for clients in memory: *--session-store-url*"])
    result.stdout.fnmatch_lines(["E *NotImplementedError: simulate_concurrent_change is for clients in memory: *"])
    assert run(WRITTEN_FOR_MEMORY).parseoutcomes() == {"passed": 2}


def test_the_server_is_named_in_the_header(run: Any, server: Any) -> None:
    """A report tells where its tests ran, without the user and the password of the URL."""
    result = run(IDLE, "--session-store-url", server.url.replace("//", "//:@"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"session-store: fixtures on {server.url.replace('//', '//[*][*][*]@')}"])


def test_a_server_that_does_not_answer(run: Any) -> None:
    """One line says so, with the URL but not its password, and no test runs; a mistake in usage is exit code 4."""
    port = free_port()
    result = run(IDLE, "--session-store-url", f"redis://user:hush@127.0.0.1:{port}/0?password=hush")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    url = rf"redis://[*][*][*]@127.0.0.1:{port}/0[?]password=[*][*][*]"
    result.stderr.fnmatch_lines([f"ERROR: --session-store-url: no Redis server to use at {url}: *refused*"])
    assert "hush" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "test_idle" not in result.stdout.str()


def test_workers_do_not_ask_again(run: Any, server: Any, watcher: Any) -> None:
    """With pytest-xdist, the server is asked once, by the process that was started, which also says what is wrong."""
    result = run(IDLE, "--session-store-url", f"redis://127.0.0.1:{free_port()}", "-p", "xdist", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().count("no Redis server to use") == 1
    before = watcher.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
    run(IDLE, "--session-store-url", server.url, "-p", "xdist", "-n", "2").assert_outcomes(passed=1)
    assert watcher.info("commandstats")["cmdstat_ping"]["calls"] == before + 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:6379", "localhost:6379", "redis://h:port", "redis://h?colour=blue"])
def test_a_url_that_is_none_of_redis(url: str) -> None:
    """Schemes, ports and settings that redis-py does not know."""
    assert refusal(url) == f"{url} must be a URL that redis.Redis.from_url takes: redis://, rediss:// or unix://"


def test_a_server_that_refuses(server: Any) -> None:
    """A wrong password is told with the server's own words, and not shown."""
    why = refusal(server.url.replace("//", "//nobody:hush@"))
    assert why is not None
    assert "invalid username-password pair" in why
    assert "hush" not in why
    assert "\n" not in why


def test_looking_at_the_tests_needs_no_server(run: Any) -> None:
    """Nothing is asked of the server when nothing will run."""
    result = run(IDLE, "--session-store-url", f"redis://127.0.0.1:{free_port()}", "--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["test_it.py::test_idle"])
