"""Conversations on DynamoDB."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from session_store import CasPolicy, CodecError
from session_store._async.extension import sleep
from session_store._core.extension import Duration
from session_store.codecs import TextCodec
from session_store.conversations._core.arguments import OPEN, told_of
from session_store.conversations._core.bodies import encoded
from session_store.conversations._core.lists import Wanted
from session_store.conversations._core.values import ConversationInfo, Page
from session_store.conversations.dynamodb._async.conversation import AsyncDynamoDBConversation
from session_store.conversations.dynamodb._async.table import AsyncTable, code_of, sent_before
from session_store.conversations.dynamodb._core import items
from session_store.conversations.dynamodb._core.changes import check_size
from session_store.conversations.dynamodb._core.expressions import Expression, Item, put
from session_store.conversations.dynamodb._core.items import (
    META,
    item_of,
    key_of,
    labels_of,
    meta_of,
    new_gen,
    number,
    partition_of,
    read_info,
    seconds_of,
)
from session_store.conversations.dynamodb._core.lists import Listing, layout, sort_in_index
from session_store.conversations.errors import ConversationExistsError

_TOGETHER = 100  # conversations that are read together
_LONGEST_WAIT = 600  # seconds for a table to be made
_POLICY = CasPolicy(max_retries=100, backoff_base=0.005, backoff_cap=0.05)


class AsyncDynamoDBConversations:
    """Conversations in a table of DynamoDB, which `create_table` makes. The same contract as on Redis.

    - `client`: of aiobotocore; it is yours to close.
    - `table`: the name of the table.
    - `idle_ttl`: seconds or timedelta that a conversation lives after the last change.
    - `max_lifetime`: how long it lives at most, whatever happens. There must be such a time: messages are written once,
      with the time at which DynamoDB deletes them.
    - `codec`: of contents, metadata, titles, tags and summaries; one for texts. An `EncryptedCodec` binds them to table,
      conversation and message.
    - `cas_policy`: how often a change is tried again that lost against other processes, and the pauses where another
      transaction has the conversation in hand, or DynamoDB is busy.

    Times are those of whoever writes: keep clocks right. What has ended is shown to nobody, and DynamoDB deletes it some
    days later. A list is read from an index, which is a moment behind: what begins may not be on it yet; what has ended or
    was given to another is not shown. Lists are by creation: an order by activity would need an index that each message
    writes, so that `order="active"` is a `ValueError`.

    Costs (W: a write unit, R: a read unit): `create`: PutItem, 1 W, 1 more for each of user and agent. `list`: Query of an index,
    and BatchGetItem: 1 R and 1 R a conversation, 2 round trips, the same again where the page is not full yet. `infos`: BatchGetItem
    for each 100, 1 R each. `prune`: a list, and for what has ended what `delete_all` costs. `scan`: reads the whole table.
    `ping`: GetItem. For the rest see `AsyncDynamoDBConversation`.

    Making one does no I/O. Raises `TypeError` for what is no client of this flavour, such as a resource.
    """

    def __init__(
        self,
        client: Any,
        *,
        table: str,
        idle_ttl: Duration = 7 * 86_400,
        max_lifetime: Duration = 90 * 86_400,
        codec: Any = TextCodec(),
        cas_policy: CasPolicy = _POLICY,
    ) -> None:
        self._table = AsyncTable(
            client,
            table,
            idle_ttl=idle_ttl,
            max_lifetime=max_lifetime,
            codec=codec,
            cas_policy=cas_policy,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    async def create_table(self, **options: Any) -> None:
        """Make the table, with its two indexes and its TTL, and wait until it can be used.

        `options`: more of what CreateTable takes, such as `Tags`; without any it is paid by request. CreateTable, DescribeTable
        until it is there, UpdateTimeToLive. Raises botocore's `ResourceInUseException` where there is such a table, and
        `TimeoutError` after 10 minutes.
        """
        name, ends = self._table.name, time.monotonic() + _LONGEST_WAIT
        try:
            await self._table.call("create_table", **{**layout(name), **options})
        except ClientError as error:
            if not (code_of(error) == "ResourceInUseException" and sent_before(error)):
                raise
        while True:
            told = (await self._table.call("describe_table", TableName=name))["Table"]
            indexes = [each["IndexStatus"] for each in told["GlobalSecondaryIndexes"]]
            if {told["TableStatus"], *indexes} == {"ACTIVE"}:
                break
            if time.monotonic() > ends:
                raise TimeoutError("the table is not ACTIVE yet")
            await sleep(0.5)
        wanted = {"Enabled": True, "AttributeName": "ttl"}
        try:
            await self._table.call("update_time_to_live", TableName=name, TimeToLiveSpecification=wanted)
        except ClientError as error:
            if not (code_of(error) == "ValidationException" and sent_before(error)):  # it is enabled already
                raise

    async def create(
        self,
        id: str | None = None,  # noqa: A002  # the field's word
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str = "active",
        title: str | None = None,
        tags: Iterable[str] = (),
        metadata: Any = None,
    ) -> ConversationInfo:
        """Begin a conversation. What is told of it.

        `id`: a namespace's name; None: one that is drawn. `user`, `agent`: whose lists it is in, of at most 2,000 bytes.
        `metadata`: any JSON value. Raises `ConversationExistsError`, `InvalidNameError`, and `MessageTooLargeError` for more than
        400,000 bytes in all. PutItem, 1 round trip.
        """
        conversation_id = secrets.token_hex(16) if id is None else id
        partition, values = partition_of(conversation_id), self._table.values(conversation_id)
        told = told_of(user=user, agent=agent, status=status, title=title, tags=tags, metadata=metadata)
        stored = {name: value if name in OPEN else encoded(values, name, value) for name, value in told.items()}
        begins, gen = items.now_us(), new_gen()  # no conversation changes as often as once in a microsecond
        now_ms = begins // 1_000
        ends_ms, ends_at_most_ms = now_ms + self._table.idle_ms, now_ms + self._table.lifetime_ms
        counts = {"rev": begins, "ver": begins, "seq": 0, "first": 1, "n": 0, "tok": 0, "cut": 0, "su": 0, "turn_ms": 0}
        times = {"ca": now_ms, "at": now_ms, "la": now_ms, "xa": ends_at_most_ms, "ends_ms": ends_ms}
        marks = {"born": gen, "gen": gen, "mark": gen, "um": gen, "CK": sort_in_index(now_ms, conversation_id)}
        item = item_of(
            partition, META, ttl=seconds_of(ends_ms), **counts, **times, **marks, **stored, **labels_of(told)
        )
        check_size(item)
        free = ("PK", "missing"), ("ends_ms", "<=", now_ms), ("xa", "<=", now_ms)
        try:
            await self._table.call("put_item", **put(self._table.name, item, *free, other=True))
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            if error.response.get("Item", {}).get("born") != item["born"]:  # else it is ours, sent twice
                raise ConversationExistsError from None
        meta = meta_of(item, now_ms)
        assert meta is not None
        return read_info(values, conversation_id, meta)

    def conversation(self, id: str) -> AsyncDynamoDBConversation:  # noqa: A002  # the field's word
        """The handle of a conversation, whether there is one or not. No I/O. Raises `InvalidNameError`."""
        return AsyncDynamoDBConversation(self._table, id)

    async def infos(self, ids: Iterable[str]) -> dict[str, ConversationInfo]:
        """What is told of many conversations, by id; those that live. BatchGetItem for each 100."""
        if isinstance(ids, str):
            raise TypeError("ids must be an iterable of ids, not one str")
        names = list(dict.fromkeys(ids))
        return self._living(names, await self._metas(names))

    async def _metas(self, names: Sequence[str]) -> dict[str, Item]:
        """What the table has of these, by id, also of what has ended."""
        of = {partition_of(name): name for name in names}
        found = await self._table.get_many([key_of(partition, META) for partition in of])
        return {of[item["PK"]["S"]]: item for item in found}

    def _living(self, names: Iterable[str], metas: dict[str, Item]) -> dict[str, ConversationInfo]:
        """What is told of those that live, and can be read, in this order."""
        found: dict[str, ConversationInfo] = {}
        for name in names:
            meta = meta_of(metas.get(name), self._table.now_ms())
            if meta is None:
                continue
            try:
                found[name] = read_info(self._table.values(name), name, meta)
            except CodecError:
                continue  # it must not hide the others; its own handle tells of it
        return found

    async def list(
        self,
        *,
        user: str | None = None,
        agent: str | None = None,
        status: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        order: str = "created",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ConversationInfo, str]:
        """A page of a user's or an agent's conversations that live, the latest first.

        `user`, `agent`: one of them, or both. `status`: only with this. `tags`: only with one of these. `created_after`,
        `created_before`: only from and up to these times, themselves included, with a time zone. `cursor`: that of the page before.

        Raises `ValueError` for a cursor of another list, for an `order` that is not "created", or where neither user nor agent is
        given. Query and BatchGetItem, 2 round trips, again where the page is not full yet.
        """
        wanted = Wanted(
            user=user,
            agent=agent,
            status=status,
            tags=tags,
            created_after=created_after,
            created_before=created_before,
            limit=limit,
        )
        if order != "created":
            raise ValueError("order must be 'created': by activity, each message would have to write to an index")
        listing, found = Listing(self._table.name, wanted, cursor), list[ConversationInfo]()
        while True:
            is_last, taken = await self._entries(listing, limit - len(found) + 1)
            infos = self._living([name for name, _ in taken], await self._metas([name for name, _ in taken]))
            for name, place in taken:
                if len(found) == limit:
                    return Page(tuple(found), listing.cursor)
                listing.pass_over(place)
                if name in infos and wanted.fits(infos[name]):
                    found.append(infos[name])
            if is_last:
                return Page(tuple(found), None)

    async def _entries(self, listing: Listing, limit: int) -> tuple[bool, Sequence[tuple[str, str]]]:
        """Whether there are no more, and what an index names next."""
        query = listing.query(min(limit, _TOGETHER))
        if query is None:
            return True, []
        reply = await self._table.call("query", **query)
        return not reply.get("LastEvaluatedKey"), listing.take(reply["Items"])

    async def prune(self, *, user: str | None = None, agent: str | None = None) -> int:
        """Delete what has ended of a list, though DynamoDB has not yet, and its messages. How many conversations live."""
        wanted = Wanted(user=user, agent=agent, status=None, tags=(), created_after=None, created_before=None, limit=1)
        listing, count = Listing(self._table.name, wanted, None), 0
        while True:
            is_last, taken = await self._entries(listing, _TOGETHER)
            metas = await self._metas([name for name, _ in taken])
            count += sum(wanted.fits(info) for info in self._living(metas, metas).values())
            now_ms = self._table.now_ms()
            for name, item in metas.items():
                if meta_of(item, now_ms) is None:
                    over = "xa" if number(item, "xa") <= now_ms else "ends_ms"
                    await self.conversation(name)._end(item, (over, "<=", now_ms))  # noqa: SLF001  # of the same layer
            if is_last:
                return count
            listing.pass_over(taken[-1][1])

    async def scan(self) -> AsyncIterator[ConversationInfo]:
        """All conversations of the table, in no order, as they are or were a moment ago. For administration: it reads all items."""
        expression = Expression()
        expressions = expression.params(FilterExpression=expression.test(("SK", "=", META)))
        async for reply in self._table.pages("scan", {"TableName": self._table.name, **expressions}):
            metas = {item["PK"]["S"].removeprefix("C#"): item for item in reply["Items"]}
            for info in self._living(metas, metas).values():
                yield info

    async def ping(self) -> float:
        """Seconds that the table takes to answer. Raises botocore's `ResourceNotFoundException` where there is none."""
        began = time.perf_counter()
        await self._table.get(partition_of("ping"))
        return time.perf_counter() - began
