"""Which clients conversations on DynamoDB take. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from support._async._flavour import connect as connect_async
from support._sync._flavour import connect
from support.dynamodb import settings

from session_store.conversations import AsyncDynamoDBConversations, DynamoDBConversations


def resource(url: str) -> Any:
    import boto3

    return boto3.resource("dynamodb", **settings(url))


async def test_clients_of_boto3_and_of_aiobotocore(dynamodb_url: str, table: str) -> None:
    """[D19] As they are; both see the same conversations."""
    with connect(dynamodb_url) as client:
        every = DynamoDBConversations(client, table=table)
        every.create_table()
        every.create("c")
        async with connect_async(dynamodb_url) as async_client:
            chat = AsyncDynamoDBConversations(async_client, table=table).conversation("c")
            await chat.append("user", "x")
        assert [message.content for message in every.conversation("c").iter()] == ["x"]


async def test_what_is_no_client(dynamodb_url: str) -> None:
    """[D19] The error says what to pass."""
    with connect(dynamodb_url) as client:
        for wrong in (resource(dynamodb_url), resource(dynamodb_url).Table("t"), redis.Redis(), None):
            with pytest.raises(TypeError, match=r'boto3\.client\("dynamodb"\)'):
                DynamoDBConversations(wrong, table="t")
            with pytest.raises(TypeError, match="aiobotocore"):
                AsyncDynamoDBConversations(wrong, table="t")
        with pytest.raises(TypeError, match="aiobotocore"):
            AsyncDynamoDBConversations(client, table="t")
        async with connect_async(dynamodb_url) as async_client:
            with pytest.raises(TypeError, match=r'boto3\.client\("dynamodb"\)'):
                DynamoDBConversations(async_client, table="t")


def test_a_client_of_another_service(dynamodb_url: str) -> None:
    """[D19]"""
    import boto3

    with pytest.raises(TypeError, match=r'boto3\.client\("dynamodb"\)'):
        DynamoDBConversations(boto3.client("sqs", **settings(dynamodb_url)), table="t")
