"""Conversations on a cluster: a user's list lies on another node than the conversations [C23]."""

from __future__ import annotations

from typing import Any

from cluster.flavours import Flavour
from support.deployments import Cluster

from session_store import AsyncSessionStore, JsonCodec, SessionStore
from session_store.conversations import AsyncRedisConversations, NewMessage, RedisConversations


def test_conversations(cluster: Cluster, flavour: Flavour, prefix: str) -> None:
    """All that is done with some of one user: nothing is CROSSSLOT."""
    wait = flavour.wait
    kinds: Any = (
        (AsyncSessionStore, AsyncRedisConversations) if flavour.is_async else (SessionStore, RedisConversations)
    )
    chats = kinds[1](kinds[0](flavour.cluster(cluster.port), prefix=prefix, default_ttl=600, codec=JsonCodec()))
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
