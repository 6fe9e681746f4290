"""What README.md says is true: its code runs, its commands exist, and its tables agree with the code."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import redis
import redis.asyncio
from support.recorder import Recorder
from support.servers import Server

import session_store
from session_store import AsyncInMemoryClient, CasPolicy, Namespace, SessionStore, SessionStoreError

with warnings.catch_warnings():
    # Starlette asks for a new name of httpx, which its older versions do not know.
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
    from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    line: int  # of README.md, where its code begins
    code: str


FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [Block(match[1], README.count("\n", 0, match.start(2)), match[2]) for match in FENCED.finditer(README)]
PROSE = FENCED.sub("", README)


@pytest.fixture
def names(server: Server) -> Iterator[dict[str, Any]]:
    """The names that the README's blocks define, after they have run in order on the server."""
    names: dict[str, Any] = {"__name__": "readme"}
    with redis.Redis(port=server.port) as client:
        for block in BLOCKS:
            if block.language == "python":
                code = block.code.replace("Redis()", f"Redis(port={server.port})")
                source = "\n" * block.line + code  # a traceback then shows the line of the README
                exec(compile(source, ROOT / "README.md", "exec", dont_inherit=True), names)
        yield names
        names["client"].close()
        keys = client.keys("shop:*")
        assert [client.pttl(key) for key in keys if client.pttl(key) < 0] == []
        if keys:
            client.delete(*keys)


def table(heading: str) -> list[list[str]]:
    """The rows of a table, found by its first heading; code marks are left as they are."""
    lines = README.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code_words(text: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", text)


def test_every_block_of_code_is_run(names: dict[str, Any]) -> None:
    """There are no languages but these two, and the blocks reach for a server only by the client's defaults."""
    assert {block.language for block in BLOCKS} == {"python", "sh"}
    assert len(BLOCKS) * 2 == len(re.findall(r"^ *(?:```|~~~)", README, re.MULTILINE))
    assert README.count("redis.Redis()") == README.count("redis.asyncio.Redis()") == 2
    assert "redis://" not in "".join(block.code for block in BLOCKS if block.language == "python")
    assert {"checkout", "fastapi_app", "flask_app", "audited", "drafts"} <= names.keys()


def test_the_readme_s_own_tests_pass(names: dict[str, Any]) -> None:
    """What it shows for testing handlers is a set of tests that hold."""
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 6
    for test in tests:
        test()


def kept(names: dict[str, Any], name: str, add: Callable[[str], int]) -> None:
    """Has two tabs put in 20 pieces each: those that were answered with 200 are in the basket, and the total is right."""

    def press(article: str) -> int:
        return [add(article) for _ in range(20)].count(200)

    with ThreadPoolExecutor(2) as tabs:
        tea, cup = tabs.map(press, ["tea", "cup"])
    ns = names["store"].namespace(name)
    assert ns.hgetall("basket") == {"tea": str(tea), "cup": str(cup), "total": str(450 * tea + 1_200 * cup)}
    assert 86_300 < ns.ttl("basket") <= 86_400


def test_the_fastapi_handler_on_a_server(names: dict[str, Any]) -> None:
    """Two tabs of one visitor, and what is not to be had."""
    with TestClient(names["app"], base_url="https://shop") as http:
        name = names["name_of"](begin(http))
        names["store"].namespace(name).delete("basket")
        assert http.post("/basket/pot").status_code == 404
        kept(names, name, lambda article: http.post(f"/basket/{article}").status_code)


def begin(http: TestClient, cookie: str | bytes | None = None) -> str:
    """A first request, with a cookie or without one: the session that it begins, which is a new one."""
    headers = (
        {} if cookie is None else {"cookie": b"session=" + (cookie.encode() if isinstance(cookie, str) else cookie)}
    )
    response = http.post("/basket/tea", headers=headers)
    assert (response.status_code, response.json()) == (200, {"tea": "1", "total": "450"})
    token, *attributes = response.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(attributes)
    return token.removeprefix("session=")


def test_the_fastapi_handler_gives_a_new_visitor_a_session(names: dict[str, Any]) -> None:
    """And keeps to it. What is stored is not what the visitor sends."""
    client = AsyncInMemoryClient()
    with TestClient(names["fastapi_app"](client), base_url="https://shop") as http:
        token = begin(http)
        assert len(token) == 43
        second = http.post("/basket/tea")
        assert (second.json(), "set-cookie" in second.headers) == ({"tea": "2", "total": "900"}, False)
    keys = session_store.InMemoryClient(server=client.server).keys()
    assert len(keys) == 3
    assert [key for key in keys if token.encode() in key or not key.startswith(b"shop:session-")] == []


COOKIES = [
    "invented",
    "x" * 43,
    "global-orders",
    "a:b:c:d:e:f",
    "session-",
    "{a}",
    '""',
    "",
    "Grüße",
    b"\xff",
    b'"\\355\\240\\200"',
]


@pytest.mark.parametrize("cookie", COOKIES)
def test_the_fastapi_handler_takes_no_cookie_for_a_session(names: dict[str, Any], cookie: str | bytes) -> None:
    """That it did not give out: neither one that fits, nor the name of another namespace, nor that of a session."""
    client = AsyncInMemoryClient()
    store = SessionStore(session_store.InMemoryClient(server=client.server), prefix="shop", default_ttl=60)
    others = store.namespace("global-orders")
    others.hset("basket", "tea", "7")
    with TestClient(names["fastapi_app"](client), base_url="https://shop") as http:
        token = begin(http, cookie)
        name = names["name_of"](token)
        http.cookies.clear()
        assert begin(http, name) not in (cookie, token, name)
    assert len(list(store.namespaces())) == 3
    assert others.load() == {"basket": {"tea": "7"}}
    assert 0 < others.ttl("basket") <= 60


def test_the_fastapi_handler_renews_a_session_and_forgets_it(names: dict[str, Any]) -> None:
    """It lasts for a day after the last request, and its cookie is then worth nothing."""
    client = AsyncInMemoryClient()
    sync = session_store.InMemoryClient(server=client.server)
    with TestClient(names["fastapi_app"](client), base_url="https://shop") as http:
        old = begin(http)
        for count in ("2", "3"):
            sync.advance(86_000)
            assert http.post("/basket/tea").json()["tea"] == count
        sync.advance(86_401)
        assert begin(http, old) != old


def test_the_fastapi_handler_answers_409_to_contention(names: dict[str, Any]) -> None:
    """When all four attempts lose, nothing is written."""
    client = AsyncInMemoryClient()
    store = SessionStore(session_store.InMemoryClient(server=client.server), prefix="shop", default_ttl=1)
    with TestClient(names["fastapi_app"](client), base_url="https://shop") as http:
        ns = store.namespace(names["name_of"](begin(http)))
        for _ in range(4):
            client.simulate_concurrent_change(ns.key("basket"))
        assert http.post("/basket/tea").status_code == 409
        assert http.post("/basket/tea").json() == {"tea": "2", "total": "900"}


VISITORS = 300  # more than the connections that a client of redis-py may open by default


def test_the_fastapi_handler_serves_many_visitors_at_once(names: dict[str, Any], server: Server) -> None:
    """On a client as it is by default: each is given a session, and finds what it put in."""

    async def visit(app: Any) -> tuple[Any, str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop") as http:
            await http.post("/basket/tea")
            return (await http.post("/basket/cup")).json(), http.cookies["session"]

    async def all_at_once() -> list[tuple[Any, str]]:
        async with redis.asyncio.Redis(port=server.port) as client:
            app = names["fastapi_app"](client)
            return await asyncio.gather(*(visit(app) for _ in range(VISITORS)))

    visits = asyncio.run(all_at_once())
    assert [seen for seen, _ in visits] == [{"cup": "1", "total": "1650"}] * VISITORS
    assert len({token for _, token in visits}) == VISITORS


def test_the_flask_handler_serves_many_visitors_at_once(names: dict[str, Any]) -> None:
    """The same in threads."""
    together = threading.Barrier(VISITORS)

    def visit(_: int) -> Any:
        http = names["wsgi"].test_client()
        together.wait()
        http.post("/basket/tea")
        return http.post("/basket/cup").json

    with ThreadPoolExecutor(VISITORS) as threads:
        assert list(threads.map(visit, range(VISITORS))) == [{"cup": "1", "total": "1650"}] * VISITORS


def test_the_flask_handler_on_a_server(names: dict[str, Any]) -> None:
    """Two tabs of one visitor, and what is not to be had."""

    def add(article: str) -> int:
        http = names["wsgi"].test_client()
        with http.session_transaction() as cookie:
            cookie["id"] = "visitor-4"
        return http.post(f"/basket/{article}").status_code

    assert add("pot") == 404
    kept(names, "session-visitor-4", add)


@pytest.mark.parametrize(
    "cookie", ["", "global-orders", "eyJpZCI6Imdsb2JhbC1vcmRlcnMifQ.aR0-Xg.AAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_the_flask_handler_takes_signed_cookies_only(names: dict[str, Any], cookie: str) -> None:
    """Whoever brings another one, or none, is given a session; its cookie is for TLS and this site, not for scripts."""
    client = session_store.InMemoryClient()
    http = names["flask_app"](client).test_client()
    if cookie:
        http.set_cookie("session", cookie)
    first = http.post("/basket/tea")
    assert (first.status_code, first.json) == (200, {"tea": "1", "total": "450"})
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= set(first.headers["set-cookie"].split("; "))
    assert http.post("/basket/tea").json == {"tea": "2", "total": "900"}
    assert all(re.match(rb"shop:session-[\w-]{43}:", key) for key in client.scan_iter())


def test_the_commands_exist() -> None:
    """Every make target, extra and option that is named."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z]+)", "\n".join([*code_words(PROSE), *(block.code for block in BLOCKS)]))
    assert set(named) == set(targets) - {"clean"}
    extras = metadata("session-store").get_all("Provides-Extra", [])
    installed = re.findall(r"pip install '?([a-z-]+)(?:\[([a-z]+)\])?", README)
    assert ("session-store", "") in installed
    for name, extra in installed:
        assert name == "session-store"
        assert not extra or extra in extras


def test_the_changelog_has_this_version() -> None:
    """Its newest section is the version that is installed."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == metadata("session-store")["Version"]


def test_the_errors_table_is_complete() -> None:
    """Every error of the library but the base, with the attributes that it has."""
    errors = {name for name in session_store.__all__ if name.endswith("Error")} - {"SessionStoreError"}
    rows = {code_words(row[0])[0]: code_words(row[2]) for row in table("error")}
    assert rows.keys() == errors
    for name, attributes in rows.items():
        error = getattr(session_store, name)
        assert issubclass(error, SessionStoreError)
        assert attributes == list(inspect.signature(error).parameters)


def test_the_events_table_is_complete(names: dict[str, Any]) -> None:
    """What happens to a store is logged under these names, at these levels, with these fields."""
    logged = []

    class Logger:
        def info(self, event: str, **fields: object) -> None:
            logged.append(["info", event, list(fields)])

        def warning(self, event: str, **fields: object) -> None:
            logged.append(["warning", event, list(fields)])

    client = session_store.InMemoryClient()
    ns = SessionStore(client, prefix="shop", default_ttl=60, logger=Logger()).namespace("user-45")
    ns.touch()
    ns.purge()
    for _ in range(2):
        client.simulate_concurrent_change(ns.key("a"))
    with pytest.raises(session_store.CasContentionError):
        ns.with_cas("a", lambda snap, ops: ops.set("a", "1"), max_retries=1)
    rows = [[level, *code_words(event), code_words(fields)] for level, event, fields in table("level")]
    assert rows[:4] == logged
    assert rows[4] == ["warning", "session-store: cas-commit-unknown", ["key", "attempt", "ts"]]


def test_the_defaults_and_methods_are_named() -> None:
    """The policy as it is, and every public method of a namespace."""
    assert f"`{CasPolicy()!r}`" in README
    words = " ".join(code_words(PROSE))
    methods = [name for name in dir(Namespace) if not name.startswith("_") and name != "name"]
    assert [name for name in methods if not re.search(rf"\b{name}\b", words)] == []


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
    for call, commands, round_trips in table("call"):
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
        for prepare in ("purge_many", "hset", "incr", "touch", "with_cas`", "add", "remove", "list", "add"):
            CALLS[prepare](ns)
        recorder = Recorder(monkeypatch)
        try:
            CALLS[call](ns)
        except LookupError:
            pass  # the one that a closure raises
        assert [list(dict.fromkeys(write)) for write in recorder.writes] == COSTS[call]
        ns.purge()
