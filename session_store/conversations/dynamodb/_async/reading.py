"""What is read of a conversation."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from session_store import CasContentionError
from session_store.conversations._async.handle import AsyncHandle
from session_store.conversations._core.values import ConversationInfo, Message
from session_store.conversations.dynamodb._async._flavour import at_once
from session_store.conversations.dynamodb._async.table import AsyncTable
from session_store.conversations.dynamodb._core.expressions import Expression, Item, Params
from session_store.conversations.dynamodb._core.items import (
    Meta,
    message_sort,
    meta_of,
    number,
    partition_of,
    read_info,
    read_message,
    seq_of,
)
from session_store.conversations.errors import ConversationNotFoundError

_MOST_LOOKS = 20  # at what others change all the time
_PATIENCE = 5  # looks at a table that has not as many messages as it says
_LEAST_FILTERED = 100  # messages that are read together where only some roles are wanted


class Asked(NamedTuple):
    """Which messages a page is to have."""

    order: str
    after: str
    before: str
    limit: int
    offset: int
    roles: str
    most_tokens: int | str


class Found(NamedTuple):
    """What a query gave. `is_torn`: whether messages may have gone meanwhile; `missing`: how many were not there."""

    is_more: bool
    pairs: list[tuple[int, Item]]
    missing: int
    is_torn: bool


class AsyncDynamoDBReading(AsyncHandle):
    """The handle of a conversation, as far as it reads; see `AsyncDynamoDBConversation`."""

    __slots__ = ("_known", "_partition", "_table", "_values")

    def __init__(self, table: AsyncTable, conversation_id: str) -> None:
        self.id = conversation_id
        self._partition = partition_of(conversation_id)
        self._table = table
        self._values = table.values(conversation_id)
        self._known: Item | None = None  # what was last told of it: what a change begins with, and a page is read by

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    def _decoded(self, seq: int, data: Any) -> Message:
        return read_message(self._values, data)

    def _standing(self, item: Item | None) -> Meta:
        """Where the conversation stands by what was read of it now. Raises `ConversationNotFoundError`."""
        self._known = item
        meta = meta_of(item, self._table.now_ms())
        if meta is None:
            raise ConversationNotFoundError
        return meta

    async def _look(self) -> Meta:
        return self._standing(await self._table.get(self._partition))

    async def info(self) -> ConversationInfo | None:
        """What is told of it; None where there is no such conversation. GetItem, 1 read unit, 1 round trip."""
        try:
            return read_info(self._values, self.id, await self._look())
        except ConversationNotFoundError:
            return None

    async def _page(
        self, order: str, after: str, before: str, limit: int, *more: Any
    ) -> tuple[bool, list[tuple[int, Item]]]:
        """See `AsyncHandle`. What is found agrees with one state of the conversation.

        The messages that others add meanwhile have numbers beyond those that are looked for. Where some are missing, they may
        have been deleted before, or just now: then there may be more of that to come, so that it is looked again.
        """
        asked = Asked(order, after, before, limit, *more)
        known, found = meta_of(self._known, self._table.now_ms()), None
        if known is None or not limit:
            meta = await self._look()
        else:
            meta, found = await at_once(self._look, partial(self._find, known, asked))
            if (meta.gen, meta.revision) != (known.gen, known.revision):
                found = None
        for look in range(1, _MOST_LOOKS + 1):
            if found is None:
                found = await self._find(meta, asked)
            if not (found.missing or found.is_torn):
                return found.is_more, found.pairs
            now = await self._look()
            is_whole = found.missing <= meta.holes or look > _PATIENCE  # else somebody else has deleted items
            if is_whole and (now.gen, now.cut) == (meta.gen, meta.cut):
                return found.is_more, found.pairs
            meta, found = now, None
        raise CasContentionError(self._partition, _MOST_LOOKS)

    async def _find(self, meta: Meta, asked: Asked) -> Found:
        """What a page has, of the messages that were there when the conversation stood like this."""
        pairs: list[tuple[int, Item]] = []
        if not asked.limit:
            return Found(is_more=False, pairs=pairs, missing=0, is_torn=False)
        low, high = await self._bounds(meta, asked)
        if low > high:
            return Found(is_more=False, pairs=pairs, missing=0, is_torn=False)
        left, costs, scanned, is_more = asked.offset, 0, 0, False
        begins, ends = low, high  # between which messages were looked at
        query = self._query(meta, asked, low, high)
        more: Params = {}
        while True:
            reply = await self._table.call("query", **query, **more)
            more = {"ExclusiveStartKey": reply.get("LastEvaluatedKey")}
            scanned += reply["ScannedCount"]
            for item in reply["Items"]:
                seq = seq_of(item)
                if is_more or not meta.is_there(seq):
                    continue
                if left:
                    left -= 1
                    continue
                costs += number(item, "tok")
                is_more = len(pairs) == asked.limit or bool(
                    pairs and isinstance(asked.most_tokens, int) and costs > asked.most_tokens
                )
                if not is_more:
                    pairs.append((seq, item))
            if not more["ExclusiveStartKey"]:
                break
            if is_more:
                last = seq_of(more["ExclusiveStartKey"])
                begins, ends = (low, last) if asked.order == "asc" else (last, high)
                break
        is_torn = any(first <= ends and last >= begins for first, last in meta.gaps)
        return Found(is_more, pairs, max(0, ends - begins + 1 - scanned), is_torn)

    def _query(self, meta: Meta, asked: Asked, low: int, high: int) -> Params:
        query = self._between(meta.gen, low, high, is_forward=asked.order == "asc")
        query["Limit"] = asked.limit + asked.offset + 1
        if asked.roles:
            expression: Expression = query.pop("expression")
            letters = ", ".join(map(expression.value, asked.roles))
            condition = f"{expression.name('role')} IN ({letters})"
            query["Limit"] = max(query["Limit"], _LEAST_FILTERED)
            return query | expression.params(
                KeyConditionExpression=query["KeyConditionExpression"], FilterExpression=condition
            )
        del query["expression"]
        return query

    def _between(self, gen: str, low: int, high: int, *, is_forward: bool) -> Params:
        """A query for messages by number, in the order that is wanted."""
        expression = Expression()
        of = f"{expression.name('PK')} = {expression.value(self._partition)}"
        bounds = (expression.value(message_sort(gen, seq)) for seq in (low, high))
        return {
            "TableName": self._table.name,
            "ConsistentRead": True,
            "ScanIndexForward": is_forward,
            **expression.params(
                KeyConditionExpression=f"{of} AND {expression.name('SK')} BETWEEN {' AND '.join(bounds)}"
            ),
            "expression": expression,
        }

    async def _bounds(self, meta: Meta, asked: Asked) -> tuple[int, int]:
        """The numbers between which messages are wanted."""
        low, high = meta.first, meta.seq
        kind, value = asked.after[:1], int(asked.after[1:] or 0)
        if kind:
            low = max(low, value + 1 if kind == "s" else await self._created_from(meta, value + 1))
        kind, value = asked.before[:1], int(asked.before[1:] or 0)
        if kind:
            high = min(high, (value if kind == "s" else await self._created_from(meta, value)) - 1)
        return low, high

    async def _created_from(self, meta: Meta, at_ms: int) -> int:
        """The number of the first message that was created at a time or later: numbers and times have one order.

        A request for each halving of them.
        """
        if at_ms > meta.at_ms:
            return meta.seq + 1
        low, high = meta.first, meta.seq + 1
        while low < high:
            middle = (low + high) // 2
            item = await self._next_from(meta, middle, high)
            if item is None or number(item, "at") >= at_ms:
                high = middle
            else:
                low = seq_of(item) + 1
        return low

    async def _next_from(self, meta: Meta, low: int, high: int) -> Item | None:
        """The first message that there is from a number on, as far as another."""
        query = self._between(meta.gen, low, high, is_forward=True)
        del query["expression"]
        reply = await self._table.call("query", **query, Limit=1)
        return next(iter(reply["Items"]), None)
