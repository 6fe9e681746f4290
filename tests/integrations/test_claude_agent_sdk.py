"""Transcripts of claude-agent-sdk as conversations [X5]."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from support.backends import misplaced
from support.deployments import Cluster
from support.recorder import Recorder
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncSessionStore, EncryptedCodec, TextCodec
from session_store.conversations import AsyncRedisConversation, AsyncRedisConversations
from session_store.testing import explore

sdk: Any = pytest.importorskip("claude_agent_sdk", reason="claude-agent-sdk is not installed here: make integrations")
from claude_agent_sdk.testing import run_session_store_conformance  # noqa: E402  # only where there is the SDK

from session_store.integrations.claude_agent_sdk import ConversationSessionStore  # noqa: E402  # the same

DAY = 86_400
KEY = {"project_key": "proj", "session_id": "sess"}
SUB = {**KEY, "subpath": "subagents/agent-1"}
AWKWARD = ["", "a:b", "{a}", "*", "a/b", "\\", "[?]", '","', "~a", " ", "\x00\n", "жш😀", "\ud83d", "x" * 10_240]


@pytest.fixture(params=["memory", "redis"])
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    client = AsyncInMemoryClient() if request.param == "memory" else redis.asyncio.Redis(port=server.port)
    yield client
    await client.aclose()


async def all_keys(client: Any, prefix: str) -> list[bytes]:
    return [key async for key in client.scan_iter(match=f"{prefix}*", count=1000)]


@pytest.fixture
async def conversations(client: Any, prefix: str) -> AsyncIterator[Callable[..., AsyncRedisConversations]]:
    """Makes the conversations of a store. Afterwards its keys are as they must be."""

    def conversations(place: str = "", codec: Any = None, **options: Any) -> AsyncRedisConversations:
        codec = codec or TextCodec()
        return AsyncRedisConversations(
            AsyncSessionStore(client, prefix=prefix + place, default_ttl=DAY, codec=codec), **options
        )

    yield conversations
    found = {}
    for key in await all_keys(client, prefix):
        fields = await client.hgetall(key) if key.endswith(b":~index") else None
        found[key] = (await client.pttl(key), fields)
    assert list(misplaced(found)) == []


@pytest.fixture
def store(conversations: Any) -> Any:
    return ConversationSessionStore(conversations())


def entry(number: object, kind: str = "user", **more: Any) -> dict[str, Any]:
    return {"type": kind, "uuid": f"uuid-{number}", "message": {"content": f"number {number}"}, **more}


async def summary(store: Any, key: dict[str, str] = KEY) -> Any:
    """The summary of the only session of a project."""
    (found,) = await store.list_session_summaries(key["project_key"])
    return found


async def folded(store: Any) -> Any:
    """What it has to hold."""
    return sdk.fold_session_summary(None, KEY, await store.load(KEY))["data"]


async def kept(chats: AsyncRedisConversations, count: int) -> bool:
    """Whether the summary of so many entries is there, and nobody has to fold any."""
    (info,) = [info async for info in chats.scan() if info.summary]
    return info.summary.upto == info.last_seq == info.count == count


async def test_what_the_sdk_asks_of_a_store(conversations: Any) -> None:
    """Its own suite, all of it."""
    places = iter(range(100))
    await run_session_store_conformance(lambda: ConversationSessionStore(conversations(f"-{next(places)}")))


async def test_the_functions_of_the_sdk(store: Any) -> None:
    """From a transcript to its title in a list, a fork of it, and its end."""
    session = "0b0f6ff4-1111-4222-8333-123456789abc"
    key = {"project_key": sdk.project_key_for_directory("."), "session_id": session}
    turns = [
        {**entry(at), "uuid": f"0b0f6ff4-1111-4222-8333-{at:012}", "message": {"role": "user", "content": f"turn {at}"}}
        for at in range(1_200)
    ]
    for before, turn in zip([{"uuid": None}, *turns], turns, strict=False):
        turn.update(parentUuid=before["uuid"], sessionId=session, timestamp="2026-01-01T00:00:00.000Z")
    await store.append(key, turns)
    await sdk.rename_session_via_store(store, session, "Tea")
    fork = (await sdk.fork_session_via_store(store, session, title="Green tea")).session_id
    listed = {info.session_id: info.custom_title for info in await sdk.list_sessions_from_store(store)}
    assert listed == {session: "Tea", fork: "Green tea"}
    assert len(await sdk.get_session_messages_from_store(store, fork)) == len(turns)
    await sdk.delete_session_via_store(store, session)
    assert [info.session_id for info in await sdk.list_sessions_from_store(store)] == [fork]


async def test_a_batch_that_is_sent_again(store: Any) -> None:
    """Each uuid is there once, where it was first: also from two at once, in part, within a batch; what has none, each time."""
    one, two, three, title = entry(1), entry(2), entry(3), {"type": "custom-title", "customTitle": "T"}
    await asyncio.gather(*(store.append(KEY, [one, two]) for _ in range(2)))
    await store.append(KEY, [one, two, two])
    await store.append(KEY, [two, title, three, title, {**three, "message": "other"}])
    assert await store.load(KEY) == [one, two, title, three, title]
    assert (await summary(store))["data"] == await folded(store)


async def test_racing_appends(conversations: Any, server: Server, client: Any, prefix: str) -> None:
    """From several processes, as it were: batches stay whole, and the summary is a fold of all, as they are stored."""
    others = [client.sibling() if hasattr(client, "sibling") else redis.asyncio.Redis(port=server.port) for _ in "123"]
    chats = [
        AsyncRedisConversations(AsyncSessionStore(each, prefix=prefix, default_ttl=DAY)) for each in (client, *others)
    ]
    stores: list[Any] = [ConversationSessionStore(each) for each in chats]

    def batch(number: int) -> list[dict[str, Any]]:
        times = {"timestamp": f"2026-01-{number + 1:02}T00:00:00Z", "cwd": f"/{number}"}
        return [
            entry(f"{number}-{part}", customTitle=f"{number}", lastPrompt=f"{number}-{part}", **times)
            for part in range(3)
        ]

    for count in (1, 2):
        before = (await stores[0].list_sessions("proj") or [{"mtime": 0}])[0]["mtime"]
        await asyncio.gather(*(stores[number % 4].append(KEY, batch(number * count)) for number in range(1, 21)))
        stored = await stores[0].load(KEY)
        assert [each["uuid"][-1] for each in stored] == ["0", "1", "2"] * (len(stored) // 3)
        assert all(len({each["cwd"] for each in stored[at : at + 3]}) == 1 for at in range(0, len(stored), 3))
        told = await summary(stores[1])
        assert told["data"] == await folded(stores[2])
        assert await kept(chats[3], len(stored))
        assert [{"session_id": "sess", "mtime": told["mtime"]}] == await stores[3].list_sessions("proj")
        assert told["mtime"] >= before
    assert len(stored) == 30 * 3  # of 1 to 20, and what is new of 2 to 40
    for each in others:
        await each.aclose()


async def test_a_summary_that_could_not_be_kept(
    store: Any, conversations: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries are there, so nothing is raised, for which they would be sent again; and no list is wrong."""

    async def struck(*args: Any, **options: Any) -> None:
        raise redis.ConnectionError

    await store.append(KEY, [{"type": "tag", "tag": "old"}])
    with monkeypatch.context() as patch:
        patch.setattr(AsyncRedisConversation, "set_summary", struck)
        await store.append(KEY, [{"type": "tag", "tag": "new"}])
    assert not await kept(conversations(), 2)
    assert (await summary(store))["data"]["tag"] == "new"
    await store.append(KEY, [{"type": "user", "gitBranch": "main"}])
    assert await kept(conversations(), 3)
    assert (await summary(store))["data"] == await folded(store)


async def test_strange_keys(store: Any) -> None:
    """Any strings: no two keys meet, and each is told as it was given."""
    pairs = [(one, "s") for one in AWKWARD] + [("p", other) for other in AWKWARD]
    pairs += [("a/b", "c"), ("a", "b/c"), ("a", 'b", "c'), ('a", "b', "c")]
    keys: list[Any] = [{"project_key": project, "session_id": session} for project, session in pairs]
    keys += [{"project_key": "p", "session_id": "s", "subpath": each} for each in (*AWKWARD[1:], "s")]
    keys += [{"project_key": "a", "session_id": "b", "subpath": "c"}]
    for number, key in enumerate(keys):
        await store.append(key, [entry(number)])
    assert [await store.load(key) for key in keys] == [[entry(number)] for number in range(len(keys))]
    for project in {key["project_key"] for key in keys}:
        sessions = sorted(session for of, session in pairs if of == project)
        assert sorted(each["session_id"] for each in await store.list_sessions(project)) == sessions
        assert sorted(each["session_id"] for each in await store.list_session_summaries(project)) == sessions
    assert sorted(await store.list_subkeys({"project_key": "p", "session_id": "s"})) == sorted((*AWKWARD[1:], "s"))
    with pytest.raises(ValueError, match="subpath"):
        await store.load({**KEY, "subpath": ""})


async def test_entries_of_all_kinds(store: Any) -> None:
    """3,000 in one call, and then one by one; whatever Python's json takes, as it was."""
    values = [
        "half \ud83d",
        {"\ud83d": 1},
        2**70,
        float("inf"),
        -0.0,
        1e300,
        "text",
        [[[]]],
        {"a": {"b": None}},
        "x" * 4_999,
    ]
    entries = [entry(number, "assistant", value=values[number % len(values)]) for number in range(3_000)]
    entries[1_500:1_510] = [{"type": "mode", "mode": value} for value in values]
    entries += [{"type": "user", "uuid": "u" * 999}, {"type": "user", "uuid": "\ud83d"}, {"uuid": ""}, {}]
    await store.append(KEY, entries[:-4])
    for each in entries[-4:]:
        await store.append(KEY, [each])
    loaded = await store.load(KEY)
    assert loaded == entries
    assert json.dumps(loaded) == json.dumps(entries)


async def test_that_nothing_is_readable_where_it_is_encrypted(client: Any, conversations: Any, prefix: str) -> None:
    """Neither what transcripts hold, nor the names of projects, sessions and subagents."""
    codec = EncryptedCodec(TextCodec(), keys=[bytes(32)])
    store: Any = ConversationSessionStore(conversations(codec=codec))
    key = {"project_key": "SECRET-p", "session_id": "SECRET-s"}
    sub = {**key, "subpath": "SECRET-a"}
    for each in (key, sub):
        await store.append(each, [entry("SECRET", cwd="/SECRET", customTitle="SECRET")])
    stored = b""
    for name in await all_keys(client, prefix):
        kind = await client.type(name)
        parts = await client.hgetall(name) if kind == b"hash" else await client.zrange(name, 0, -1)
        stored += name + repr(parts).encode()
    assert b"conversation" in stored
    assert b"SECRET" not in stored
    assert await store.load(sub) == [entry("SECRET", cwd="/SECRET", customTitle="SECRET")]
    assert (await summary(store, key))["data"]["custom_title"] == "SECRET"
    assert await store.list_subkeys(key) == ["SECRET-a"]
    await store.delete(key)
    assert await store.load(sub) is None


async def test_a_deleted_session_leaves_nothing(client: Any, conversations: Any, prefix: str) -> None:
    """But what says that it was once named, and when it ends; with more subagents than a list gives at once."""
    store: Any = ConversationSessionStore(conversations())
    await store.append(KEY, [entry(0)])
    for number in range(250):
        await store.append({**KEY, "subpath": f"subagents/{number}"}, [entry(number)])
    assert len(await store.list_subkeys(KEY)) == 250
    await store.delete(KEY)
    assert [name for name in await all_keys(client, prefix) if name.endswith(b":conversation")] == []
    assert await store.list_subkeys(KEY) == await store.list_sessions("proj") == []
    await store.append(KEY, [entry(1)])  # at once, as if there had been none
    assert await store.load(KEY) == [entry(1)]
    assert [each["session_id"] for each in await store.list_sessions("proj")] == ["sess"]


async def test_a_transcript_that_is_begun_anew_while_it_is_read(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never half of each."""
    await store.append(KEY, [entry(f"old {number}") for number in range(150)])
    new, page = [entry(f"new {number}") for number in range(150)], AsyncRedisConversation.messages

    async def messages(self: Any, **options: Any) -> Any:
        if options["after"]:
            monkeypatch.undo()
            await store.delete(KEY)
            await store.append(KEY, new)
        return await page(self, **options)

    monkeypatch.setattr(AsyncRedisConversation, "messages", messages)
    assert await store.load(KEY) == new


async def test_a_transcript_that_is_begun_anew_before_its_summary_is_kept(
    store: Any, conversations: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted, and so far another append has only created it: no error, after which the SDK would send the entries again."""
    append = AsyncRedisConversation.append_many

    async def append_many(self: Any, messages: Any) -> Any:
        added = await append(self, messages)
        monkeypatch.undo()
        await store.delete(KEY)
        await conversations().create(self.id)
        return added

    await store.append(KEY, [entry(0)])
    monkeypatch.setattr(AsyncRedisConversation, "append_many", append_many)
    await store.append(KEY, [entry(1)])
    assert await store.load(KEY) is None
    assert await store.list_sessions("proj") == await store.list_session_summaries("proj") == []


@pytest.mark.parametrize("client", ["redis"], indirect=True)  # one in memory has no connection to be listened at
async def test_costs(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round trips, as the docstrings give them."""
    for key in (KEY, SUB):
        await store.append(key, [entry(0)])
    recorder, new = Recorder(monkeypatch), itertools.count(1)
    calls = {
        "main": (lambda: store.append(KEY, [entry(next(new))]), 4),
        "subagent": (lambda: store.append(SUB, [entry(next(new))]), 1),
        "load": (lambda: store.load(KEY), 3),
        "sessions": (lambda: store.list_sessions("proj"), 2),
        "summaries": (lambda: store.list_session_summaries("proj"), 2),
        "subkeys": (lambda: store.list_subkeys(KEY), 2),
        "nothing": (lambda: store.append(KEY, []), 0),
    }
    found = {}
    for name, (call, _) in calls.items():
        await call()  # the server knows the scripts from now on
        recorder.clear()
        await call()
        found[name] = len(recorder.writes)
    assert found == {name: trips for name, (_, trips) in calls.items()}


async def test_subagents_live_as_long_as_their_session(prefix: str) -> None:
    """And end with it; what comes after the end begins anew."""
    client = AsyncInMemoryClient()
    chats = AsyncRedisConversations(AsyncSessionStore(client, prefix=prefix, default_ttl=DAY), max_lifetime=10 * DAY)
    store: Any = ConversationSessionStore(chats)
    await store.append(KEY, [entry("main")])
    await store.append(SUB, [entry("sub")])
    for number in range(5):
        client.advance(0.9 * DAY)
        await store.append(KEY, [entry(number)])
    client.advance(0.99 * DAY)
    assert await store.load(SUB) == [entry("sub")]
    assert len(await store.load(KEY)) == 6
    client.advance(0.02 * DAY)
    assert await store.load(KEY) is await store.load(SUB) is None
    assert await store.list_sessions("proj") == await store.list_session_summaries("proj") == []
    assert await client.dbsize() == 0 or [name async for name in client.scan_iter(match="*:conversation")] == []
    for number in range(20):  # beyond the lifetime, to which a session is begun anew as well
        await store.append(KEY, [entry(number)])
        client.advance(0.9 * DAY)
    assert [each["uuid"] for each in await store.load(KEY)][-1] == "uuid-19"
    assert (await summary(store))["data"] == await folded(store)


@pytest.fixture(scope="module")
def cluster() -> Any:
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.mark.long
async def test_on_a_cluster(cluster: Cluster, prefix: str) -> None:
    """All of it: a project's list, its sessions and their subagents lie on different nodes."""
    async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        places = iter(range(100))

        def make_store(place: str = "") -> Any:
            store = AsyncSessionStore(client, prefix=f"{prefix}-{place or next(places)}", default_ttl=DAY)
            return ConversationSessionStore(AsyncRedisConversations(store))

        await run_session_store_conformance(make_store)
        store = make_store("many")
        keys = [{"project_key": "proj", "session_id": f"{number}"} for number in range(20)]
        await asyncio.gather(*(store.append(key, [entry(0)]) for key in keys))
        subs = [{**keys[0], "subpath": f"subagents/{number}"} for number in range(20)]
        await asyncio.gather(*(store.append(key, [entry(0)]) for key in subs))
        assert len(await store.list_session_summaries("proj")) == len(await store.list_subkeys(keys[0])) == 20
        await store.delete(keys[0])
        assert [await store.load(key) for key in subs] == [None] * 20
        assert len(await store.list_sessions("proj")) == 19


# Every order of the commands of two calls, with lost replies.


def made(client: Any) -> Any:
    return ConversationSessionStore(AsyncRedisConversations(AsyncSessionStore(client, prefix="p", default_ttl=DAY)))


@pytest.fixture
def known_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn at random is the same in each run."""
    monkeypatch.setattr("session_store.conversations._core.records.new_place", lambda: "A" * 11)


def titled(number: int, key: dict[str, str] = KEY) -> Any:
    """Appends two entries."""

    async def append(store: Any) -> None:
        await store.append(key, [entry(f"{number}-{part}", customTitle=f"{number}-{part}") for part in "ab"])

    return append


async def delete(store: Any) -> None:
    await store.delete(KEY)


def uuids(entries: Any) -> list[str]:
    return [each["uuid"].removeprefix("uuid-") for each in entries or ()]


async def check_lists(store: Any) -> None:
    """They agree with what is stored."""
    stored = await store.load(KEY)
    listed = await store.list_sessions("proj")
    assert [each["session_id"] for each in listed] == (["sess"] if stored else [])
    assert [(each["mtime"], each["data"]) for each in await store.list_session_summaries("proj")] == [
        (each["mtime"], await folded(store)) for each in listed
    ]


@pytest.mark.long
@pytest.mark.usefixtures("known_places")
def test_two_appends_in_every_order() -> None:
    """Each whole and once, and the summary a fold of both in the order in which they are stored."""

    async def setup(store: Any) -> None:
        await titled(0)(store)

    async def check(store: Any, results: dict[str, Any]) -> None:
        assert uuids(await store.load(KEY))[2:] in (["1-a", "1-b", "2-a", "2-b"], ["2-a", "2-b", "1-a", "1-b"])
        await check_lists(store)
        assert await kept(store._chats, 6)

    tasks = {"one": titled(1), "two": titled(2)}
    assert explore(tasks, setup=setup, check=check, handle=made, faults={"lost_reply"}).complete


@pytest.mark.long
@pytest.mark.usefixtures("known_places")
@pytest.mark.parametrize("begun", [True, False])
def test_an_append_beside_a_deletion_in_every_order(begun: bool) -> None:
    """It comes before and is gone, or after and is there: whole, and in the lists."""

    async def setup(store: Any) -> None:
        if begun:
            await titled(0)(store)

    async def check(store: Any, results: dict[str, Any]) -> None:
        assert uuids(await store.load(KEY)) in ([], ["1-a", "1-b"])
        await check_lists(store)

    tasks = {"append": titled(1), "delete": delete}
    assert explore(tasks, setup=setup, check=check, handle=made, faults={"lost_reply"}).complete


@pytest.mark.long
@pytest.mark.usefixtures("known_places")
def test_a_subagent_beside_the_deletion_of_its_session_in_every_order() -> None:
    """The main transcript is gone, and what was there of the subagent's before; what comes after is whole, and is listed."""

    async def setup(store: Any) -> None:
        await titled(0)(store)
        await titled(0, SUB)(store)

    async def check(store: Any, results: dict[str, Any]) -> None:
        assert await store.load(KEY) is None
        left = uuids(await store.load(SUB))
        assert left in ([], ["1-a", "1-b"])
        assert await store.list_subkeys(KEY) == ([SUB["subpath"]] if left else [])

    tasks = {"append": titled(1, SUB), "delete": delete}
    assert explore(tasks, setup=setup, check=check, handle=made, faults={"lost_reply"}).complete
