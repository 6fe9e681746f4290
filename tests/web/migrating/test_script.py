"""`python -m session_store.web.migrating`: what it moves, counts and says."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from session_store import AsyncInMemoryClient, AsyncSessionStore, InMemoryClient, JsonCodec, SessionStore
from session_store.web import AsyncSessions, CookiePolicy, SessionPolicy, Sessions
from session_store.web.migrating import AsyncMigration, AsyncRedisBlobs, Migration, RedisBlobs, json_object
from session_store.web.migrating.__main__ import Progress, main

POLICY = SessionPolicy(idle=600, lifetime=6_000)


@pytest.fixture
def client() -> Iterator[Any]:
    """With a good session, a broken one, and keys of others."""
    with InMemoryClient() as client:
        client.set("blob:0123456789abcdef", json.dumps({"a": 1}))
        client.set("blob:too-short", json.dumps({"a": 1}))
        client.set("blobs:0123456789abcdef", json.dumps({"a": 1}))
        yield client


@pytest.fixture(params=["sync", "async"])
def shop(request: pytest.FixtureRequest, client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with a migration, and with a function that makes it."""

    def made() -> Any:
        if request.param == "sync":
            store = SessionStore(client, prefix="p", default_ttl=600, codec=JsonCodec())
            old = RedisBlobs(client, "blob:", json_object)
            return Migration(Sessions(store, policy=POLICY), old, cookie=CookiePolicy(name="session"))
        twin = AsyncInMemoryClient(server=client.connection_pool.connection_kwargs["server"])
        async_store = AsyncSessionStore(twin, prefix="p", default_ttl=600, codec=JsonCodec())
        blobs = AsyncRedisBlobs(twin, "blob:", json_object)
        return AsyncMigration(AsyncSessions(async_store, policy=POLICY), blobs, cookie=CookiePolicy(name="session"))

    module: Any = ModuleType("a_shop")
    module.made, module.migration = made, made()
    monkeypatch.setitem(sys.modules, "a_shop", module)
    return module


@pytest.mark.parametrize("name", ["made", "migration"])
def test_all_that_are_there_are_moved(shop: Any, client: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And no others; the second time there is nothing to do."""
    assert main([f"a_shop:{name}"]) == 0
    assert capsys.readouterr().out.startswith("1 moved, 0 were moved before, 0 ended meanwhile, 0 could not be moved")
    assert sorted(client.keys("blob*")) == [b"blob:too-short", b"blobs:0123456789abcdef"]
    assert main([f"a_shop:{name}", "--json", "--rate", "1000"]) == 0
    assert json.loads(capsys.readouterr().out) == {"moved": 0, "known": 0, "gone": 0, "failed": 0}


def test_what_cannot_be_moved_is_told(shop: Any, client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    client.set("blob:broken-broken-broken", b"\xff")
    assert main(["a_shop:migration"]) == 1
    printed = capsys.readouterr()
    assert "1 could not be moved" in printed.out
    assert "broken" not in printed.out + printed.err
    assert client.exists("blob:broken-broken-broken")


@pytest.mark.parametrize("arguments", [[], ["a_shop"], ["a_shop:made", "--rate", "0"]])
def test_arguments_that_are_wrong(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_it_keeps_to_its_rate() -> None:
    """The fourth one is due three quarters of a second after the beginning, at four a second."""
    begun = time.monotonic()
    progress = Progress(4)
    pauses = [progress.pause("moved") for _ in range(4)]
    assert pauses[-1] == pytest.approx(1, abs=0.25 + time.monotonic() - begun)
    assert Progress(None).pause("moved") == 0


def test_it_may_be_stopped(shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what it has done by then."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "pause", stop)
    main(["a_shop:migration"])
    printed = capsys.readouterr()
    assert "call it again to go on" in printed.err
    assert "0 moved" in printed.out


def test_a_terminal_is_told_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("session_store.web.migrating.__main__._TOLD_AFTER", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress(None)
    for _ in range(2):
        progress.pause("moved")
    assert capsys.readouterr().err.endswith("\r2 sessions")
