"""The tables and defaults of the pages agree with the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis
from docs.pages import DOCS, code_words
from support.recorder import Recorder
from support.servers import Server

import session_store
import session_store.testing
from session_store import (
    AsyncSessionStore,
    CasOps,
    CasPolicy,
    CasSnapshot,
    Directory,
    InMemoryClient,
    Namespace,
    SessionStore,
    SessionStoreError,
)
from session_store.testing import explore
from session_store.testing.interleavings.moves import FAULTS


def public(of: type) -> list[str]:
    """The methods of a class, in the alphabet."""
    return [name for name in dir(of) if not name.startswith("_") and callable(getattr(of, name))]


def signature(of: type, name: str) -> str:
    """How a method is called: without types, as the pages write it."""
    found = inspect.signature(getattr(of, name))
    plain = [each.replace(annotation=each.empty) for each in found.parameters.values()][1:]
    arguments = found.replace(parameters=plain, return_annotation=found.empty)
    return f"{name}{arguments}".replace("Ellipsis", "...")


@pytest.mark.parametrize(
    ("page", "heading", "of"),
    [
        ("namespaces", "method", Namespace),
        ("namespaces", "method of a store", SessionStore),
        ("directories", "method of a directory", Directory),
        ("with-cas", "method of `snap`", CasSnapshot),
        ("with-cas", "method of `ops`", CasOps),
    ],
)
def test_the_tables_of_methods_are_complete(page: str, heading: str, of: type) -> None:
    """Every method, with its arguments and their defaults."""
    shown = [code_words(row[0])[0] for row in DOCS[page].table(heading)]
    assert sorted(shown) == [signature(of, name) for name in public(of)]


def test_the_table_of_settings_is_complete() -> None:
    """Every setting of a store, in its order, with its default."""
    settings = inspect.signature(AsyncSessionStore).parameters.values()
    plain = [(each.name, "" if each.default is each.empty else repr(each.default)) for each in settings]
    rows = [(code_words(name)[0], default.strip("`")) for name, default, _ in DOCS["namespaces"].table("setting")]
    assert rows == [(name, default.replace(repr(CasPolicy()), "CasPolicy()")) for name, default in plain]


def test_the_policy_is_described() -> None:
    """Its defaults and its settings; the methods of the client in memory are named."""
    page = DOCS["with-cas"]
    assert f"`{CasPolicy()!r}`" in page.text
    assert [code_words(name)[0] for name, _ in page.table("setting")] == list(inspect.signature(CasPolicy).parameters)
    for name in ("advance", "sibling", "simulate_concurrent_change"):
        assert f"`{signature(InMemoryClient, name)}`" in DOCS["handlers"].prose


def test_the_errors_table_is_complete() -> None:
    """Every error of the library but the base, with the attributes that it has."""
    errors = {name for name in session_store.__all__ if name.endswith("Error")} - {"SessionStoreError"}
    rows = {code_words(row[0])[0]: code_words(row[2]) for row in DOCS["errors"].table("error")}
    assert rows.keys() == errors
    for name, attributes in rows.items():
        error = getattr(session_store, name)
        assert issubclass(error, SessionStoreError)
        assert attributes == list(inspect.signature(error).parameters)


def test_the_events_table_is_complete() -> None:
    """What happens to a store is logged under these names, at these levels, with these fields."""
    logged = []

    class Logger:
        def info(self, event: str, **fields: object) -> None:
            logged.append(["info", event, list(fields)])

        def warning(self, event: str, **fields: object) -> None:
            logged.append(["warning", event, list(fields)])

    client = InMemoryClient()
    ns = SessionStore(client, prefix="shop", default_ttl=60, logger=Logger()).namespace("user-45")
    ns.touch()
    ns.purge()
    for _ in range(2):
        client.simulate_concurrent_change(ns.key("a"))
    with pytest.raises(session_store.CasContentionError):
        ns.with_cas("a", lambda snap, ops: ops.set("a", "1"), max_retries=1)
    rows = [[level, *code_words(event), code_words(fields)] for level, event, fields in DOCS["events"].table("level")]
    assert rows[:4] == logged
    assert rows[4] == ["warning", "session-store: cas-commit-unknown", ["key", "attempt", "ts"]]


def test_the_explorer_is_described() -> None:
    """What the prose says of its arguments, the table of faults, and each name of `session_store.testing`."""
    page = DOCS["testing"]
    defaults = {name: each.default for name, each in inspect.signature(explore).parameters.items()}
    assert f"a budget** of {defaults['budget']:,}" in page.text
    assert f"{defaults['samples']} others (`samples=`)" in page.text
    for name in ("patience", "max_steps", "time_limit"):
        assert f"`{name}={defaults[name]}`" in page.text
    assert [code_words(fault)[0] for fault, _ in page.table("fault")] == list(FAULTS)
    assert [name for name in session_store.testing.__all__ if not re.search(rf"\b{name}\b", page.text)] == []


def record_one(snap: Any, ops: Any) -> None:
    ops.hset("h", "f", snap.hget("h", "f") or "0")


def raise_one(snap: Any, ops: Any) -> None:
    raise LookupError


def store_of(ns: Namespace) -> SessionStore[str]:
    return SessionStore(ns._commands.client, prefix=ns._settings.keyspace.prefix, default_ttl=60)


CALLS: dict[str, Callable[[Namespace], object]] = {
    "get": lambda ns: ns.get("s"),
    "exists": lambda ns: ns.exists("s"),
    "ttl": lambda ns: ns.ttl("s"),
    "hget": lambda ns: ns.hget("h", "f"),
    "hgetall": lambda ns: ns.hgetall("h"),
    "hkeys": lambda ns: ns.hkeys("h"),
    "hlen": lambda ns: ns.hlen("h"),
    "hexists": lambda ns: ns.hexists("h", "f"),
    "hmget": lambda ns: ns.hmget("h", ["f", "g"]),
    "set": lambda ns: ns.set("s", "1", nx=True),
    "delete": lambda ns: ns.delete("s"),
    "hset": lambda ns: ns.hset("h", mapping={"f": "1", "g": "2"}),
    "hdel": lambda ns: ns.hdel("h", "g"),
    "hincrby": lambda ns: ns.hincrby("h", "f"),
    "incr": lambda ns: ns.incr("n"),
    "slots": lambda ns: ns.slots(),
    "load` with names": lambda ns: ns.load("s", "h"),
    "load` of all slots": lambda ns: ns.load(),
    "load_many": lambda ns: store_of(ns).load_many(["u", "v"], "s"),
    "purge_many": lambda ns: store_of(ns).purge_many(["u", "v"]),
    "add": lambda ns: store_of(ns).directory("d").add("ann", "u"),
    "remove": lambda ns: store_of(ns).directory("d").remove("ann", "u"),
    "list": lambda ns: store_of(ns).directory("d").list("ann", slot="h"),
    "create": lambda ns: ns.create(lifetime=9),
    "batch": lambda ns: ns.batch(lambda ops: ops.set("s", "1")),
    "kind": lambda ns: ns.kind("h"),
    "touch": lambda ns: ns.touch(),
    "touch` with names": lambda ns: ns.touch("h", "s"),
    "purge": lambda ns: ns.purge(),
    "with_cas`": lambda ns: ns.with_cas("h", record_one),
    "with_cas` whose closure raises": lambda ns: ns.with_cas("h", raise_one),
}


def documented_costs() -> dict[str, list[list[str]]]:
    """The table of costs: for each call, the kinds of commands in each round trip."""
    costs = {}
    for call, commands, round_trips in DOCS["costs"].table("call"):
        if round_trips in ("1", "2"):
            calls = (
                [call.removeprefix("`")]
                if call.startswith(("`with_cas", "`load`", "`touch` with"))
                else code_words(call)
            )
            for name in calls:
                text = commands.replace("the one of that name", name.upper()).partition(";")[0]
                costs[name] = [re.findall(r"[A-Z]{3,}", part) for part in text.split("then")]
                assert len(costs[name]) == int(round_trips)
    return costs


COSTS = documented_costs()


def test_the_table_of_costs_has_every_method() -> None:
    """None is left out but those that send nothing."""
    methods = {name for name in dir(Namespace) if not name.startswith("_")} - {"name", "key", "with_cas", "load"}
    assert COSTS.keys() == CALLS.keys()
    assert methods <= COSTS.keys()


@pytest.mark.parametrize("call", CALLS)
def test_the_table_of_costs_is_right(call: str, server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What travels is what the table says, once the server knows the scripts."""
    with redis.Redis(port=server.port) as client:
        ns = SessionStore(client, prefix=prefix, default_ttl=60).namespace("u")
        ns.purge()
        ns.load("s")
        for prepare in ("purge_many", "create", "hset", "incr", "touch", "with_cas`", "add", "remove", "list", "add"):
            CALLS[prepare](ns)
        recorder = Recorder(monkeypatch)
        try:
            CALLS[call](ns)
        except LookupError:
            pass  # the one that a closure raises
        assert [list(dict.fromkeys(write)) for write in recorder.writes] == COSTS[call]
        ns.purge()
