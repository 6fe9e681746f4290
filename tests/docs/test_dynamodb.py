"""The page of DynamoDB: its templates make the table that the library makes, its rights are enough, its figures hold."""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from docs.pages import DOCS, ROOT
from support._sync._flavour import connect
from support.dynamodb import settings
from support.watched import Watched

from session_store.conversations import DynamoDBConversations

PAGE = DOCS["dynamodb"]


def block(language: str, word: str) -> str:
    """The one block of a language in which a word stands."""
    (found,) = [each.code for each in PAGE.blocks if each.language == language and word in each.code]
    return found


@pytest.fixture
def sent(dynamodb_url: str) -> dict[str, Any]:
    """What `create_table` asks for, by operation."""
    with connect(dynamodb_url) as client:
        watched = Watched(client)
        DynamoDBConversations(watched, table="chats").create_table()
        client.delete_table(TableName="chats")
    return dict(watched.calls)


def test_cloudformation_makes_the_same_table(sent: dict[str, Any]) -> None:
    (resource,) = json.loads(block("json", "AWS::DynamoDB::Table"))["Resources"].values()
    properties = resource["Properties"]
    ttl = properties.pop("TimeToLiveSpecification")
    assert properties == sent["create_table"]
    assert {"TableName": "chats", "TimeToLiveSpecification": ttl} == sent["update_time_to_live"]


def test_terraform_makes_the_same_table(sent: dict[str, Any]) -> None:
    code = block("hcl", "aws_dynamodb_table")
    asked = sent["create_table"]

    def told(text: str) -> dict[str, str]:
        return dict(re.findall(r'^ +(\w+) += "?([\w-]+)"?$', text, re.MULTILINE))

    def keys(schema: list[dict[str, str]]) -> dict[str, str]:
        names = {"HASH": "hash_key", "RANGE": "range_key"}
        return {names[each["KeyType"]]: each["AttributeName"] for each in schema}

    head, attributes, *indexes, ttl = re.split(r"\n  (?=[a-z][\w \"]* \{\n)", code)
    assert told(head) == {"name": "chats", "billing_mode": asked["BillingMode"], **keys(asked["KeySchema"])}
    assert json.loads(re.findall(r"for_each = (.+)", attributes)[0]) == [
        each["AttributeName"] for each in asked["AttributeDefinitions"]
    ]
    assert {each["AttributeType"] for each in asked["AttributeDefinitions"]} == {"S"} == {told(attributes)["type"]}
    assert [told(each) for each in indexes] == [
        {
            "name": index["IndexName"],
            **keys(index["KeySchema"]),
            "projection_type": index["Projection"]["ProjectionType"],
        }
        for index in asked["GlobalSecondaryIndexes"]
    ]
    wanted = sent["update_time_to_live"]["TimeToLiveSpecification"]
    assert told(ttl) == {"attribute_name": wanted["AttributeName"], "enabled": str(wanted["Enabled"]).lower()}


def test_the_code_of_the_page_runs(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first block to its last."""
    import boto3

    monkeypatch.setattr(boto3, "client", functools.partial(boto3.client, **settings(dynamodb_url)))
    names: dict[str, Any] = {"__name__": "page"}
    try:
        for each in PAGE.blocks:
            if each.language == "python":
                exec(compile("\n" * each.line + each.code, PAGE.path, "exec", dont_inherit=True), names)
    finally:
        names["client"].delete_table(TableName="chats")


def test_what_it_costs_is_what_the_program_prints() -> None:
    """The command on the page prints what stands below it."""
    command = block("sh", "benchmarks.dynamodb_costs")
    program = [sys.executable, *shlex.split(command.replace("\\\n", " "))[1:]]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert block("text", "of 1,000,000").splitlines() == [line.rstrip() for line in done.stdout.splitlines()]
