"""What goes wrong is one line on stderr that says what to do, and shows nothing that it should not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from cli.conftest import Run
from support.nodes import wait_until
from support.servers import Server, free_port

from session_store import SessionStore
from session_store.cli.place import explain, without_password

COMMANDS = (
    ("list",),
    ("list", "--owner", "ann"),
    ("count",),
    ("show", "x"),
    ("stats",),
    ("end", "x"),
    ("touch", "x", "--ttl", "60"),
    ("follow", "x", "--for", "200ms"),
)


@pytest.fixture(scope="module")
def own() -> Iterator[Callable[..., Server]]:
    """Starts servers of a module's own."""
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_prefix(run: Run, store: SessionStore[str], prefix: str, command: tuple[str, ...]) -> None:
    """Exit status 1; where it is cheap, others are named."""
    store.namespace("x").set("step", "x")
    done = run(*command, prefix=f"{prefix}x")
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("session-store: ")
    assert re.search(rf"nothing .*under the prefix {prefix}x.*; prefixes seen: ", done.err)
    assert re.search(r"^Traceback", done.err, re.MULTILINE) is None


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_server_that_has_nothing(run: Run, own: Callable[..., Server], command: tuple[str, ...]) -> None:
    done = run(*command, url=own().url, prefix="shop")
    assert done.status == 1
    assert "nothing" in done.err
    assert "prefixes seen" not in done.err


@pytest.mark.parametrize("command", [*COMMANDS, ("doctor",)], ids=" ".join)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_a_server_that_is_away(run: Run, command: tuple[str, ...], as_json: tuple[str, ...]) -> None:
    """Exit status 2, one line, and no password."""
    done = run(*command, *as_json, url=f"redis://ann:hush@127.0.0.1:{free_port()}/3")
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch(r"session-store: cannot reach redis://ann@127.0.0.1:\d+/3: is it running, .*\n", done.err)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:wrong-hush@{}", "wants another user or password"),
        ("redis://{}", "wants another user or password"),
        ("redis://:hush@{}/99", "DB index is out of range"),
        ("redis://:hush@{}?colour=red", "an option that redis-py does not know: colour"),
        ("redis://:hu/sh@{}", "--url must be redis://"),
        ("http://{}", "--url must be redis://"),
    ],
)
def test_a_url_that_does_not_fit(run: Run, own: Callable[..., Server], url: str, says: str) -> None:
    server = own("--requirepass", "hush")
    done = run("list", "--url", url.format(f"127.0.0.1:{server.port}"), url=None)
    assert (done.status, done.out) == (2, "")
    assert says in done.err and done.err.count("\n") == 1
    assert "hush" not in done.err and "hu/sh" not in done.err


def test_a_replica_and_tls(run: Run, own: Callable[..., Server]) -> None:
    """What can be told of a server that is not the right one is told."""
    primary = own()
    replica = own("--replicaof", "127.0.0.1", str(primary.port))
    with redis.Redis(port=primary.port) as client, redis.Redis(port=replica.port) as copy:
        SessionStore(client, prefix="shop", default_ttl=600).namespace("x").set("step", "x")
        wait_until(lambda: copy.exists("shop:x:step"), "the replica has it")
    assert run("list", "--names", url=replica.url, prefix="shop").out == "x\n"
    refused = run("end", "x", url=replica.url, prefix="shop")
    assert refused.status == 2 and "is a replica, to which nothing can be written" in refused.err
    assert run("doctor", url=replica.url).status == 1
    assert run("list", url=f"rediss://127.0.0.1:{primary.port}").status == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nosuch",), "No such command 'nosuch'"),
        (("list", "--nosuch"), "goes behind --"),
        (("show",), "Missing argument 'NAME'"),
        (("show", "a b"), "without whitespace"),
        (("show", "~dir.x"), "leading '~'"),
        (("end",), "which ones?"),
        (("end", "a", "--owner", "b"), "which ones?"),
        (("end", "a", "b c"), "without whitespace"),
        (("touch", "a"), "Missing option '--ttl'"),
        (("touch", "a", "--ttl", "0"), "--ttl must be at least"),
        (("list", "--glob"), "--glob says how"),
        (("list", "--owner", "a", "--namespace", "b"), "give one of them"),
        (("list", "--directory", "user"), "give --owner as well"),
        (("list", "--owner", "a", "--directory", "a b"), "name must be 1 to 64"),
        (("list", "--older-than", "99999w"), "from 1ms to 10,000 days"),
        (("list", "--older-than", "3x\x1b[2J"), "a duration is"),
        (("list", "--limit", "0"), "Invalid value for '--limit'"),
        (("list", "--kind", "webs"), "Invalid value for '--kind'"),
    ],
)
def test_usage(run: Run, store: SessionStore[str], words: tuple[str, ...], says: str) -> None:
    """Exit status 2, and nothing was done."""
    store.namespace("a").set("step", "x")
    done = run(*words)
    assert (done.status, done.out) == (2, "")
    assert says in done.err and done.err.count("\n") == 1
    assert "\x1b" not in done.err
    assert run("count").out == "1\n"


def test_no_prefix(
    run: Run, monkeypatch: pytest.MonkeyPatch, store: SessionStore[str], prefix: str, server: Server
) -> None:
    """It comes from the environment, too; what is said counts before that, and behind the command's name as before it."""
    store.namespace("a").set("step", "x")
    assert "which prefix?" in run("list", prefix=None).err
    monkeypatch.setenv("SESSION_STORE_PREFIX", prefix)
    monkeypatch.setenv("SESSION_STORE_URL", server.url)
    assert run("list", "--names", url=None, prefix=None).out == "a\n"
    assert run("list", "--names", "--prefix", "other", url=None, prefix=None).status == 1
    assert run("list", url=None, prefix="a:b").status == 2


def test_words_alone_show_the_usage(run: Run) -> None:
    done = run(url=None, prefix=None)
    assert done.status == 2
    assert "Commands:\n  list " in done.err
    assert run("list", "--help").status == 0


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra(missing: str) -> None:
    """One line says what to install; the demo goes on working."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from session_store.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    done = start("list")
    assert done.returncode == 2
    assert re.fullmatch(
        rf"session-store: the command line needs {missing}\S*: pip install 'session-store\[cli\]'\n", done.stderr
    )
    assert start("demo").returncode == 0


def test_the_demo_as_json(run: Run) -> None:
    """Each promise, and whether it held; by either way to say it."""
    for words in (("demo", "--json"), ("--json", "demo")):
        done = run(*words, url=None, prefix=None) if words[0] == "demo" else run(*words, prefix=None)
        assert done.status == 0
        assert done.data["held"] is True
        assert len(done.data["promises"]) == 6


def test_keys_with_braces(run: Run, client: redis.Redis, prefix: str) -> None:
    """Of a store with hash_tags, on a server that is no cluster: it is told what they need, and shown with it."""
    SessionStore(client, prefix=prefix, default_ttl=60, hash_tags=True).namespace("visitor").set("step", "x")
    for command in ("list", "stats"):
        done = run(command)
        assert done.status == 1 and "--hash-tags" in done.err
    assert run("list", "--hash-tags", "--names").out == "visitor\n"
    assert run("stats", "--hash-tags", "--json").data["namespaces"] == 1
    assert run("end", "visitor", "--hash-tags", "--fence", "0").status == 0
    assert client.keys(f"{prefix}:*") == []


ESCAPES = "\x1b[2J\x07\u202e\x9b31m"


def test_what_others_stored_does_not_control_the_terminal(
    run: Run, store: SessionStore[str], client: redis.Redis, prefix: str
) -> None:
    """Neither a name, nor a value; not even of keys and indexes that another program wrote."""
    store.namespace("visitor\u202egnp").set(f"step{chr(0x202E)}", ESCAPES)
    store.namespace("visitor").hset("basket", ESCAPES, ESCAPES)
    client.hset(
        f"{prefix}:visitor:~index",
        mapping={f"evil{ESCAPES}": "-9999999999", b"\xff\n": "-9999999999", "~lock:\x1b[0m": "99999999999999:x"},
    )
    client.set(f"{prefix}:visitor:evil{ESCAPES}", ESCAPES, ex=60)
    client.set(f"{prefix}:visitor:".encode() + b"\xff\n", b"\xff\x00", ex=60)
    client.set(f"{prefix}:text:~index", "no index", ex=60)
    client.hset(f"{prefix}:visi\x1btor:~index", "a", "-1")
    said = [
        run(*words, *as_json)
        for words in (("list",), ("show", "visitor", "--values"), ("show", "visitor\u202egnp", "--values"), ("stats",))
        for as_json in ((), ("--json",))
    ]
    assert [done.status for done in said] == [0] * len(said)
    text = "".join(done.out + done.err for done in said).replace("\n", "")
    assert text.isprintable()
    assert "evil\\x1b[2J\\x07\\u202e\\x9b31m" in text
    slots = {slot["slot"]: slot for slot in said[3].data["slots"]}
    assert slots[f"evil{ESCAPES}"]["values"] == {"value": ESCAPES}
    assert slots["\\xff\n"]["values"] == {"value": "\\xff\x00"}


def test_a_module_of_its_own_that_is_missing() -> None:
    """That is no extra, and no line for users."""
    script = (
        "import sys; sys.modules['session_store.cli.looks'] = None; from session_store.cli import main; main(['list'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "ModuleNotFoundError" in done.stderr and "pip install" not in done.stderr


def test_a_sentinel(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """HELLO tells what a server is."""
    monkeypatch.setattr("session_store.cli.place._mode", lambda client: "sentinel")
    done = run("list")
    assert done.status == 2 and "is a Sentinel: give the URL of the server that it watches" in done.err


def test_a_proxy(run: Run, store: SessionStore[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has no HELLO is taken for a server; what it is can be said."""
    execute = redis.Redis.execute_command

    def without(self: redis.Redis, *words: object, **options: object) -> object:
        if words[0] == "HELLO":
            raise redis.ResponseError("unknown command 'HELLO'")
        return execute(self, *words, **options)

    store.namespace("a").set("step", "x")
    monkeypatch.setattr(redis.Redis, "execute_command", without)
    for words in ((), ("--no-cluster",)):
        assert run("list", "--names", *words).out == "a\n"
    assert run("list", "--cluster").status == 2


def test_a_socket(run: Run, own: Callable[..., Server], tmp_path: Path) -> None:
    own("--unixsocket", str(tmp_path / "redis.sock"))
    done = run("doctor", "--json", url=f"unix://{tmp_path}/redis.sock", prefix=None)
    assert (done.status, done.data["server"]) == (0, f"unix://{tmp_path}/redis.sock")
    assert "give --prefix" in done.out


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (redis.BusyLoadingError("LOADING"), "is loading its data"),
        (redis.TimeoutError("Timeout reading"), "does not answer in time"),
        (
            redis.ResponseError("NOPERM this user has no permissions to access a key"),
            "may not do this, or not under this prefix",
        ),
        (redis.ResponseError("boom \x1b[2J\n"), r"refused: boom \x1b[2J"),
    ],
)
def test_what_is_said_of_errors(error: Exception, says: str) -> None:
    assert says in explain(error, "redis://localhost")
    assert explain(error, "redis://localhost").isprintable()


def test_urls_are_shown_without_what_they_hide() -> None:
    for url, shown in (
        ("redis://ann:hush@host:1/2?password=hush", "redis://ann@host:1/2"),
        ("unix://ann:hush@/tmp/redis.sock", "unix:///tmp/redis.sock"),
        ("redis://host:hush", "the server"),
        ("hush", "the server"),
    ):
        assert without_password(url) == shown
