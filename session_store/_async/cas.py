"""`with_cas`: does what its attempts ask for, step by step."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from session_store._async._flavour import Waiter, check_closure, check_result, sleep, to_the_end
from session_store._async.commands import AsyncCommands
from session_store._async.snapshot import AsyncCasSnapshot
from session_store._core.arguments import check_count
from session_store._core.attempts import Attempts, Refused, Run, Send, Step, Unanswered
from session_store._core.commits import CasOps, end, recorded, watched_keys
from session_store._core.nesting import closure_of, refuse_nesting
from session_store._core.operations import Operation, Operations
from session_store._core.replication import check_replicas
from session_store._core.settings import Settings
from session_store.codecs import V

R = TypeVar("R")

_LAST_WORDS = 1.0  # seconds that a cancelled task may take to settle its commit and to give its lock back


class AsyncCommit(Generic[R, V]):
    """One call of `with_cas`."""

    def __init__(
        self,
        commands: AsyncCommands,
        settings: Settings[V],
        operations: Operations[V],
        *,
        slot: str | Sequence[str],
        fn: Callable[[AsyncCasSnapshot[V], CasOps[V]], Awaitable[R]],
        max_retries: int | None,
    ) -> None:
        check_closure(fn)
        retries = settings.cas_policy.max_retries if max_retries is None else check_count(max_retries, "max_retries")
        self._keys = watched_keys(operations.base, slot)
        refuse_nesting(commands.client, operations.base, operations.namespace)
        self._commands = commands
        self._least = settings.min_replicas
        self._operations = operations
        self._fn = fn
        self._attempts = Attempts(settings, operations, keys=self._keys, most_attempts=retries + 1, make_waiter=Waiter)
        self._results: dict[int, R] = {}  # what the closure returned, by attempt
        self._replicas: object = None  # what WAIT said of the commit
        self._deadline = 0.0  # by which a call that was cancelled, or struck by a time limit, must have settled

    async def run(self) -> R:
        """The result of the attempt that committed."""
        steps = self._attempts.steps()
        struck: BaseException | None = None  # by a cancellation, a time limit, a signal: by no answer of the server
        try:
            step = next(steps)
            while True:
                try:
                    event = await (self._do(step) if struck is None else self._finish(step))
                except GeneratorExit:  # noqa: PERF203  # each step may fail
                    steps.close()
                    raise
                except BaseException as error:
                    if struck is None and not (isinstance(step, Run) and isinstance(error, Exception)):
                        struck = error
                        self._deadline = time.monotonic() + _LAST_WORDS
                    step = steps.throw(error)
                else:
                    step = steps.send(event)
        except StopIteration:
            pass
        except BaseException as error:
            if struck is None or struck is error:
                raise
        if struck is not None:
            raise struck
        if self._replicas is not None:
            check_replicas(self._replicas, self._keys[0], self._least)
        return self._results[self._attempts.committed]

    def _do(self, step: Step) -> Awaitable[Any]:
        if isinstance(step, Send):
            return self._send(step)
        if isinstance(step, Run):
            return self._call_closure(step)
        return sleep(step.seconds) if step.waiter is None else step.waiter.wait(step.seconds)

    async def _finish(self, step: Step) -> Any:
        """Does a step of a call that was struck, for which only script calls are left: they settle it, and not for long."""
        return await to_the_end(partial(self._send, cast("Send", step)), max(0.0, self._deadline - time.monotonic()))

    async def _send(self, step: Send) -> Any:
        script, keys, args, proof = step
        try:
            if not (proof and self._least):
                return await self._commands.run(script, keys, args)
            reply, self._replicas = await self._commands.run_replicated(script, keys, args, proof, self._least)
            return reply
        except ResponseError as error:
            return Refused(error)
        except (RedisError, RedisClusterException) as error:
            return Unanswered(error)

    async def _call_closure(self, step: Run) -> list[Operation]:
        snap = AsyncCasSnapshot(self._commands, self._operations, step.watched)
        ops = CasOps(self._operations)
        try:
            with closure_of(self._commands.client, self._operations.base):
                result = await self._fn(snap, ops)
            check_result(result)
        finally:
            end(snap, ops)
        self._results[step.attempt] = result
        return recorded(ops)
