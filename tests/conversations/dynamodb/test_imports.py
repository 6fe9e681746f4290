"""What is loaded for conversations on DynamoDB, and when."""

from __future__ import annotations

import subprocess
import sys

LOADS = """
import sys

import session_store
from session_store.conversations import Message, RedisConversations

clients = {"aiobotocore", "aiohttp", "boto3", "botocore"}
assert not clients & set(sys.modules), clients & set(sys.modules)
from session_store.conversations import DynamoDBConversations

assert {"aiobotocore", "aiohttp", "boto3"}.isdisjoint(sys.modules)
"""
LACKS = """
import sys

sys.modules["botocore"] = None
import session_store.conversations

try:
    session_store.conversations.DynamoDBConversations
except ImportError as error:
    assert "session-store[dynamodb]" in str(error), error
else:
    raise AssertionError
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_who_uses_it_loads_a_client() -> None:
    """Neither of boto3 and aiobotocore is loaded but by the application."""
    run(LOADS)


def test_what_to_install_is_said() -> None:
    run(LACKS)
