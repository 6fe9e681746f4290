"""`end` and `touch`: what is meant, and nothing else; each namespace whole, also where Ctrl-C comes in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest
import redis
from cli.conftest import PROGRAM, Run
from support.servers import Server

from session_store import EncryptedCodec, JsonCodec, NamespacePurgedError, SessionStore
from session_store.conversations import RedisConversations
from session_store.snapshots import Snapshots
from session_store.web import SessionPolicy, Sessions

POLICY = SessionPolicy(idle=600, lifetime=600)


def test_named_ones_are_ended(run: Run, store: SessionStore[str]) -> None:
    """With a fence unless none is wanted; others stay, and so does what is only rehearsed."""
    for name in ("a", "b", "c"):
        store.namespace(name).set("step", "x")
        store.namespace(name).set("form", "x")
    rehearsed = run("end", "a", "b", "--dry-run")
    assert (rehearsed.status, store.namespace("a").slots()) == (0, ["form", "step"])
    assert "2 namespaces would be ended; nothing was done" in rehearsed.err
    done = run("end", "a", "nobody", "--json")
    assert done.status == 0
    assert done.lines == [
        {"namespace": "a", "ended": True, "slots": 2},
        {"namespace": "nobody", "ended": False, "slots": 0},
    ]
    with pytest.raises(NamespacePurgedError):
        store.namespace("a").set("step", "a slow request")
    store.namespace("nobody").set("step", "x")  # for what was not there, no fence stands
    assert run("end", "b", "--fence", "0").err == "session-store: 1 namespace ended\n"
    store.namespace("b").set("step", "x")
    assert store.namespace("c").slots() == ["form", "step"]
    assert run("end", "d", "e").status == 1


def test_names_are_read(run: Run, store: SessionStore[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, as `list --names` gives them."""
    for name in ("a", "b-カフェ", "c"):
        store.namespace(name).set("step", "x")
    given = run("list", "--names").out.replace("c\n", "")
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(given.encode())))
    assert run("end", "-").err == "session-store: 2 namespaces ended\n"
    assert run("list", "--names").out == "c\n"


@pytest.mark.parametrize(
    "codec", [None, JsonCodec(), EncryptedCodec(JsonCodec(), keys=[bytes(32)])], ids=["text", "json", "encrypted"]
)
def test_all_of_an_owner(run: Run, client: redis.Redis, prefix: str, codec: Any) -> None:
    """Of every layer, whatever the store's codec is; their lists forget them. Not what was given to somebody else since."""
    options = {} if codec is None else {"codec": codec}
    store: SessionStore[Any] = SessionStore(client, prefix=prefix, default_ttl=600, **options)
    sessions, chats, snapshots = Sessions(store, policy=POLICY), RedisConversations(store), Snapshots(store)
    for owner in ("ann", "bob"):
        session = sessions.new()
        session["theme"] = "dark"
        session.save()
        session.login(owner)
        for name in ("chat", "moved"):
            chats.create(f"{name}-{owner}", user=owner)
        snapshots.save(f"agent-{owner}", "state", owner=owner)
        store.namespace(f"form-{owner}").set("step", "x")
        store.directory("form").add(owner, f"form-{owner}")
    chats.conversation("moved-ann").update(user="bob")
    store.directory("conversation-user").add("ann", "moved-ann")  # as if the update had been cut
    rehearsed = run("end", "--owner", "ann", "--dry-run", "--json").lines
    assert sorted(each["kinds"][0] for each in rehearsed) == ["conversation", "snapshot", "web"]
    done = run("end", "--owner", "ann")
    assert done.err == "session-store: 3 namespaces ended\n"
    assert (sessions.of("ann"), chats.list(user="ann").items, snapshots.list(owner="ann").items) == ([], (), ())
    assert (len(sessions.of("bob")), len(snapshots.list(owner="bob"))) == (1, 1)
    assert sorted(info.id for info in chats.list(user="bob").items) == ["chat-bob", "moved-ann", "moved-bob"]
    assert run("end", "--owner", "ann").status == 1
    assert run("end", "--owner", "ann", "--directory", "form").err == "session-store: 1 namespace ended\n"
    assert store.namespace("form-bob").slots() == ["step"]


def test_a_list_of_an_owner_writes_nothing(
    run: Run, store: SessionStore[str], client: redis.Redis, prefix: str
) -> None:
    """Not even that what it names has ended, long ago: it may be asked of a replica."""
    store.directory("session-owner").add("ann", "gone")
    (active,) = client.keys(f"{prefix}:~dir.*:active")
    client.zadd(active, {"gone": 1})
    assert run("list", "--owner", "ann").status == 1
    assert client.zrange(active, 0, -1) == [b"gone"]


def test_touching(run: Run, store: SessionStore[str]) -> None:
    """All slots of those that are named, and no longer than a namespace's lifetime."""
    for name in ("a", "b"):
        store.namespace(name).set("step", "x")
        store.namespace(name).set("form", "x", ttl=5)
    store.namespace("short").create(lifetime=60)
    store.namespace("short").set("step", "x")
    done = run("touch", "a", "short", "nobody", "--ttl", "1d", "--json")
    assert [(each["namespace"], each["slots"]) for each in done.lines] == [("a", 2), ("short", 1), ("nobody", 0)]
    assert all(86_000 < (store.namespace("a").ttl(slot) or 0) <= 86_400 for slot in ("step", "form"))
    assert (store.namespace("b").ttl("form") or 0) <= 5
    assert (store.namespace("short").ttl("step") or 0) <= 60
    assert run("touch", "nobody", "--ttl", "1d").status == 1


@pytest.mark.parametrize("command", [("end", "-"), ("touch", "-", "--ttl", "1d")], ids=lambda words: words[0])
def test_ctrl_c_in_the_middle_leaves_nothing_half_done(
    store: SessionStore[str], client: redis.Redis, prefix: str, environment: dict[str, str], command: tuple[str, ...]
) -> None:
    """What is under way is done and told; the rest is as it was, and the same command goes on with it."""
    names = [f"visitor-{number}" for number in range(3_000)]
    for name in names:
        store.namespace(name).batch(lambda ops: [ops.set(slot, "x") for slot in "abc"])
    process = subprocess.Popen(
        [*PROGRAM, *command, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write("\n".join(names).encode())
    process.stdin.close()
    first = process.stdout.readline()  # it is in the middle, and soon has a full pipe before it
    process.send_signal(signal.SIGINT)
    told = [json.loads(line) for line in [first, *process.stdout.read().splitlines()]]
    says = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 130
    assert 0 < len(told) < len(names)
    assert f"{len(told):,} {command[0]}ed, {len(names) - len(told):,} namespaces not looked at" in says
    assert "Traceback" not in says and says.count("\n") == 1
    assert [each["namespace"] for each in told] == names[: len(told)]
    assert {each["slots"] for each in told} == {3}
    for name in names:
        is_done = name in {each["namespace"] for each in told[:0]} or int(name[8:]) < len(told)
        ttls = {client.ttl(store.namespace(name).key(slot)) > 600 for slot in "abc"}
        lives = {client.exists(store.namespace(name).key(slot)) for slot in "abc"}
        assert (lives, ttls) == (({0}, {False}) if is_done and command[0] == "end" else ({1}, {is_done}))


def test_a_second_ctrl_c_does_not_wait(store: SessionStore[str], server: Server, environment: dict[str, str]) -> None:
    """A server that stands still keeps nobody from ending the command."""
    own = Server()
    try:
        with redis.Redis(port=own.port) as client:
            SessionStore(client, prefix="shop", default_ttl=60).namespace("a").set("step", "x")
            client.execute_command("CLIENT PAUSE", 60_000, "WRITE")
        url = {"SESSION_STORE_URL": own.url, "SESSION_STORE_PREFIX": "shop"}
        process = subprocess.Popen([*PROGRAM, "end", "a"], stderr=subprocess.PIPE, env=environment | url)
        assert process.stderr
        with redis.Redis(port=own.port) as client:
            while not any(each["cmd"] in ("evalsha", "eval") for each in client.client_list()):
                pass
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()
    finally:
        own.stop()


def test_ctrl_c_when_all_is_done(run: Run, store: SessionStore[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that nothing is left to do."""
    purge_many = SessionStore.purge_many

    def struck(self: SessionStore[str], *args: Any, **options: Any) -> dict[str, int]:
        signal.raise_signal(signal.SIGINT)
        return purge_many(self, *args, **options)

    monkeypatch.setattr(SessionStore, "purge_many", struck)
    store.namespace("a").set("step", "x")
    done = run("end", "a")
    assert done.status == 130
    assert done.err == "session-store: interrupted, when all was done: 1 ended\n"
    assert run("count").out == "0\n"
    assert run("end", "a", "--dry-run").status == 1
