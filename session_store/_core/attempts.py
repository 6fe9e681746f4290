"""One call of `with_cas`, decided: what happened goes in, what is to be done next comes out. No I/O.

All its attempts share a token, under which the server remembers the attempt that committed. An attempt whose reply is
lost is thus settled by the next one, which asks for the token first, or by a script call at the very end that also keeps
a commit still on its way from doing anything.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, NamedTuple

from session_store._core.operations import Operation, Operations, commit_args
from session_store._core.outcomes import BEGAN, COMMITTED, FENCED, LOST, STALE, outcome_of
from session_store._core.queue import QueueEntry, Waiter
from session_store._core.replies import Watched, hold_the_same, read_answer
from session_store._core.scripts import BEGIN, COMMIT, RELEASE, Script
from session_store._core.settings import Settings
from session_store._core.tokens import Ticket, Token
from session_store.codecs import V
from session_store.errors import CasContentionError, CommitUnknownError, NamespacePurgedError

MOST_BYTES = 65_536  # of a watched slot, to be sent along when an attempt begins
_MOST_LOCKS = 1_000  # slots; a call that watches more does without locks
_LEAVE, _LOOK = -1, 0  # for the scripts: leave locks alone; wait for those of others


class Send(NamedTuple):
    """A script call is to be sent. Answered with its reply, or with `Refused` or `Unanswered`."""

    script: Script
    keys: tuple[bytes, ...]
    args: tuple[object, ...]
    proof: Token | None = None  # of a write that is to be replicated

    def __repr__(self) -> str:
        return "Send(...)"  # keys and values are nobody's business


class Run(NamedTuple):
    """The closure is to be run. Answered with what it recorded."""

    watched: dict[bytes, Watched]
    attempt: int

    def __repr__(self) -> str:
        return f"Run(attempt={self.attempt}, ...)"


class Wait(NamedTuple):
    """So many seconds are to pass, or fewer where the waiter is woken."""

    seconds: float
    waiter: Any = None


class Refused(NamedTuple):  # the server answered with an error: it has done nothing
    error: Exception


class Unanswered(NamedTuple):  # no answer came, in all the times that the client has tried
    error: Exception


Step = Send | Run | Wait
Steps = Generator[Step, Any, None]


class Attempts(Generic[V]):
    """The attempts of one call, until one commits. `committed` then tells which."""

    def __init__(
        self,
        settings: Settings[V],
        operations: Operations[V],
        *,
        keys: tuple[bytes, ...],
        most_attempts: int,
        make_waiter: Callable[[], Waiter],
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._policy = settings.cas_policy
        self._operations = operations
        self._keys = keys
        self._most_attempts = most_attempts
        self._make_waiter = make_waiter
        self._clock = clock
        self._uniform = uniform
        self._queues = settings.queues
        self._entries: list[QueueEntry] = []
        self._ticket: Ticket | None = None
        self._attempt = 0
        self._is_locking = self._policy.lock_timeout > 0 and len(keys) <= _MOST_LOCKS
        self._takes_lock = False
        self._may_hold = False  # locks on the server
        self._at_stake = False  # a commit was sent and has no answer: it may have been applied, or may still be
        self.committed = 0

    def steps(self) -> Steps:
        """What is to be done, step by step. Raises what the call is to raise."""
        try:
            if self._is_locking:
                yield from self._queue_up()
            yield from self._until_committed()
        except BaseException as error:  # cancelled, too
            if not self._at_stake or isinstance(error, GeneratorExit):
                raise
            yield from self._settle(error)
        finally:
            for entry in self._entries:
                self._queues.leave(entry)
            if self._ticket is not None:
                if self._at_stake:
                    self._ticket.abandon()
                else:
                    self._ticket.give_back()
                is_closed = sys.exc_info()[0] is GeneratorExit  # a generator that is being closed must not yield
                if self._may_hold and not is_closed:
                    yield self._release_call()

    @property
    def _token(self) -> Token:
        """Drawn when the first call is sent: who waits in a queue has none under way."""
        if self._ticket is None:
            self._ticket = Ticket(self._operations.index, existing=self._operations.existing)
        return self._ticket.token

    def _queue_up(self) -> Steps:
        """Waits until the calls of this process that came first are done."""
        for key in sorted(self._keys):  # so that two who want the same slots do not wait for each other
            entry = self._queues.enter(key, self._make_waiter)
            self._entries.append(entry)
            while not self._queues.may_go(entry):
                self._takes_lock = True  # who has waited must not lose as well
                yield Wait(self._queues.lease, entry.waiter)

    def _until_committed(self) -> Steps:
        self._takes_lock = self._takes_lock or self._queues.is_slow
        began = yield from self._begin((yield self._begin_call("")), "")
        while began is not None:
            self._attempt += 1
            watched = dict(zip(self._keys, map(Watched, began[1:]), strict=True))
            since = self._clock()
            try:
                operations = yield Run(watched, self._attempt)
            except Exception:
                if not any(slot.is_changed for slot in watched.values()):
                    raise
                operations = []  # it may have raised because it saw slots of two moments
            self._queues.learn(self._clock() - since)
            if any(slot.is_changed for slot in watched.values()):
                self._lost()
                reply = None
            else:
                reply = yield from self._commit(watched, operations)
                if self.committed:
                    return
            # An attempt that was lost makes the next one ask for the content marks of large slots.
            wanted = "".join("01"[slot.is_large] for slot in watched.values())
            began = yield from self._begin(reply or (yield self._begin_call(wanted)), wanted)

    def _begin(self, reply: Any, wanted: str) -> Generator[Step, Any, list[Any] | None]:
        """What an attempt begins with, when it is this call's turn; None when an earlier attempt has committed."""
        holder, since, looks = None, self._clock(), 0
        while True:
            if isinstance(reply, Unanswered) and self._at_stake and self._attempt < self._most_attempts:
                self._attempt += 1
                yield from self._back_off()
            elif isinstance(reply, (Refused, Unanswered)):
                raise reply.error
            elif reply[0] == BEGAN:
                return list(reply)
            elif reply[0] == FENCED:
                raise NamespacePurgedError(self._operations.namespace)
            elif reply[0] == COMMITTED:
                if self._settings.min_replicas:
                    yield from self._settle(None)  # which also tells how many replicas have it
                self._at_stake, self.committed = False, int(reply[1])
                return None
            else:
                if reply[1] != holder:  # another one has it now: the queue moves, and the time limit counts anew
                    holder, since = reply[1], self._clock()
                looks += 1
                self._takes_lock = True
                yield Wait(self._policy.poll(looks, self._queues.closure_seconds or 0, self._uniform))
                if self._clock() - since >= max(self._policy.lock_timeout, self._queues.lease):
                    self._is_locking = False
            reply = yield self._begin_call(wanted)

    def _lock_ttl(self, *, takes: bool) -> int:
        """What the scripts are told of locks."""
        if not self._is_locking:
            return _LEAVE
        if not takes:
            return _LOOK
        self._may_hold = True
        return self._queues.lease_ms

    def _begin_call(self, wanted: str) -> Send:
        args = (*self._token, MOST_BYTES, self._lock_ttl(takes=self._takes_lock), wanted)
        return Send(BEGIN, (self._operations.index, *self._keys), args)

    def _commit_call(
        self, attempt: int, watched: dict[bytes, Watched], operations: Sequence[Operation], *, by_content: bool = False
    ) -> Send:
        keys, rest = commit_args(watched, operations, by_content=by_content)
        args = (*self._token, attempt, MOST_BYTES, self._lock_ttl(takes=0 < attempt < self._most_attempts), *rest)
        return Send(COMMIT, (self._operations.index, *keys), args, self._token if operations or not attempt else None)

    def _commit(
        self, watched: dict[bytes, Watched], operations: Sequence[Operation]
    ) -> Generator[Step, Any, list[Any] | None]:
        """What the next attempt begins with, where that is known. When it has committed, `committed` tells."""
        was_at_stake = self._at_stake
        self._at_stake = was_at_stake or bool(operations)
        try:
            reply = yield self._commit_call(self._attempt, watched, operations)
            if outcome_of(reply) == LOST and hold_the_same(watched, reply[1]):  # a hash may have another order by now
                reply = yield self._commit_call(self._attempt, watched, operations, by_content=True)
        except BaseException:
            self._log_unknown(operations)
            raise
        if isinstance(reply, Unanswered):
            self._log_unknown(operations)
            if self._attempt == self._most_attempts:
                raise reply.error
            yield from self._back_off()
            return None
        self._at_stake = was_at_stake
        if isinstance(reply, Refused):
            raise reply.error
        outcome = outcome_of(reply)
        if outcome == LOST:
            self._lost()
            if self._is_locking or not (yield from self._back_off()):
                return list(reply[1])
        elif outcome == STALE:
            self._begin_anew()
        else:
            self._may_hold = False  # the script has given them back
            self.committed = read_answer(reply, self._operations.namespace, operations)
            self._at_stake = False
        return None

    def _lost(self) -> None:
        if self._attempt == self._most_attempts:
            self._log("session-store: cas-contention-exhausted", attempts=self._attempt)
            raise CasContentionError(self._keys[0].decode(), self._attempt)
        self._log("session-store: cas-contention-retry", attempt=self._attempt)
        self._takes_lock = True

    def _back_off(self) -> Generator[Step, Any, bool]:
        """Waits before the next attempt, where the policy says so."""
        delay = self._policy.delay(self._attempt, self._uniform)
        if delay:  # even asyncio.sleep(0) lets all other tasks go first
            yield Wait(delay)
        return delay > 0

    def _log_unknown(self, operations: Sequence[Operation]) -> None:
        if operations:
            self._log("session-store: cas-commit-unknown", attempt=self._attempt)

    def _log(self, event: str, **count: int) -> None:
        self._settings.audit.cas_event(event, self._operations.namespace, self._slots()[0], **count)

    def _begin_anew(self) -> None:
        """Goes on under a new identity, unless an earlier attempt may have committed under the old token."""
        if self._at_stake:
            raise CommitUnknownError(self._keys[0].decode(), self._attempt)
        if self._ticket is not None:  # pragma: no branch  # what was refused had a token
            self._ticket.abandon()
        self._ticket = None
        self._attempt -= 1

    def _settle(self, error: BaseException | None) -> Steps:
        """Finds out whether the commit that had no answer happened, and sees to it that it will not if it did not."""
        reply = yield self._commit_call(0, {}, [])
        if isinstance(reply, (Refused, Unanswered)) or outcome_of(reply) == STALE:
            raise CommitUnknownError(self._keys[0].decode(), self._attempt) from error
        self._at_stake = False
        self.committed = read_answer(reply, self._operations.namespace, [])
        if self.committed == 0 and error is not None:
            raise error

    def _release_call(self) -> Send:
        """Gives the locks on the server back, if that can be done now; else they run out."""
        locks = [b"~lock:" + slot.encode() for slot in self._slots()]
        return Send(RELEASE, (self._operations.index,), (*self._token, *locks))

    def _slots(self) -> list[str]:
        return [key.decode().removeprefix(self._operations.base) for key in self._keys]
