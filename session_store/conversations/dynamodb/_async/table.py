"""The way to a table: what is asked of it, and what is asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from session_store import CasContentionError, CasPolicy
from session_store._async.extension import Waiter, sleep
from session_store._core.extension import Duration, QueueEntry, Queues, has_methods, kind_of, to_milliseconds
from session_store.conversations.dynamodb._async._flavour import IS_ASYNC, WANTED
from session_store.conversations.dynamodb._core import items
from session_store.conversations.dynamodb._core.expressions import Expression, Item, Params
from session_store.conversations.dynamodb._core.items import META, Values, key_of

_MOST_SENDS = 3  # of a request without an answer; botocore has sent it some times at each
_MOST_READ, _MOST_WRITTEN = 100, 25  # items of a batch
_UNANSWERED = frozenset({"InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException"})
_BUSY = frozenset({"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_PARTS = ("transact_write_items", "batch_get_item", "batch_write_item", "get_item", "query")


def code_of(error: ClientError) -> str:
    """The code of a server's error."""
    return str(error.response.get("Error", {}).get("Code"))


def sent_before(error: ClientError) -> bool:
    """Whether a request was sent before this answer to it, and may have been done then."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts"))


class Cancelled(NamedTuple):
    """A transaction was refused, since a condition does not hold. `is_open`: it came before, and may have been done then."""

    reasons: list[Params]
    is_open: bool


class AsyncLine:
    """The calls of this process that change one conversation, one after the other: none makes another one lose."""

    __slots__ = ("_entry", "_queues")

    def __init__(self, queues: Queues, partition: str) -> None:
        self._queues = queues
        self._entry: QueueEntry = queues.enter(partition.encode(), Waiter)

    async def __aenter__(self) -> None:
        try:
            while not self._queues.may_go(self._entry):
                await self._entry.waiter.wait(self._queues.lease)  # type: ignore[union-attr]  # who may not go has one
        except BaseException:
            self._queues.leave(self._entry)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queues.leave(self._entry)


class AsyncTable:
    """A table of conversations, and how long these live."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        idle_ttl: Duration,
        max_lifetime: Duration,
        codec: Any,
        cas_policy: CasPolicy,
    ) -> None:
        make_call = getattr(client, "_make_api_call", None)
        if not has_methods(client, *_PARTS) or (make_call is not None and iscoroutinefunction(make_call) != IS_ASYNC):
            raise TypeError(f"client must be {WANTED}, got {kind_of(client)}; a resource has a client: .meta.client")
        if not isinstance(name, str) or not name:
            raise TypeError(f"table must be the name of a table, got {kind_of(name)}")
        if isinstance(codec, type) or not (has_methods(codec, "at") or has_methods(codec, "encode", "decode")):
            raise TypeError(f"codec must be a codec, an object with encode and decode, got {kind_of(codec)}")
        self.client = client
        self.name = name
        self.idle_ms = to_milliseconds(idle_ttl, "idle_ttl")
        self.lifetime_ms = to_milliseconds(max_lifetime, "max_lifetime")
        self.policy = cas_policy
        self._codec = codec
        self._queues = Queues(cas_policy.lock_ttl)

    def __repr__(self) -> str:
        return f"table={self.name!r}"

    def values(self, conversation_id: str) -> Values:
        """The codec of a conversation's places. Raises `InvalidNameError`."""
        return Values(self._codec, self.name, conversation_id)

    def line(self, partition: str) -> AsyncLine:
        """The line of those who change a conversation."""
        return AsyncLine(self._queues, partition)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return items.now_us() // 1_000

    async def call(self, operation: str, **params: Any) -> Any:
        """The answer to a request; asked again where none came. Each can come twice, and is the same then."""
        sent, conflicts = 0, 0
        while True:
            sent += 1
            try:
                return await getattr(self.client, operation)(**params)
            except ClientError as error:
                if code_of(error) == "TransactionConflictException":  # a transaction has the item in hand
                    conflicts += 1
                    self.check_attempts((params.get("Key") or params["Item"])["PK"]["S"], conflicts)
                elif code_of(error) not in _UNANSWERED or sent - conflicts == _MOST_SENDS:
                    if sent - conflicts > 1:
                        error.response.setdefault("ResponseMetadata", {})["RetryAttempts"] = sent - 1
                    raise
            except (HTTPClientError, ConnectionError):
                if sent - conflicts == _MOST_SENDS:
                    raise
            await self.pause(sent)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await sleep(seconds)

    async def pause(self, attempt: int) -> None:
        """Waits before another attempt, counted from 1, for a time drawn at random."""
        await sleep(self.policy.delay(attempt))

    def check_attempts(self, partition: str, attempt: int) -> None:
        """Raises `CasContentionError` behind the last attempt."""
        if attempt > self.policy.max_retries:
            raise CasContentionError(partition, attempt)

    async def get(self, partition: str, sort: str = META) -> Item | None:
        """An item, as it is by now."""
        key = key_of(partition, sort)
        reply = await self.call("get_item", TableName=self.name, Key=key, ConsistentRead=True)
        item: Item | None = reply.get("Item")
        return item

    async def pages(self, operation: str, params: Params) -> AsyncIterator[Any]:
        """The answers to a query or a scan, until there is no more."""
        more: Params = {}
        while True:
            reply = await self.call(operation, **params, **more)
            yield reply
            if not reply.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}

    async def get_many(self, keys: Sequence[Item]) -> list[Item]:
        """Those of some items that there are, as they are by now, in any order. A request for each 100."""
        found: list[Item] = []
        for first in range(0, len(keys), _MOST_READ):
            part = {"Keys": list(keys[first : first + _MOST_READ]), "ConsistentRead": True}

            def take(reply: Any) -> Any:
                found.extend(reply.get("Responses", {}).get(self.name, []))
                return reply.get("UnprocessedKeys", {}).get(self.name)

            await self._batch("batch_get_item", part, lambda part: len(part["Keys"]), take)
        return found

    async def delete_many(self, keys: Sequence[Item]) -> None:
        """Deletes items. A request for each 25."""
        for first in range(0, len(keys), _MOST_WRITTEN):
            part = [{"DeleteRequest": {"Key": key}} for key in keys[first : first + _MOST_WRITTEN]]
            await self._batch(
                "batch_write_item", part, len, lambda reply: reply.get("UnprocessedItems", {}).get(self.name)
            )

    async def _batch(self, operation: str, part: Any, count: Callable[[Any], int], take: Callable[[Any], Any]) -> None:
        """Sends a batch, and what of it was not processed again: the server is busy, so after a while."""
        attempt = 0
        while part:
            before = count(part)
            part = take(await self.call(operation, RequestItems={self.name: part}))
            if not part:
                return
            attempt = 1 if count(part) < before else attempt + 1
            if attempt > self.policy.max_retries:
                told = {"Code": "ProvisionedThroughputExceededException", "Message": "a part was never processed"}
                raise ClientError({"Error": told}, operation.title().replace("_", ""))  # as where all of it is refused
            await self.pause(attempt)

    async def delete_leftovers(self, partition: str, gen: str) -> None:
        """Deletes all messages of a `gen` that is over."""
        for letter in "MK":
            expression = Expression()
            of = f"{expression.name('PK')} = {expression.value(partition)}"
            begins = f"begins_with({expression.name('SK')}, {expression.value(f'{letter}#{gen}#')})"
            params = {"TableName": self.name, "ConsistentRead": True, "ProjectionExpression": "#PK, #SK"}
            query = params | expression.params(KeyConditionExpression=f"{of} AND {begins}")
            async for reply in self.pages("query", query):
                await self.delete_many([key_of(partition, item["SK"]["S"]) for item in reply["Items"]])

    async def transact(
        self, partition: str, parts: list[Params], token: str, attempt: int
    ) -> tuple[Cancelled | None, int]:
        """Why a transaction was cancelled, None where it was done; and how many attempts there were.

        Of the same token and content it is the same one: where its answer is lost, or others have one of its items in hand,
        it is sent again, and happens once.
        """
        was_in_hand = False
        while True:
            try:
                await self.call("transact_write_items", TransactItems=parts, ClientRequestToken=token)
            except ClientError as error:
                reasons = error.response.get("CancellationReasons") or []
                codes = {reason.get("Code", "None") for reason in reasons}
                if "ConditionalCheckFailed" in codes:
                    return Cancelled(reasons, is_open=was_in_hand or sent_before(error)), attempt
                is_in_hand = code_of(error) == "TransactionInProgressException"
                was_in_hand = was_in_hand or is_in_hand
                if not is_in_hand and not (reasons and codes <= _BUSY):
                    raise
                if is_in_hand or "TransactionConflict" in codes:
                    self.check_attempts(partition, attempt)
                elif attempt > self.policy.max_retries:
                    raise
            else:
                return None, attempt
            await self.pause(attempt)
            attempt += 1
