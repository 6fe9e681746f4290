"""What DynamoDB refuses, whether or not a stand-in for it does; and names that stand in expressions as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil
from typing import Any

Params = dict[str, Any]
WORDS = frozenset(
    {
        *("SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"),
        *("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"),
        *("if_not_exists", "list_append"),
    }
)
MOST_OF_KEYS = {"PK": 2048, "SK": 1024, "UK": 2048, "AK": 2048, "CK": 1024}


def size(item: Params) -> int:
    """The bytes of an item, as DynamoDB counts them: names and values."""
    return sum(len(name.encode()) + _size_of(value) for name, value in item.items())


def _size_of(value: Params) -> int:
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "N":
        return len(held) // 2 + 2
    return len(held) if kind == "B" else len(repr(held))


def refused(operation: str, params: Params) -> Iterator[str]:
    """Why DynamoDB would refuse a request, or would do something else than whoever wrote it thinks."""
    if operation == "transact_write_items":
        parts = [part for each in params["TransactItems"] for part in each.values()]
        if len(parts) > 100:
            yield f"{len(parts)} items in a transaction"
        keys = [part.get("Key") or {name: part["Item"][name] for name in ("PK", "SK")} for part in parts]
        if len({*map(repr, keys)}) < len(keys):
            yield "two operations on one item"
        if sum(size(part.get("Item") or part.get("ExpressionAttributeValues", {})) for part in parts) > 4 * 2**20:
            yield "more than 4 MB in a transaction"
        if not 1 <= len(params.get("ClientRequestToken", "")) <= 36:
            yield "a transaction without a token, or with a long one"
        for part in parts:
            yield from _of_one(part)
    elif operation in {"batch_write_item", "batch_get_item"}:
        for asked in params["RequestItems"].values():
            listed = asked["Keys"] if operation == "batch_get_item" else asked
            if not 1 <= len(listed) <= (100 if operation == "batch_get_item" else 25):
                yield f"{len(listed)} items in {operation}"
            if len({repr(each) for each in listed}) < len(listed):
                yield f"one item twice in {operation}"
    else:
        yield from _of_one(params)


def _of_one(params: Params) -> Iterator[str]:
    texts = {name: text for name, text in params.items() if name.endswith("Expression")}
    used = re.findall(r"[#:]?[A-Za-z_]\w*", " ".join(texts.values()))
    for word in used:
        if word[0] not in "#:" and word not in WORDS:
            yield f"a bare name: {word}"
    given = {*params.get("ExpressionAttributeNames", {}), *params.get("ExpressionAttributeValues", {})}
    for name in given.symmetric_difference(word for word in used if word[0] in "#:"):
        yield f"{name} is used and not given, or given and not used"
    for text in texts.values():
        if len(text) > 4096:
            yield f"an expression of {len(text)} bytes"
    values = params.get("ExpressionAttributeValues", {})
    for low, high in re.findall(r"BETWEEN (:\w+) AND (:\w+)", texts.get("KeyConditionExpression", "")):
        if values[low]["S"] > values[high]["S"]:
            yield "the upper bound of BETWEEN is below the lower one"
    item = params.get("Item", {})
    if size(item) > 400 * 1024:
        yield f"an item of {size(item)} bytes"
    for name, most in MOST_OF_KEYS.items():
        for held in (item.get(name), params.get("Key", {}).get(name)):
            if held is not None and not 1 <= _size_of(held) <= most:
                yield f"a key of {_size_of(held)} bytes: {name}"


def units(operation: str, params: Params, reply: Params, items: dict[str, Params]) -> tuple[float, float]:
    """Write and read units that a request takes, but for the indexes. `items`: the table afterwards, by `repr` of keys."""
    if operation in {"get_item", "query", "scan"}:
        found = reply.get("Items", [reply["Item"]] if "Item" in reply else [])
        return 0, max(1, ceil(sum(map(size, found)) / 4096)) * (1 if params.get("ConsistentRead") else 0.5)
    if operation == "batch_get_item":
        found = [item for each in reply["Responses"].values() for item in each]
        return 0, sum(ceil(size(item) / 4096) for item in found)
    parts = [each for many in params.get("RequestItems", {}).values() for each in many] or params.get("TransactItems")
    written = [part for each in parts for part in each.values()] if parts else [params]
    factor = 2 if operation == "transact_write_items" else 1
    return factor * sum(max(1, ceil(size(items.get(key_of(part), {})) / 1024)) for part in written), 0


def key_of(part: Params) -> str:
    """The key of what a part of a request writes."""
    key = part.get("Key") or {name: part["Item"][name] for name in ("PK", "SK")}
    return repr(key)
