"""`list`, `count`, `show`, `stats`, `follow`: what is there is told, by its layer, and nothing that users stored."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis
from cli.conftest import Run
from cli.shop import grow_old

from session_store import SessionStore
from session_store.channels import Channels
from session_store.conversations import RedisConversations
from session_store.snapshots import Snapshots
from session_store.web import SessionPolicy, Sessions

SECRET = "hush"  # in everything that a user may have stored


@pytest.fixture
def names(store: SessionStore[str]) -> dict[str, str]:
    """A namespace of each layer, by the layer; all that can be a secret holds one. And the token of the session."""
    session = Sessions(store, policy=SessionPolicy(idle=600, lifetime=600)).new()
    session[f"{SECRET}-key"] = SECRET
    session.save()
    session.login(f"{SECRET}-owner", label=SECRET)
    chats = RedisConversations(store)
    chats.create("chat", user=f"{SECRET}-user", agent=f"{SECRET}-agent", title=SECRET, tags=[SECRET], metadata=SECRET)
    chats.conversation("chat").append("user", SECRET, tokens=7, key=f"{SECRET}-message")
    Snapshots(store).save("agent", SECRET, tick=3, owner=f"{SECRET}-owner")
    channel = Channels(store).channel("call", "answer")
    channel.publish(SECRET, kind=f"{SECRET}-kind")
    channel.publish(SECRET)
    store.namespace("visitor").hset("basket", f"{SECRET}-field", SECRET)
    store.namespace("visitor").set("step", SECRET)
    assert session.id is not None
    return {"web": session.id, "conversation": "chat", "snapshot": "agent", "channel": "call", "plain": "visitor"}


def test_each_layer_is_told_as_such(run: Run, names: dict[str, str]) -> None:
    """Its kind, slots, TTL, and when it was written; so for people, and as JSON."""
    found = {each["namespace"]: each for each in run("list", "--json").lines}
    assert {name: each["kinds"] for name, each in found.items()} == {name: [kind] for kind, name in names.items()}
    assert {each["slots"] for name, each in found.items() if name != "visitor"} == {1}
    assert found["visitor"]["slots"] == 2
    assert all(0 < each["ttl"] <= 3600 and 0 <= each["written_ago"] < 60 for each in found.values())
    head, *rows = run("list").out.splitlines()
    assert head.split() == ["KIND", "SLOTS", "TTL", "WRITTEN", "NAME"]
    assert sorted((row.split()[0], row.split()[-1]) for row in rows) == sorted(names.items())


def test_what_is_not_meant_is_left_out(run: Run, names: dict[str, str]) -> None:
    assert set(run("list", "--kind", "web", "--kind", "plain", "--names").out.split()) == {names["web"], "visitor"}
    assert run("list", "--namespace", "chat", "--names").out == "chat\n"
    assert len(run("list", "--limit", "2", "--names").out.split()) == 2
    assert run("count").out == "5\n"
    assert run("count", "--kind", "channel", "--json").data == {"namespaces": 1}
    owned = run("list", "--owner", f"{SECRET}-owner", "--names").out.split()
    assert sorted(owned) == sorted([names["web"], "agent"])
    assert run("list", "--owner", f"{SECRET}-user", "--names").out == "chat\n"
    assert run("list", "--owner", f"{SECRET}-agent").status == 1
    labelled = run("list", "--owner", f"{SECRET}-agent", "--directory", "conversation-agent", "--names")
    assert labelled.out == "chat\n"


def test_a_namespace_that_has_several_layers(run: Run, store: SessionStore[str]) -> None:
    RedisConversations(store).create("chat")
    Channels(store).channel("chat", "answer").publish("x")
    store.namespace("chat").set("note", "x")
    assert run("list", "--json").lines[0]["kinds"] == ["conversation", "channel"]
    assert {slot["slot"]: slot["kind"] for slot in run("show", "chat", "--json").data["slots"]} == {
        "answer": "channel",
        "conversation": "conversation",
        "note": "plain",
    }


def test_a_slot_that_only_has_the_name_of_a_layers(run: Run, store: SessionStore[str]) -> None:
    ns = store.namespace("visitor")
    ns.hset("session", "a", "1")
    ns.set("snapshot", "1")
    ns.hset("other", mapping={"e": "12345678", "n": "1"})
    assert {slot["kind"] for slot in run("show", "visitor", "--json").data["slots"]} == {"plain"}


FACTS: dict[str, dict[str, Any]] = {
    "web": {"has_owner": True, "old_token_counts": False},
    "conversation": {"messages": 1, "tokens": 7, "last_seq": 1, "has_owner": True, "deadline": None},
    "snapshot": {"tick": 3, "version": 1, "body_bytes": len(SECRET), "has_owner": True},
    "channel": {"status": "open", "events": 2, "dropped": 0, "attached": False},
}
SAYS = {
    "web": "web session: begun ",
    "conversation": "conversation: 1 message, 7 tokens, begun ",
    "snapshot": "snapshot: 4 B, version 1, turn 3, saved ",
    "channel": "channel answer: open, 2 events, last id ",
}


@pytest.mark.parametrize("kind", FACTS)
def test_what_is_told_of_a_layers_slot(run: Run, names: dict[str, str], kind: str) -> None:
    data = run("show", names[kind], "--json").data
    (slot,) = data["slots"]
    assert slot["facts"].items() >= FACTS[kind].items()
    assert slot["type"] == "hash" and slot["length"] > 1 and 0 < slot["ttl"] <= 3600
    assert 50 < data["index_bytes"] < 1_000 and 50 < slot["bytes"] < 3_000
    assert f"\n{SAYS[kind]}" in run("show", names[kind]).out


def test_sizes_are_the_servers(run: Run, store: SessionStore[str], client: redis.Redis) -> None:
    """Also of a hash whose fields are of very different sizes."""
    ns = store.namespace("visitor")
    ns.hset("basket", mapping={str(number): "x" * number for number in range(80)})
    (slot,) = run("show", "visitor", "--json").data["slots"]
    assert slot["bytes"] == client.memory_usage(ns.key("basket"), samples=0)
    assert slot["length"] == 80


def test_lifetimes_fences_and_locks_show(run: Run, store: SessionStore[str]) -> None:
    ns = store.namespace("visit")
    ns.create(lifetime=300)
    empty = run("show", "visit", "--json")
    assert (empty.status, empty.data["slots"]) == (0, [])
    ns.set("step", "x")

    def look(snap: Any, ops: Any) -> str:
        return run("show", "visit").out if snap.get("step") else ""

    assert "a commit holds the lock of step, for " in ns.with_cas("step", look)
    assert 290 < run("show", "visit", "--json").data["ends_in"] <= 300
    ns.purge(fence=60)
    fenced = run("show", "visit")
    assert fenced.status == 1
    assert "a fence refuses writes for another " in fenced.out


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_no_command_shows_what_was_stored(run: Run, names: dict[str, str], as_json: tuple[str, ...]) -> None:
    """No value, field, owner, title or kind of event, but by `show --values`."""
    said = [
        run(*words, *as_json)
        for words in (
            *(("list",), ("count",), ("stats",), ("doctor",), *(("show", name) for name in names.values())),
            *(("follow", "visitor", "--for", "200ms"), ("list", "--owner", f"{SECRET}-owner")),
            *(("end", "--owner", f"{SECRET}-owner", "--dry-run"), ("touch", "visitor", "--ttl", "60")),
            *(("list", "--owner", f"{SECRET}-nobody"), ("end", *names.values())),
        )
    ]
    assert [done.status for done in said if done.status == 2] == []
    assert SECRET not in "".join(done.out + done.err for done in said)


def test_values_are_shown_when_asked_for(run: Run, names: dict[str, str], client: redis.Redis, prefix: str) -> None:
    """But never the digest of a token, or who holds a lease."""
    for kind, name in names.items():
        assert SECRET in run("show", name, "--values").out
        shown = run("show", name, "--values", "--json").data["slots"]
        assert any(SECRET in str(slot["values"]) for slot in shown), kind
    digest = client.hget(f"{prefix}:{names['web']}:session", "~secret")
    assert digest and digest.decode() not in run("show", names["web"], "--values").out
    assert run("show", names["web"], "--values", "--json").data["slots"][0]["values"]["fields"]["~secret"] == "(hidden)"


def test_who_holds_a_lease_is_hidden(run: Run, store: SessionStore[str], client: redis.Redis) -> None:
    with Channels(store).channel("call", "answer").produce():
        token = client.hget(store.namespace("call").key("answer"), "p").decode()
        shown = run("show", "call", "--values").out
    assert "produced, 0 events" in shown
    assert token not in shown


def test_large_values_are_not_read(run: Run, store: SessionStore[str]) -> None:
    ns = store.namespace("visitor")
    ns.set("big", "x" * 70_000)
    ns.hset("mixed", mapping={"big": "y" * 70_000, "small": "z"})
    ns.hset("many", mapping={str(number): "1" for number in range(1_200)})
    values = {slot["slot"]: slot["values"] for slot in run("show", "visitor", "--values", "--json").data["slots"]}
    assert values["big"] == {"value": "(68.4 KiB, not read)"}
    assert values["mixed"] == {"fields": {"big": "(68.4 KiB, not read)", "small": "z"}}
    assert len(values["many"]["fields"]) <= 1_000
    assert values["many"]["left_out"].endswith(" fields")


def test_those_that_nobody_has_written_to_lately(
    run: Run, store: SessionStore[str], client: redis.Redis, prefix: str
) -> None:
    """By the record of the last call, which the index keeps."""
    for name in ("old", "young"):
        store.namespace(name).set("step", "x")
    grow_old(client, f"{prefix}:old:~index", 3 * 86_400)
    assert run("list", "--older-than", "2d", "--names").out == "old\n"
    assert run("list", "--older-than", "4d").status == 1
    assert 3 * 86_400 <= run("stats", "--json").data["oldest"]["written_ago"] < 3 * 86_400 + 60


@pytest.mark.parametrize("name", ["a*b", 'say-"hi"', "it's", "ünï-カフェ-🍵", "$(reboot);", "back\\slash", "-x"])
def test_any_name_can_be_named(run: Run, store: SessionStore[str], name: str) -> None:
    """As it stands: a name is no pattern unless that is asked for."""
    for each in (name, "aXb"):
        store.namespace(each).set("step", "x")
    assert run("list", "--namespace", name, "--names").out == f"{name}\n"
    assert run("show", "--json", "--", name).data["namespace"] == name
    assert set(run("list", "--names").out.splitlines()) == {name, "aXb"}
    assert run("end", "--", name).status == 0
    assert run("list", "--names").out == "aXb\n"


@pytest.mark.parametrize("name", ["-h" + "x" * 20, "--" + "x" * 20])
def test_an_id_of_a_session_is_no_option(run: Run, store: SessionStore[str], name: str) -> None:
    """One in 64 begins with a dash; what is mistyped is no name for it."""
    store.namespace(name).set("step", "x")
    assert run("show", name, "--json").data["namespace"] == name
    assert run("end", "--dryrun", name).status == 2
    assert run("list", "--owner", name).status == 1
    assert run("end", name, "--fence", "0").status == 0
    assert run("count").out == "0\n"


def test_patterns_when_asked_for(run: Run, store: SessionStore[str]) -> None:
    for name in ("a*b", "aXb", "other"):
        store.namespace(name).set("step", "x")
    assert set(run("list", "--namespace", "a*b", "--glob", "--names").out.split()) == {"a*b", "aXb"}
    assert run("list", "--namespace", r"a\*b", "--glob", "--names").out == "a*b\n"
    assert run("count", "--namespace", "a?b", "--glob").out == "2\n"
    assert "--glob" in run("list", "--namespace", "o*").err


def test_statistics(
    run: Run, names: dict[str, str], store: SessionStore[str], client: redis.Redis, prefix: str
) -> None:
    """Counts and bytes of each kind, of all or by a sample; nothing that is not there."""
    store.namespace("short").set("step", "x", ttl=30)
    data = run("stats", "--json").data
    assert (data["namespaces"], data["slots"], data["is_exact"]) == (6, 7, True)
    assert {kind: found["namespaces"] for kind, found in data["kinds"].items()} == {
        **dict.fromkeys(("web", "conversation", "snapshot", "channel"), 1),
        "plain": 2,
    }
    keys = client.keys(f"{prefix}:*")
    assert data["bytes"] == pytest.approx(sum(client.memory_usage(key, samples=0) for key in keys), rel=0.02)
    assert data["directory_keys"] == sum(b"~dir." in key for key in keys) > 0
    assert data["ends_in"]["up to 1 minute"] == 1
    assert sum(data["ends_in"].values()) == 6
    client.persist(store.namespace("short").key("step"))
    assert run("stats", "--json").data["ends_in"]["no TTL"] == 1
    sampled = run("stats", "--sample", "2", "--json").data
    assert (sampled["sampled"], sampled["namespaces"], sampled["is_exact"]) == (2, 6, False)
    text = run("stats").out
    assert "\n6 namespaces live\n" in text and "\nno TTL" in text


def test_following(run: Run, store: SessionStore[str]) -> None:
    """What is new, changes, is renewed, expires, and ends; each is told once."""
    ns = store.namespace("visitor")
    ns.set("step", "one")

    def write() -> None:
        for act in (
            lambda: ns.hset("basket", "tea", "1"),
            lambda: ns.hset("basket", "cup", "1"),
            lambda: ns.set("step", "two", keepttl=True),
            lambda: ns.touch(ttl=3_600),
            lambda: ns.purge(fence=60),
        ):
            time.sleep(0.5)  # five looks: what is told of each is told apart
            act()

    writer = threading.Thread(target=write)
    writer.start()
    done = run("follow", "visitor", "--interval", "100ms", "--for", "3500ms", "--json")
    writer.join()
    assert done.status == 0
    told = [(line["what"], line["slot"]) for line in done.lines]
    assert told == [
        *(("new", "basket"), ("changed", "basket"), ("written", None), ("renewed", "basket"), ("renewed", "step")),
        *(("gone", "basket"), ("gone", "step"), ("fenced", None)),
    ]
    assert done.lines[1].items() >= {"was": 1, "length": 2}.items()


def test_following_is_bounded(run: Run, store: SessionStore[str]) -> None:
    """In time, and in changes; where there is nothing, that is said."""
    assert run("follow", "nobody", "--for", "200ms").status == 1
    ns = store.namespace("visitor")
    ns.set("a", "x", ttl=0.5)
    ns.set("b", "x", ttl=0.5)
    done = run("follow", "visitor", "--interval", "100ms", "--for", "1m", "--count", "1")
    assert done.status == 0
    assert len(done.out.splitlines()) == 1
    assert " expired " in done.out


def test_what_other_programs_do_shows(run: Run, store: SessionStore[str], client: redis.Redis, prefix: str) -> None:
    """A slot without a TTL, one of another type, and a TTL that was made shorter."""
    ns = store.namespace("visitor")
    ns.set("step", "x")
    ns.set("list", "x")
    client.delete(ns.key("list"))
    client.rpush(ns.key("list"), "1", "2")
    assert run("list").out.splitlines()[1].split()[2] == "never"
    assert "  never  list" in run("show", "visitor", "--values").out
    assert "\n  a list is not read\n" in run("show", "visitor", "--values").out
    assert run("list", "--json").lines[0]["ttl"] is None
    timer = threading.Timer(0.5, client.expire, (ns.key("step"), 100))
    timer.start()
    done = run("follow", "visitor", "--for", "5s", "--interval", "200ms", "--count", "1")
    timer.join()
    assert " shortened  step  (1 byte, ends in 1m 40s)" in done.out
    assert run("count", "--namespace", "visitor").out == "1\n"
    assert run("follow", "visitor", "--for", "200ms").err.endswith("session-store: nothing has changed\n")
