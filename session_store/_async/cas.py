"""`with_cas`: attempts on a connection of their own, until one commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from redis.exceptions import NoScriptError, RedisClusterException, RedisError, TryAgainError

from session_store._async._flavour import check_closure, check_result, sleep
from session_store._async.commands import AsyncCommands
from session_store._async.connection import NO_ANSWER, AsyncPinnedConnection, typed
from session_store._async.routing import ASTRAY, AsyncRoute
from session_store._async.snapshot import AsyncCasSnapshot
from session_store._async.turns import IGNORE, AsyncTurns
from session_store._core.commits import (
    MOST_BYTES,
    Beginning,
    CasOps,
    end,
    is_stale,
    read_answer,
    recorded,
    watched_slots,
)
from session_store._core.contents import Contents
from session_store._core.names import slot_key, turn_key
from session_store._core.nesting import closure_of, refuse_nesting
from session_store._core.numbers import check_count
from session_store._core.operations import Operation, Operations, commit_call
from session_store._core.replication import check_replicas, wait_command
from session_store._core.replies import checked
from session_store._core.scripts import APPLY, BEGIN
from session_store._core.settings import Settings
from session_store._core.tokens import give_back, take_writer
from session_store.codecs import V
from session_store.errors import CasContentionError, CommitUnknownError, NamespacePurgedError

R = TypeVar("R")


class _Outcome(Enum):
    COMMITTED = auto()
    LOST = auto()  # a watched slot was changed
    UNANSWERED = auto()  # the connection broke
    UNTRIED = auto()  # it was the wrong server, or one that has forgotten the script or knows the writer as another's
    NOT_IN_TURN = auto()  # it is the turn of another


class AsyncCommit(Generic[R, V]):
    """One call of `with_cas`.

    All its attempts share a token, under which the server remembers the attempt that committed. An attempt whose reply
    is lost is thus settled by the next one, which asks for the token first, or by a script call at the very end that
    also keeps an EXEC still on its way from doing anything.
    """

    def __init__(
        self,
        commands: AsyncCommands,
        settings: Settings[V],
        make: Operations[V],
        *,
        slot: str | Sequence[str],
        fn: Callable[[AsyncCasSnapshot[V], CasOps[V]], Awaitable[R]],
        max_retries: int | None,
    ) -> None:
        check_closure(fn)
        self._commands = commands
        self._client = commands.client
        self._settings = settings
        self._make = make
        self._fn = fn
        retries = settings.cas_policy.max_retries if max_retries is None else check_count(max_retries, "max_retries")
        self._most_attempts = retries + 1
        slots = watched_slots(slot)
        self._keys = tuple(dict.fromkeys(slot_key(make.base, name) for name in slots))
        slots = tuple(dict.fromkeys(slots))
        self._turn_keys = tuple(turn_key(make.base, name) for name in slots)
        self._turns = AsyncTurns(settings.lines, settings.cas_policy, self._keys)
        self._first_slot = slots[0]
        refuse_nesting(self._client, make.base, make.namespace)
        self._writer = take_writer()
        self._token = self._writer.new_token()
        self._attempt = 0
        self._results: dict[int, R] = {}  # what the closure returned, by attempt
        self._committed = 0  # the attempt that has committed
        self._unanswered: Exception | None = None  # why the latest attempt had no answer
        self._at_stake = False  # a commit was sent, and may have been applied or may still be
        self._by_source = False  # the server has forgotten the script in the middle of an attempt
        self._route = AsyncRoute(self._client, make.index)
        self._replicas: object = None  # what WAIT said of the commit

    async def run(self) -> R:
        """The result of the attempt that committed."""
        try:
            await self._turns.line_up()
            await self._attempts()
        except Exception as error:
            if not self._at_stake:
                await self._turns.give_back(self._commands, self._turn_keys, self._token.call)
                give_back(self._writer)
                raise
            await self._settle(error)
        finally:
            self._turns.step_out()
        await self._turns.give_back(self._commands, self._turn_keys, self._token.call)
        give_back(self._writer)
        if self._replicas is not None:
            check_replicas(self._replicas, self._keys[0], self._settings.min_replicas)
        return self._results[self._committed]

    async def _attempts(self) -> None:
        while True:
            self._attempt += 1
            began = self._turns.clock()
            outcome = await self._try()
            if outcome is _Outcome.COMMITTED:
                return
            if outcome is _Outcome.NOT_IN_TURN:
                await self._turns.wait(began)
            if outcome in (_Outcome.UNTRIED, _Outcome.NOT_IN_TURN):
                self._attempt -= 1
                continue
            if self._attempt == self._most_attempts:
                self._give_up(outcome)
            if outcome is _Outcome.LOST:
                self._log("session-store: cas-contention-retry", attempt=self._attempt)
                if self._turns.want():
                    continue
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
        try:
            connection, beginning = await self._reach()
        except ASTRAY as error:
            if not (self._at_stake and isinstance(error, NO_ANSWER)):
                await self._redirect(error)
                return _Outcome.UNTRIED
            self._unanswered = error
            outcome = _Outcome.UNANSWERED
        else:
            outcome = await self._go_on(connection, beginning)
        if outcome is _Outcome.UNANSWERED:
            await self._route.turn_if_possible()
        return outcome

    async def _redirect(self, error: Exception) -> None:
        if not (isinstance(error, TryAgainError) and self._turns.forgo()):
            await self._route.turn(error)

    async def _reach(self) -> tuple[AsyncPinnedConnection, Beginning]:
        connection = await self._route.take()
        try:
            return connection, await self._begin(connection)
        except BaseException:
            await connection.give_back()
            raise

    async def _begin(self, connection: AsyncPinnedConnection) -> Beginning:
        turn_keys = () if self._turns.mode == IGNORE else self._turn_keys
        keys = (self._make.index, *self._keys, *turn_keys)
        args = (*self._token, MOST_BYTES, self._turns.mode, len(turn_keys))
        watch = ("WATCH", *self._keys)
        replies = await connection.begin(watch, BEGIN.by_digest(keys, args))
        if isinstance(replies[-1], NoScriptError):
            # The first commit here. A user who may not MULTI is told before the scripts are there for a commit: that would
            # run outside of a transaction.
            checked(await connection.exchange(("MULTI",), ("DISCARD",)))
            replies = await connection.exchange(watch, APPLY.load(), BEGIN.by_source(keys, args))
        return Beginning(checked(replies)[-1], self._keys)

    async def _go_on(self, connection: AsyncPinnedConnection, beginning: Beginning) -> _Outcome:
        try:
            if beginning.committed is not None or beginning.fenced:
                return await self._conclude(connection, beginning)
            if beginning.contents is None:
                await connection.unwatch()
                return _Outcome.NOT_IN_TURN
            operations = await self._call_closure(connection, beginning.contents)
            if connection.refusal is None:
                return await self._commit(connection, operations)
        except Exception:
            if connection.refusal is None:
                raise
        finally:
            await connection.give_back()
        await self._redirect(connection.refusal)
        return _Outcome.UNTRIED

    async def _conclude(self, connection: AsyncPinnedConnection, beginning: Beginning) -> _Outcome:
        """There is nothing to commit: it has been, or must not be."""
        await connection.unwatch()
        if beginning.committed is None:
            raise NamespacePurgedError(self._make.namespace)
        if self._settings.min_replicas and self._unanswered is not None:
            raise self._unanswered  # to be settled, which also tells how many replicas have it
        self._committed = beginning.committed
        return _Outcome.COMMITTED

    async def _call_closure(
        self, connection: AsyncPinnedConnection, contents: dict[bytes, Contents | None]
    ) -> list[Operation]:
        snap = AsyncCasSnapshot(connection, self._make, contents)
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
        script, wait = [], []
        was_at_stake = self._at_stake
        if operations:
            turns = self._turn_keys if self._turns.held else ()
            keys, args = commit_call(self._make.index, self._token, self._attempt, operations, turns)
            script.append(APPLY.by_source(keys, args) if self._by_source else APPLY.by_digest(keys, args))
            if self._settings.min_replicas:
                wait.append(wait_command(self._settings.min_replicas, connection.socket_timeout))
            self._at_stake = True
        try:
            replies = await connection.exchange(("MULTI",), *script, ("EXEC",), *wait)
        except NO_ANSWER as error:
            self._unanswered = error
            if operations:
                self._log("session-store: cas-commit-unknown", attempt=self._attempt)
            return _Outcome.UNANSWERED
        self._at_stake = was_at_stake
        replicas = replies.pop() if wait else None
        executed = checked(replies)[-1]
        connection.settle()
        outcome = self._judge(executed, operations)
        if outcome is _Outcome.COMMITTED:
            self._replicas = replicas
        return outcome

    def _judge(self, executed: list[Any] | None, operations: list[Operation]) -> _Outcome:
        if executed is None:
            return _Outcome.LOST
        self._committed = self._attempt
        for reply in executed:
            if isinstance(reply, NoScriptError):
                self._by_source = True
                return _Outcome.UNTRIED
            if isinstance(reply, Exception):
                raise typed(reply)
            if is_stale(reply):
                return self._begin_anew()
            self._committed = read_answer(reply, self._make.namespace, operations)
            self._turns.given_back()
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
        keys, args = commit_call(self._make.index, self._token, 0, [], ())
        try:
            if self._settings.min_replicas:
                reply, self._replicas = await self._commands.run_replicated(
                    APPLY, keys, args, self._settings.min_replicas
                )
            else:
                reply = await self._commands.run(APPLY, keys, args)
        except (RedisError, RedisClusterException):
            reply = None
        if reply is None or is_stale(reply):
            raise CommitUnknownError(self._keys[0].decode(), self._attempt) from error
        self._committed = read_answer(reply, self._make.namespace, [])
        if self._committed == 0:
            raise error
