"""Writers that go on while servers come and go, and note what they were told."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import redis
from cluster.flavours import PATIENCE, Calls
from cluster.ledger import Found, Ledger, Verdict, judge
from redis.exceptions import RedisClusterException
from support.closures import Steps
from support.nodes import Node

from session_store import CommitUnknownError, ReplicationError, SessionStoreError

WRITERS = 8
_PACE = 0.002  # seconds between the calls of a writer: servers that share the machine must not seem dead
# What a caller has to expect while servers come and go. Anything else is a defect, and ends the test.
_ERRORS = (redis.RedisError, RedisClusterException, SessionStoreError)
# `with_cas` says in every other error that nothing was written.
_OPEN = (CommitUnknownError, ReplicationError)
_SLOTS = ("total", "commits", "fields", "id")
_KINDS = ("commit", "id", "field")


@dataclass
class Session:
    """A namespace that is written to, and what was answered."""

    calls: Calls
    ledger: Ledger = field(default_factory=Ledger)

    def write(self, kind: str, mark: str) -> bool:
        """One call; whether it was acknowledged."""
        try:
            getattr(self, f"_{kind}")(mark)
        except _ERRORS as error:
            self.ledger.note_error(error)
            return False
        return True

    def _commit(self, mark: str) -> None:
        def add(ops: Any) -> Steps:
            total = int((yield "get", "total") or 0) + 1
            ops.set("total", str(total))
            ops.hset("commits", mark, str(total))
            return mark

        try:
            answer = self.calls.cas("total", add, max_retries=20)
        except _ERRORS as error:
            self.ledger.note_commit(mark, "unknown" if isinstance(error, _OPEN) else "refused")
            raise
        self.ledger.note_commit(mark, "acknowledged")
        self.ledger.check_answer(answer, mark)

    def _id(self, mark: str) -> None:
        try:
            number = self.calls.incr("id")
        except _ERRORS:
            self.ledger.note_id(None)
            raise
        self.ledger.note_id(number)

    def _field(self, mark: str) -> None:
        try:
            added = self.calls.hset("fields", mark, mark)
        except _ERRORS:
            self.ledger.note_field(mark, "unknown")
            raise
        self.ledger.note_field(mark, "acknowledged")
        self.ledger.check_answer(added, 1)
        self.ledger.check_answer(self.calls.hget("fields", mark), mark, None)  # None: lost in a failover

    def verdict(self, node: Node) -> Verdict:
        """Judged by what the server of the namespace has, seen without the library."""
        key = self.calls.key
        found = Found(
            total=int(node.run("GET", key("total")) or 0),
            commits=frozenset(node.run("HKEYS", key("commits"))),
            fields=frozenset(node.run("HKEYS", key("fields"))),
            last_id=int(node.run("GET", key("id")) or 0),
            without_ttl=sum(node.run("PTTL", each) == -1 for each in (*map(key, _SLOTS), self.calls.index)),
        )
        return judge(self.ledger, found)


class Writers:
    """Threads that write to sessions until the block ends: commits, ids and fields in turn, as the seed has it."""

    def __init__(self, sessions: Iterable[Session], *, seed: int, count: int = WRITERS) -> None:
        self._sessions = list(sessions)
        self._stop = threading.Event()
        self._done = [0] * count  # calls that were acknowledged, by writer
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(
                target=self._run, args=(number, random.Random(f"{seed}/{number}")), name=f"writer-{number}"
            )
            for number in range(count)
        ]

    def _run(self, number: int, dice: random.Random) -> None:
        try:
            turn = 0
            while not self._stop.is_set():
                turn += 1
                session, kind = dice.choice(self._sessions), dice.choice(_KINDS)
                acknowledged = session.write(kind, f"{number}-{turn}")
                self._done[number] += acknowledged
                time.sleep(_PACE if acknowledged else 10 * _PACE)
        except BaseException as error:  # it is raised where the block ends
            self._failures.append(error)

    def __enter__(self) -> Writers:  # noqa: PYI034  # Self came with Python 3.11
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures[0]

    def wait_for_progress(self, calls: int = 10) -> None:
        """Returns when each writer has had so many more calls acknowledged."""
        wanted = [done + calls for done in self._done]
        deadline = time.monotonic() + PATIENCE
        while any(done < enough for done, enough in zip(self._done, wanted, strict=True)):
            self._raise_failure()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not all writers went on: {self._done}, wanted {wanted}")
            time.sleep(0.02)


def total_verdict(sessions: Iterable[Session], server_of: Callable[[str], Node]) -> Verdict:
    """The sum over sessions, each judged at the server of its keys."""
    return sum((session.verdict(server_of(session.calls.key("total"))) for session in sessions), Verdict())
