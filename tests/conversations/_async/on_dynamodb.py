"""What tests of conversations see of a table, and do to it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.watched import LosesReply, Params, Watched

Item = dict[str, Any]
WRITES = ("put_item", "update_item", "transact_write_items", "delete_item", "batch_write_item")


async def items(client: Watched, table: str) -> list[Item]:
    """All that stands in the table."""
    found: list[Item] = []
    page: dict[str, Any] = {}
    while True:
        reply = await client._client.scan(TableName=table, ConsistentRead=True, **page)
        found += reply["Items"]
        if "LastEvaluatedKey" not in reply:
            return found
        page = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}


def misplaced(found: list[Item]) -> list[str]:
    """What breaks a promise: items without an end, and conversations that do not have as many messages as they say."""
    wrong = [f"{item['SK']} has no ttl" for item in found if "ttl" not in item]
    for meta in [item for item in found if item["SK"]["S"] == "#"]:
        begins = f"M#{meta['gen']['S']}#"
        of = [item for item in found if item["PK"] == meta["PK"] and item["SK"]["S"].startswith(begins)]
        held = len(of), sum(int(item["tok"]["N"]) for item in of)
        if held != (int(meta["n"]["N"]), int(meta["tok"]["N"])):
            wrong.append(f"{held} messages and tokens, and {meta['n']}, {meta['tok']} are told")
    return wrong


class Recorded:
    """What was sent, as the recorder of commands tells it."""

    def __init__(self, client: Watched) -> None:
        self._client = client

    @property
    def writes(self) -> list[str]:
        return [name for name, _ in self._client.calls]

    def clear(self) -> None:
        self._client.clear()


class LosesFirst(LosesReply):
    """The first answer to each request that writes is lost."""

    def __init__(self) -> None:
        super().__init__(*WRITES, times=10**9)
        self._seen: set[str] = set()

    def wants(self, name: str, params: Params) -> bool:
        asked = repr((name, params))
        is_new = asked not in self._seen
        self._seen.add(asked)
        return is_new and super().wants(name, params)


class Clock:
    """The clock of this machine, as `time.time_ns` tells it: `ahead` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = time.time_ns
        self.ahead = 0.0
        monkeypatch.setattr(time, "time_ns", self)

    def __call__(self) -> int:
        return self._real() + int(self.ahead * 1e9)


class Stored:
    """The messages of conversations, and their titles, as a table has them."""

    def __init__(self, client: Watched, table: str) -> None:
        self._client, self._table = client._client, table

    async def message(self, chat: Any, seq: int) -> Item:
        wanted = f"#{seq:012d}"
        (item,) = [
            item
            for item in await items(Watched(self._client), self._table)
            if item["PK"]["S"] == f"C#{chat.id}" and item["SK"]["S"].endswith(wanted)
        ]
        return item

    async def put(self, chat: Any, seq: int, message: Item) -> None:
        there = await self.message(chat, seq)
        await self._client.put_item(TableName=self._table, Item=message | {name: there[name] for name in ("PK", "SK")})

    def with_body_of(self, message: Item, other: Item) -> Item:
        return message | {"body": other["body"]}

    async def spoil_title(self, chat: Any) -> None:
        key = {"PK": {"S": f"C#{chat.id}"}, "SK": {"S": "#"}}
        await self._client.update_item(
            TableName=self._table,
            Key=key,
            UpdateExpression="SET #t = :t",
            ExpressionAttributeNames={"#t": "t"},
            ExpressionAttributeValues={":t": {"B": b"\xff"}},
        )
