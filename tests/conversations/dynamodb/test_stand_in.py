"""The DynamoDB of the tests, and the client that is as strict as AWS."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.dynamodb_rules import refused, size
from support.watched import Watched

KEY = {"PK": {"S": "p"}, "SK": {"S": "s"}}
PART = {"Put": {"TableName": "t", "Item": KEY}}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a bare name: ttl": (
        "update_item",
        {"UpdateExpression": "SET ttl = :t", "ExpressionAttributeValues": {":t": {"N": "1"}}},
    ),
    "#a is used and not given": ("query", {"FilterExpression": "attribute_exists(#a)"}),
    ":t is used and not given, or given and not used": ("query", {"ExpressionAttributeValues": {":t": {"N": "1"}}}),
    "the upper bound of BETWEEN": (
        "query",
        {
            "KeyConditionExpression": "#k BETWEEN :a AND :b",
            "ExpressionAttributeNames": {"#k": "k"},
            "ExpressionAttributeValues": {":a": {"S": "2"}, ":b": {"S": "1"}},
        },
    ),
    "an item of": ("put_item", {"Item": {**KEY, "b": {"S": "é" * 200 * 1024}}}),
    "a key of 0 bytes": ("put_item", {"Item": {"PK": {"S": ""}}}),
    "a key of 1025 bytes": ("get_item", {"Key": {"SK": {"S": "x" * 1025}}}),
    "101 items in a transaction": ("transact_write_items", {"TransactItems": [PART] * 101, "ClientRequestToken": "x"}),
    "two operations on one item": ("transact_write_items", {"TransactItems": [PART] * 2, "ClientRequestToken": "x"}),
    "a transaction without a token": ("transact_write_items", {"TransactItems": [PART]}),
    "26 items in batch_write_item": ("batch_write_item", {"RequestItems": {"t": [{"n": at} for at in range(26)]}}),
    "one item twice": ("batch_get_item", {"RequestItems": {"t": {"Keys": [KEY, KEY]}}}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_dynamodb_would_refuse(why: str) -> None:
    assert why in "\n".join(refused(*REFUSED[why]))


def test_what_dynamodb_takes() -> None:
    update = {"UpdateExpression": "SET #a = :b REMOVE #c", "ExpressionAttributeNames": {"#a": "a", "#c": "c"}}
    part = {"Update": {"Key": KEY, **update, "ExpressionAttributeValues": {":b": {"N": "1"}}}}
    assert list(refused("transact_write_items", {"TransactItems": [part], "ClientRequestToken": "x" * 36})) == []
    assert size({"ab": {"S": "é"}, "c": {"B": b"12"}, "d": {"N": "1000"}}) == 12


def test_transactions_are_isolated(watched: Watched, table: str) -> None:
    """Of many that expect the same one is done, and none is lost."""
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in (("PK", "HASH"), ("SK", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")]
    watched.create_table(TableName=table, KeySchema=schema, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
    done = []

    def count_up() -> None:
        for _ in range(5):
            part = {
                "TableName": table,
                "Key": KEY,
                "UpdateExpression": "ADD #n :one",
                "ExpressionAttributeNames": {"#n": "n"},
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
            token = f"{threading.get_ident()}-{_}"
            watched.transact_write_items(TransactItems=[{"Update": part}], ClientRequestToken=token)
            done.append(token)

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item = watched.get_item(TableName=table, Key=KEY, ConsistentRead=True)["Item"]
    assert item["n"] == {"N": str(len(done))} == {"N": "40"}
