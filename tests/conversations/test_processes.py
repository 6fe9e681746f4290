"""Processes that append to one conversation [A9, C2], and one that dies while it begins one [C20]."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import redis
from conversations._sync.conftest import AGE_CONVERSATION
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


DIES = """
import sys
import redis
from session_store import SessionStore
from session_store.conversations import RedisConversations
from session_store.conversations._sync.shelf import Shelf

enlist = Shelf.enlist

def and_no_further(*args, **labels):
    enlist(*args, **labels)
    print("named", flush=True)
    sys.stdin.readline()

Shelf.enlist = and_no_further
with redis.Redis(port=int(sys.argv[1])) as client:
    RedisConversations(SessionStore(client, prefix=sys.argv[2], default_ttl=600)).create("c", user="ann", agent="planner")
"""


def test_a_process_dies_between_the_list_and_the_conversation(server: Server, prefix: str) -> None:
    """Lists show nothing of it, and forget it once whoever began it would long have been done."""
    command = [sys.executable, "-c", DIES, str(server.port), prefix]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "named\n"
        process.kill()
    with redis.Redis(port=server.port) as client:
        chats = RedisConversations(SessionStore(client, prefix=prefix, default_ttl=600))

        def look() -> tuple[Any, ...]:
            """What lists show; how many conversations they name afterwards."""
            items = [*chats.list(user="ann").items, *chats.list(agent="planner").items]
            keys = list(client.scan_iter(match=f"{prefix}:*:created"))
            return items, sum(client.zcard(key) for key in keys)

        def pass_time(seconds: float) -> None:
            keys = list(client.scan_iter(match=f"{prefix}:*"))
            client.eval(AGE_CONVERSATION, len(keys), *keys, seconds * 1000)

        assert chats.conversation("c").info() is None
        assert look() == ([], 2)
        pass_time(50)
        assert look() == ([], 2)
        pass_time(11)
        assert look() == ([], 0)
        assert chats.create("c", user="ann").count == 0
        assert [info.id for info in chats.list(user="ann").items] == ["c"]
