"""Processes that append to one conversation on DynamoDB [D9]."""

from __future__ import annotations

import pytest
from support._sync._flavour import connect
from support.together import at_once

from session_store.conversations import DynamoDBConversations

pytestmark = pytest.mark.long

PROCESSES, APPENDS = 4, 50
WORKER = """
import json, sys
sys.path.insert(0, sys.argv[3])
from support._sync._flavour import connect
from session_store.conversations import DynamoDBConversations

url, table, _, name = sys.argv[1:]
with connect(url) as client:
    chat = DynamoDBConversations(client, table=table).conversation("c")
    chat.info()
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([chat.append("user", f"{name}-{number}", tokens=3).seq for number in range(50)]), flush=True)
"""


def test_numbers_are_given_once(dynamodb_url: str, table: str, pytestconfig: pytest.Config) -> None:
    """[D9] 1 to 200, each to the message of the caller who was told it, in the order in which it called; no call fails."""
    with connect(dynamodb_url) as client:
        chats = DynamoDBConversations(client, table=table)
        chats.create_table()
        chats.create("c")
        args = dynamodb_url, table, pytestconfig.rootpath / "tests"
        told = at_once(WORKER, *args, processes=PROCESSES, patience=600)
        messages = {message.seq: message for message in chats.conversation("c").iter()}
        info = chats.conversation("c").info()
    assert sorted(messages) == list(range(1, PROCESSES * APPENDS + 1))
    assert info is not None and (info.count, info.tokens) == (PROCESSES * APPENDS, 3 * PROCESSES * APPENDS)
    for name, seqs in enumerate(told):
        assert [messages[seq].content for seq in seqs] == [f"{name}-{number}" for number in range(APPENDS)]
        assert seqs == sorted(seqs)
