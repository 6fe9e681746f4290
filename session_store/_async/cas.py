"""`with_cas`: attempts on a connection of their own, until one commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from redis.exceptions import ConnectionError, NoScriptError, RedisError, TimeoutError

from session_store._async._flavour import check_closure, check_result, sleep
from session_store._async.connection import AsyncPinnedConnection, raise_reply, run
from session_store._async.reads import AsyncReads
from session_store._core.commits import (
    MOST_BYTES,
    Beginning,
    CasOps,
    Ended,
    end,
    is_stale,
    read_answer,
    recorded,
    watched_slots,
)
from session_store._core.contents import Contents
from session_store._core.names import slot_key
from session_store._core.nesting import closure_of, refuse_nesting
from session_store._core.numbers import check_count
from session_store._core.operations import Operation, Operations, apply_call
from session_store._core.scripts import APPLY, BEGIN
from session_store._core.settings import Settings
from session_store._core.tokens import give_back, take_writer
from session_store.codecs import V
from session_store.errors import CasContentionError, CommitUnknownError, NamespacePurgedError

R = TypeVar("R")

_NO_ANSWER = (ConnectionError, TimeoutError)


class AsyncCasSnapshot(Ended, AsyncReads[V]):
    """What a closure reads: the watched slots as they were when the attempt began, other slots as they are.

    The watched slots cost no round trip, unless they were large (over 64 KB, or a hash over 256 fields that Redis does
    not keep packed); large and other slots cost one for each read.
    """

    __slots__ = ("_connection", "_contents", "_make")

    def __init__(
        self, connection: AsyncPinnedConnection, make: Operations[V], contents: dict[bytes, Contents | None]
    ) -> None:
        super().__init__()
        self._connection = connection
        self._make = make
        self._contents = contents

    async def _read(self, command: str, key: bytes, *args: bytes) -> Any:
        self._check_open()
        contents = self._contents.get(key)
        if contents is not None:
            return contents.answer(command, key, args)
        (reply,) = await self._connection.exchange((command, key, *args))
        if isinstance(reply, Exception):
            raise_reply(reply, key, command)
        if command == "HGETALL" and isinstance(reply, list):  # as RESP2 has it
            return dict(zip(reply[::2], reply[1::2], strict=True))
        return reply


class _Outcome(Enum):
    COMMITTED = auto()
    LOST = auto()  # a watched slot was changed
    UNANSWERED = auto()  # the connection broke
    UNTRIED = auto()  # the server has forgotten the script, or knows the writer from another process


class AsyncCommit(Generic[R, V]):
    """One call of `with_cas`.

    All its attempts share a token, under which the server remembers the attempt that committed. An attempt whose reply
    is lost is thus settled by the next one, which asks for the token first, or by a script call at the very end that
    also keeps an EXEC still on its way from doing anything.
    """

    def __init__(
        self,
        client: Any,
        settings: Settings[V],
        make: Operations[V],
        *,
        slot: str | Sequence[str],
        fn: Callable[[AsyncCasSnapshot[V], CasOps[V]], Awaitable[R]],
        max_retries: int | None,
    ) -> None:
        check_closure(fn)
        self._client = client
        self._settings = settings
        self._make = make
        self._fn = fn
        retries = settings.cas_policy.max_retries if max_retries is None else check_count(max_retries, "max_retries")
        self._most_attempts = retries + 1
        slots = watched_slots(slot)
        self._keys = tuple(dict.fromkeys(slot_key(make.base, name) for name in slots))
        self._first_slot = slots[0]
        refuse_nesting(client, make.base, make.namespace)
        self._writer = take_writer()
        self._token = self._writer.new_token()
        self._attempt = 0
        self._results: dict[int, R] = {}  # what the closure returned, by attempt
        self._committed = 0  # the attempt that has committed
        self._unanswered: Exception | None = None  # why the latest attempt had no answer
        self._at_stake = False  # a commit was sent, and may have been applied or may still be
        self._by_source = False  # the server has forgotten the script in the middle of an attempt

    async def run(self) -> R:
        """The result of the attempt that committed."""
        try:
            await self._attempts()
        except Exception as error:
            if self._at_stake:
                await self._settle(error)
            else:
                give_back(self._writer)
                raise
        give_back(self._writer)
        return self._results[self._committed]

    async def _attempts(self) -> None:
        while True:
            self._attempt += 1
            outcome = await self._try()
            if outcome is _Outcome.COMMITTED:
                return
            if outcome is _Outcome.UNTRIED:
                self._attempt -= 1
                continue
            if self._attempt == self._most_attempts:
                self._give_up(outcome)
            if outcome is _Outcome.LOST:
                self._log("session-store: cas-contention-retry", attempt=self._attempt)
            delay = self._settings.cas_policy.delay(self._attempt)
            if delay:  # a sleep of no time takes some
                await sleep(delay)

    def _give_up(self, outcome: _Outcome) -> None:
        if outcome is _Outcome.UNANSWERED and self._unanswered is not None:
            raise self._unanswered
        self._log("session-store: cas-contention-exhausted", attempts=self._attempt)
        raise CasContentionError(self._keys[0].decode(), self._attempt)

    def _log(self, event: str, **count: int) -> None:
        self._settings.audit.cas_event(event, self._make.namespace, self._first_slot, **count)

    async def _try(self) -> _Outcome:
        connection = None
        try:
            try:
                connection = await AsyncPinnedConnection.take(self._client, self._make.index)
                beginning = await self._begin(connection)
            except _NO_ANSWER as error:
                if not self._at_stake:
                    raise
                self._unanswered = error
                return _Outcome.UNANSWERED
            if beginning.committed is not None or beginning.fenced:
                await connection.unwatch()
            if beginning.committed is not None:
                self._committed = beginning.committed
                return _Outcome.COMMITTED
            if beginning.fenced:
                raise NamespacePurgedError(self._make.namespace)
            operations = await self._call_closure(connection, beginning)
            return await self._commit(connection, operations)
        finally:
            if connection is not None:
                await connection.give_back()

    async def _begin(self, connection: AsyncPinnedConnection) -> Beginning:
        keys, args = (self._make.index, *self._keys), (self._token, MOST_BYTES)
        replies = await connection.begin(("WATCH", *self._keys), BEGIN.by_digest(keys, args))
        if isinstance(replies[1], NoScriptError):
            replies[1], _ = await connection.exchange(BEGIN.by_source(keys, args), APPLY.load())
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return Beginning(replies[1], self._keys)

    async def _call_closure(self, connection: AsyncPinnedConnection, beginning: Beginning) -> list[Operation]:
        snap = AsyncCasSnapshot(connection, self._make, beginning.contents)
        ops = CasOps(self._make)
        try:
            with closure_of(self._client, self._make.base):
                result = await self._fn(snap, ops)
            check_result(result)
        except Exception:
            await connection.unwatch()
            raise
        finally:
            end(snap, ops)
        self._results[self._attempt] = result
        return recorded(ops)

    async def _commit(self, connection: AsyncPinnedConnection, operations: list[Operation]) -> _Outcome:
        script = []
        was_at_stake = self._at_stake
        if operations:
            keys, args = apply_call(self._make.index, self._token, self._attempt, operations)
            script.append(APPLY.by_source(keys, args) if self._by_source else APPLY.by_digest(keys, args))
            self._at_stake = True
        try:
            replies = await connection.exchange(("MULTI",), *script, ("EXEC",))
        except _NO_ANSWER as error:
            self._unanswered = error
            if operations:
                self._log("session-store: cas-commit-unknown", attempt=self._attempt)
            return _Outcome.UNANSWERED
        self._at_stake = was_at_stake
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        connection.settle()
        return self._judge(replies[-1], operations)

    def _judge(self, executed: list[Any] | None, operations: list[Operation]) -> _Outcome:
        if executed is None:
            return _Outcome.LOST
        self._committed = self._attempt
        for reply in executed:
            if isinstance(reply, NoScriptError):
                self._by_source = True
                return _Outcome.UNTRIED
            if isinstance(reply, Exception):
                raise reply
            if is_stale(reply):
                return self._begin_anew()
            self._committed = int(read_answer(reply, self._make.namespace, operations))
        return _Outcome.COMMITTED

    def _begin_anew(self) -> _Outcome:
        """Goes on as another writer, unless an earlier attempt may have committed under the old token."""
        if self._at_stake:
            raise CommitUnknownError(self._keys[0].decode(), self._attempt)
        self._writer = take_writer()
        self._token = self._writer.new_token()
        return _Outcome.UNTRIED

    async def _settle(self, error: Exception) -> None:
        """Finds out whether the commit that had no answer happened, and sees to it that it will not if it did not."""
        keys, args = apply_call(self._make.index, self._token, 0, [])
        try:
            reply = await run(self._client, APPLY, keys, args)
        except RedisError:
            reply = None
        if reply is None or is_stale(reply):
            raise CommitUnknownError(self._keys[0].decode(), self._attempt) from error
        self._committed = int(read_answer(reply, self._make.namespace, []))
        if self._committed == 0:
            raise error
