"""Conversations on a cluster, where a user's list lies on another node than the conversations [C23], and with replicas."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from cluster.flavours import Flavour
from support.deployments import Cluster
from support.nodes import wait_until
from support.sentinel import SentinelDeployment

from session_store import AsyncSessionStore, JsonCodec, ReplicationError, SessionStore, SessionStoreError
from session_store.conversations import AsyncRedisConversations, Message, NewMessage, RedisConversations


@pytest.fixture
def conversations(flavour: Flavour, prefix: str) -> Callable[..., Any]:
    """Makes the conversations of a client."""

    def conversations(client: Any, **settings: Any) -> Any:
        kinds: Any = (
            (AsyncSessionStore, AsyncRedisConversations) if flavour.is_async else (SessionStore, RedisConversations)
        )
        return kinds[1](kinds[0](client, prefix=prefix, default_ttl=600, codec=JsonCodec(), **settings))

    return conversations


def test_conversations(cluster: Cluster, flavour: Flavour, conversations: Any) -> None:
    """All that is done with some of one user: nothing is CROSSSLOT."""
    wait, chats = flavour.wait, conversations(flavour.cluster(cluster.port))
    ids = [wait(chats.create(user="ann", agent="planner", title=f"chat {number}")).id for number in range(12)]
    chat = chats.conversation(ids[0])
    wait(chat.append_many([NewMessage("user", "one", key="k"), NewMessage("assistant", ["two"], tokens=2)]))
    assert wait(chat.append("user", "one", key="k")).seq == 1
    wait(chat.edit(1, "changed"))
    revision = wait(chat.info()).revision
    wait(chat.set_summary("a summary", upto=2, expected_revision=revision))
    assert [message.content for message in wait(chat.latest(5)).items] == ["changed", ["two"]]
    assert set(wait(chats.infos(ids))) == set(ids)
    page = wait(chats.list(user="ann", limit=5))
    rest = wait(chats.list(user="ann", limit=50, cursor=page.cursor))
    # Some may have begun in the same millisecond, so their order is not that in which they were made.
    assert sorted(info.id for info in (*page.items, *rest.items)) == sorted(ids)
    wait(chat.replace([NewMessage("system", "short")], expected_revision=revision))
    assert wait(chat.delete(3)) == 1
    assert wait(chat.clear()) == 0
    assert wait(chat.update(user="bob", status="done")).status == "done"
    assert wait(chat.touch())
    for each in ids:
        assert wait(chats.conversation(each).delete_all())
    assert wait(chats.list(agent="planner")).items == wait(chats.list(user="bob")).items == ()


@pytest.fixture
def whole(replicated: Cluster) -> Iterator[Cluster]:
    """The cluster with all its nodes, before and after."""
    replicated.wait_until_whole()
    yield replicated
    replicated.restore()


def test_a_message_that_the_replica_has_not(whole: Cluster, flavour: Flavour, conversations: Any) -> None:
    """[C24] The caller learns that it may be lost; it is there, and a call that is made again by its key adds nothing."""
    wait, chats = flavour.wait, conversations(flavour.cluster(whole.port, socket_timeout=1), min_replicas=1)
    chat = chats.conversation(wait(chats.create()).id)
    wait(chat.append("user", "one"))
    key = chats.store.namespace(chat.id).key("conversation")
    replica = whole.replica_of(whole.primary_of(key)).server
    replica.pause()
    try:
        with pytest.raises(ReplicationError) as raised:
            wait(chat.append("user", "two", key="k"))
    finally:
        replica.resume()
    assert (raised.value.key, raised.value.replicas, raised.value.min_replicas) == (key, 0, 1)
    assert [message.content for message in wait(chat.latest()).items] == ["one", "two"]
    whole.wait_until_whole()
    assert wait(chat.append("user", "two", key="k")).seq == 2


@contextmanager
def appending(wait: Callable[[Any], Any], chat: Any) -> Iterator[list[Message]]:
    """Appends 0, 1, .. in a thread, whatever becomes of each. The messages that were acknowledged."""
    told: list[Message] = []
    stops = threading.Event()

    def run() -> None:
        at = 0
        while not stops.is_set():
            try:
                told.append(wait(chat.append("user", at, tokens=1)))
            except (redis.RedisError, redis.exceptions.RedisClusterException, SessionStoreError):
                pass
            at += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield told
    finally:
        stops.set()
        thread.join()


def go_on(told: list[Message]) -> None:
    """Waits for some more that are acknowledged."""
    count = len(told) + 10
    wait_until(lambda: len(told) >= count, "messages are added")


def check(wait: Callable[[Any], Any], chat: Any, told: list[Message]) -> None:
    """All that was acknowledged is there as it was told, and nothing twice."""
    found: list[Message] = []
    while page := wait(chat.messages(after=found[-1].seq if found else 0, limit=1_000)).items:
        found += page
    assert len({message.content for message in found}) == len(found)
    there = {message.seq: message for message in found}
    assert [there.get(message.seq) for message in told] == told
    info = wait(chat.info())
    assert (info.count, info.tokens) == (len(found), len(found))


def test_acknowledged_messages_survive(whole: Cluster, flavour: Flavour, conversations: Any) -> None:
    """A primary dies, and its replica takes over."""
    wait, chats = flavour.wait, conversations(flavour.cluster(whole.port, socket_timeout=1), min_replicas=1)
    chat = chats.conversation(wait(chats.create()).id)
    with appending(wait, chat) as told:
        go_on(told)
        whole.kill_primary_of(chats.store.namespace(chat.id).key("conversation"))
        whole.restore()
        go_on(told)
    check(wait, chat, told)


def test_acknowledged_messages_survive_under_sentinels(
    deployment: SentinelDeployment, flavour: Flavour, conversations: Any
) -> None:
    """Where a call waits for both replicas: Sentinels may promote either."""
    wait = flavour.wait
    chats = conversations(flavour.master(deployment.addresses, deployment.NAME, socket_timeout=1), min_replicas=2)
    chat = chats.conversation(wait(chats.create(user="ann")).id)
    with appending(wait, chat) as told:
        go_on(told)
        deployment.kill_master()
        deployment.restore()
        go_on(told)
    check(wait, chat, told)
    assert [info.id for info in wait(chats.list(user="ann")).items] == [chat.id]
