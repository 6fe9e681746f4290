"""Lists of conversations, decided: which part of an index is read, and where a page goes on."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2s
from typing import Any

from session_store.conversations._core.lists import Wanted
from session_store.conversations.dynamodb._core.expressions import Expression, Params
from session_store.conversations.dynamodb._core.items import INDEXES, KEYS, index_key

_PLACE = re.compile(r"\d{13}#.+", re.DOTALL)


def sort_in_index(created_ms: int, conversation_id: str) -> str:
    """Where a conversation stands in the indexes."""
    return f"{created_ms:013d}#{conversation_id}"


class Listing:
    """A list of a user or an agent, the latest first."""

    def __init__(self, table: str, wanted: Wanted, cursor: str | None) -> None:
        self._table = table
        self._index, self._attribute, letter = INDEXES[wanted.label]
        self._partition = index_key(letter, wanted.label, wanted.value)
        self._mark = blake2s(self._partition.encode(), digest_size=6).hexdigest()
        self._low = f"{max(wanted.after_ms or 0, 0):013d}"
        self._high = "9" * 14 if wanted.before_ms is None else f"{max(wanted.before_ms + 1, 0):013d}"
        self._last = self._read(cursor)

    def _read(self, cursor: str | None) -> str | None:
        if cursor is None:
            return None
        try:
            mark, place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(":", 1)
        except (TypeError, ValueError, binascii.Error):
            mark = place = ""
        if mark != self._mark or not _PLACE.fullmatch(place):
            raise ValueError("cursor must be one that a page of this list has given")
        return place

    @property
    def cursor(self) -> str:
        """Where to go on behind what was taken last."""
        return urlsafe_b64encode(f"{self._mark}:{self._last}".encode()).decode().rstrip("=")

    def query(self, limit: int) -> Params | None:
        """What to ask the index for, to get so many more at least, if there are. None where there is nothing to ask for."""
        expression = Expression()
        high = self._high if self._last is None else min(self._high, self._last)
        if high < self._low:
            return None
        of = f"{expression.name(self._attribute)} = {expression.value(self._partition)}"
        between = f"{expression.name('CK')} BETWEEN {expression.value(self._low)} AND {expression.value(high)}"
        return {
            "TableName": self._table,
            "IndexName": self._index,
            **expression.params(KeyConditionExpression=f"{of} AND {between}"),
            "ScanIndexForward": False,
            "Limit": limit + (self._last is not None),  # which comes again
        }

    def take(self, entries: list[Any]) -> list[tuple[str, str]]:
        """Ids of what an index told, each with its place."""
        places = [entry["CK"]["S"] for entry in entries]
        return [(place.split("#", 1)[1], place) for place in places if self._last is None or place < self._last]

    def pass_over(self, place: str) -> None:
        """Goes on behind this place."""
        self._last = place


def layout(table: str) -> Params:
    """The table, as CreateTable takes it."""
    attributes = [*KEYS, "UK", "AK", "CK"]
    return {
        "TableName": table,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in attributes],
        "KeySchema": _keys(*KEYS),
        "GlobalSecondaryIndexes": [
            {"IndexName": name, "KeySchema": _keys(key, "CK"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for name, key, _ in INDEXES.values()
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def _keys(partition: str, sort: str) -> list[Params]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
