"""How what is told of a conversation changes, and how one ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from session_store import RevisionConflictError
from session_store._core.extension import check_int
from session_store.conversations._core.arguments import OPEN, label, optional_int, told_of
from session_store.conversations._core.bodies import encoded
from session_store.conversations._core.values import UNSET, ConversationInfo, Unset
from session_store.conversations.dynamodb._async.reading import AsyncDynamoDBReading
from session_store.conversations.dynamodb._async.table import code_of
from session_store.conversations.dynamodb._core.changes import check_size
from session_store.conversations.dynamodb._core.expressions import Item, Params, Test, remove, update
from session_store.conversations.dynamodb._core.items import (
    META,
    item_of,
    key_of,
    labels_of,
    meta_of,
    number,
    read_info,
    seconds_of,
    text,
)
from session_store.conversations.errors import MessageNotFoundError


class AsyncTelling(AsyncDynamoDBReading):
    """The handle of a conversation, as far as what is told of it changes; see `AsyncDynamoDBConversation`."""

    __slots__ = ()

    async def _tell(
        self, sets: Mapping[str, Any], *tests: Test, counts: Iterable[str] = ()
    ) -> tuple[Item | None, bool]:
        """What is told of it afterwards, and whether that was changed: not where a test fails, or it has ended."""
        table, key = self._table, key_of(self._partition, META)
        now_ms = table.now_ms()
        ends_ms, latest_ms = now_ms + table.idle_ms, now_ms + table.idle_ms // 4
        alive: list[Test] = [("ends_ms", ">", now_ms), ("xa", ">", now_ms), *tests]
        lives = {"ends_ms": ends_ms, "ttl": seconds_of(ends_ms)}
        request = update(table.name, key, {**lives, **sets}, *alive, ("la", "<=", latest_ms), counts=counts)
        item, is_done = await self._updated(request)
        if is_done or item is None or number(item, "la") <= latest_ms:
            return item, is_done
        # This clock is far behind another writer's: by it the conversation would have ended for that one.
        kept = {name: value for name, value in sets.items() if name != "la"}
        if not kept:
            return item, meta_of(item, now_ms) is not None
        return await self._updated(update(table.name, key, kept, *alive, counts=counts))

    async def _updated(self, request: Params) -> tuple[Item | None, bool]:
        """What is told of it after a request, and whether that was done."""
        try:
            reply = await self._table.call("update_item", **request, ReturnValues="ALL_NEW")
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            held: Item | None = error.response.get("Item")
            return held, False
        item: Item = reply["Attributes"]
        return item, True

    async def update(
        self,
        *,
        title: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset | None = UNSET,
        metadata: Any = UNSET,
        user: str | Unset | None = UNSET,
        agent: str | Unset | None = UNSET,
        status: str | Unset = UNSET,
        expected_version: int | None = None,
    ) -> ConversationInfo:
        """Change what is told of it; None clears, UNSET leaves as it is. Returns all of it.

        Raises `ConversationNotFoundError`, and `RevisionConflictError` where its version is not `expected_version` any more.
        UpdateItem, 1 round trip. Sent twice it is done once, unless others update it in between: then theirs may be lost.
        """
        told = told_of(user=user, agent=agent, status=status, title=title, tags=tags, metadata=metadata)
        stored = {name: value if name in OPEN else encoded(self._values, name, value) for name, value in told.items()}
        sets = {**stored, **labels_of(told)}
        check_size(item_of(self._partition, META, **sets))
        mark, tests = secrets.token_hex(8), list[Test]()
        if optional_int(expected_version, "expected_version") != "":
            tests.append(("ver", "=", expected_version or 0))
        sets |= {"um": mark, "la": self._table.now_ms()}
        item, is_done = await self._tell(sets, ("um", "<>", mark), *tests, counts=["ver"])
        meta = self._standing(item)
        if not is_done and text(meta.item, "um") != mark:
            raise RevisionConflictError(expected_version or 0, number(meta.item, "ver"))
        return read_info(self._values, self.id, meta)

    async def set_summary(
        self, text: str | None, *, upto: int, tokens: int = 0, expected_revision: int | None = None
    ) -> None:
        """Keep a text that stands for the messages up to one; None takes it away.

        `info().summary` has it until one of these messages is edited or deleted. Raises `MessageNotFoundError` where the
        conversation has not come to `upto` yet. UpdateItem, 1 round trip.
        """
        check_int(upto, "upto", 1)
        summary = None if text is None else [label(text, "text"), upto, check_int(tokens, "tokens")]
        tests: list[Test] = [("seq", ">=", upto)]
        if optional_int(expected_revision, "expected_revision") != "":
            tests.append(("rev", "=", expected_revision or 0))
        sets = {"s": encoded(self._values, "s", summary), "su": 0 if text is None else upto}
        check_size(item_of(self._partition, META, **sets))
        item, is_done = await self._tell(sets, *tests)
        meta = self._standing(item)
        if is_done:
            return
        if expected_revision is not None and expected_revision != meta.revision:
            raise RevisionConflictError(expected_revision, meta.revision)
        raise MessageNotFoundError(upto)

    async def touch(self) -> bool:
        """Have it live on as if it had been written to. Whether there is one. UpdateItem, 1 round trip."""
        item, is_done = await self._tell({})
        if is_done:
            self._known = item
        return is_done

    async def delete_all(self) -> bool:
        """Delete the conversation. Whether there was one.

        GetItem, DeleteItem, then a query for each 1 MB of its messages, and a BatchWriteItem for each 25: 1 W each. It is gone
        for all with the DeleteItem. Who is cut off behind that leaves messages that nobody is shown, also not in one of the
        same id, until the table's TTL deletes them.
        """
        return await self._end(await self._table.get(self._partition))

    async def _end(self, item: Item | None, *tests: Test) -> bool:
        """Deletes the conversation that this tells of, where tests hold, and not one that others have begun since.

        Whether it lived.
        """
        self._known = None
        if item is None:
            return False
        key, born = key_of(self._partition, META), ("born", "=", item["born"]["S"])
        request = remove(self._table.name, key, born, *tests)
        gone = item
        try:
            reply = await self._table.call("delete_item", **request, ReturnValues="ALL_OLD")
            gone = reply.get("Attributes") or item
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            if tests:
                return True
        await self._table.delete_leftovers(self._partition, gone["gen"]["S"])
        return meta_of(item, self._table.now_ms()) is not None

    async def _tidy(self, gen: str | None, gone: Sequence[Item] = ()) -> None:
        """Deletes messages that are shown to nobody any more. They are gone: who was told of an error would do more harm."""
        with suppress(BotoCoreError, ClientError):
            if gen is not None:
                await self._table.delete_leftovers(self._partition, gen)
            await self._table.delete_many([key_of(self._partition, item["SK"]["S"]) for item in gone])
