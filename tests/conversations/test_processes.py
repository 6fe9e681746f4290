"""Processes that append to one conversation [A9, C2]."""

from __future__ import annotations

import pytest
import redis
from support.servers import Server
from support.together import at_once

from session_store import SessionStore
from session_store.conversations import RedisConversations

pytestmark = pytest.mark.long

PROCESSES, APPENDS = 4, 50
WORKER = """
import json, sys
import redis
from session_store import SessionStore
from session_store.conversations import RedisConversations

port, prefix, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with redis.Redis(port=port) as client:
    chat = RedisConversations(SessionStore(client, prefix=prefix, default_ttl=600)).conversation("c")
    chat.info()
    print("ready", flush=True)
    sys.stdin.readline()
    seqs = [chat.append("user", f"{name}-{number}", tokens=3).seq for number in range(50)]
    keyed = [chat.append("tool", "the same", key=f"key-{number}").seq for number in range(10)]
    print(json.dumps([seqs, keyed]), flush=True)
"""


def test_numbers_are_given_once(server: Server, prefix: str) -> None:
    """Each message has the number that its caller was told, in the order in which it called; a key is of one message."""
    with redis.Redis(port=server.port) as client:
        chats = RedisConversations(SessionStore(client, prefix=prefix, default_ttl=600))
        chat = chats.conversation(chats.create("c").id)
        told = at_once(WORKER, server.port, prefix, processes=PROCESSES)
        messages = {message.seq: message for message in chat.iter()}
        info = chat.info()
    count = PROCESSES * APPENDS + 10
    assert sorted(messages) == list(range(1, count + 1))
    assert info is not None and (info.count, info.tokens) == (count, 3 * PROCESSES * APPENDS)
    for name, (seqs, keyed) in enumerate(told):
        assert [messages[seq].content for seq in seqs] == [f"{name}-{number}" for number in range(APPENDS)]
        assert seqs == sorted(seqs)
        assert [messages[seq].key for seq in keyed] == [f"key-{number}" for number in range(10)]
    assert len({tuple(keyed) for _, keyed in told}) == 1
